"""PyTorch's modules without parameters, losses and cells, in f64: writes nn_functions.json.

Each case has the name of a module, how it is made, its parameters, inputs, outputs, and the gradients of all inputs and
parameters for given cotangents of the outputs.
"""

import json
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

CASES = []


def array(x: Tensor) -> dict:
    return {"dtype": str(x.dtype).removeprefix("torch."), "shape": list(x.shape), "values": x.detach().flatten().tolist()}


def case(name: str, inputs: list, *args, **kwargs) -> None:
    """Makes a module and runs it. What is no float has no gradient."""
    module = getattr(nn, name)(*args, **kwargs)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_((torch.randn_like(p) * 0.5).round(decimals=3))
    inputs = [x.round(decimals=3).requires_grad_() if x.is_floating_point() else x for x in inputs]
    outputs = module(*inputs)
    outputs = list(outputs) if isinstance(outputs, tuple) else [outputs]
    cotangents = [torch.randn_like(y).round(decimals=3) for y in outputs]
    leaves = [*module.parameters(), *(x for x in inputs if x.requires_grad)]
    gradients = torch.autograd.grad(outputs, leaves, cotangents)
    names = [*dict(module.named_parameters()), *(str(i) for i, x in enumerate(inputs) if x.requires_grad)]
    weights = {key: array(value) for key, value in kwargs.items() if isinstance(value, Tensor)}
    CASES.append(
        {
            "module": name,
            "args": args,
            "kwargs": {key: value for key, value in kwargs.items() if key not in weights},
            "weights": weights,
            "parameters": {name: array(p) for name, p in module.named_parameters()},
            "inputs": [array(x) for x in inputs],
            "outputs": [array(y) for y in outputs],
            "cotangents": [array(c) for c in cotangents],
            "gradients": dict(zip(names, map(array, gradients))),
        }
    )



def activations() -> None:
    x = lambda *shape: torch.randn(*shape) * 2
    case("CELU", [x(3, 4)], 0.5)  # exact in the single precision that torch rounds it to
    for dim in (-1, 0):
        case("GLU", [x(4, 6)], dim=dim)
    for name in ("Hardswish", "Softsign", "Tanhshrink"):
        case(name, [x(3, 4)])
    case("Hardshrink", [x(3, 4)], 0.4)
    case("Softshrink", [x(3, 4)], 0.4)
    case("Threshold", [x(3, 4)], 0.1, -2.0)
    case("Softmin", [x(3, 4)], dim=1)
    case("PReLU", [x(3, 4)])
    case("PReLU", [x(2, 3, 4)], 3)


def shapes() -> None:
    x = torch.randn
    case("Flatten", [x(2, 3, 4, 2)])
    case("Flatten", [x(2, 3, 4, 2)], 0, 2)
    case("Unflatten", [x(2, 6)], 1, (3, 2))
    case("PixelShuffle", [x(2, 8, 2, 3)], 2)
    case("PixelUnshuffle", [x(2, 3, 4, 6)], 2)
    case("Unfold", [x(2, 3, 5, 6)], (2, 3), dilation=2, padding=1, stride=(1, 2))
    case("Fold", [x(2, 12, 20)], (5, 6), (2, 2))
    case("Fold", [x(1, 8, 6)], (5, 6), 2, padding=(0, 1), stride=(2, 3), dilation=(2, 1))
    case("Upsample", [x(1, 2, 3, 4)], scale_factor=2)
    case("Upsample", [x(1, 2, 3, 4)], size=(5, 6), mode="bilinear")
    for axes, padding in ((1, (2, 1)), (2, (1, 2, 0, 1)), (3, 1)):
        image = lambda: x(2, 3, *[3] * axes)
        case(f"ConstantPad{axes}d", [image()], padding, 0.5)
        for kind in ("Zero", "Reflection", "Replication", "Circular"):
            case(f"{kind}Pad{axes}d", [image()], padding)


def distances() -> None:
    x = torch.randn
    case("CosineSimilarity", [x(3, 4), x(3, 4)])
    case("CosineSimilarity", [x(3, 4, 2), x(3, 4, 2)], dim=-1, eps=1e-6)
    case("PairwiseDistance", [x(3, 4), x(3, 4)])
    case("PairwiseDistance", [x(3, 4), x(4)], p=1, eps=1e-3, keepdim=True)


def losses() -> None:
    x, probability = torch.randn, lambda *shape: torch.rand(*shape) * 0.9 + 0.05
    signs = lambda *shape: torch.randint(0, 2, shape) * 2 - 1
    for reduction in ("mean", "sum", "none"):
        more = {"reduction": reduction}
        case("SmoothL1Loss", [x(3, 4), x(3, 4)], beta=0.7, **more)
        case("SoftMarginLoss", [x(3, 4), signs(3, 4)], **more)
        case("MarginRankingLoss", [x(4), x(4), signs(4)], 0.3, **more)
        case("HingeEmbeddingLoss", [x(4), signs(4)], 0.8, **more)
        case("TripletMarginLoss", [x(3, 4), x(3, 4), x(3, 4)], 3.0, swap=reduction == "sum", **more)
        case("MultiLabelSoftMarginLoss", [x(3, 4), torch.randint(0, 2, (3, 4))], **more)
    for given in ({}, {"weight": probability(4).round(decimals=3)}):
        case("BCELoss", [probability(3, 4), torch.randint(0, 2, (3, 4)).double()], **given)
    case("BCELoss", [probability(3, 4), probability(3, 4)], reduction="none")
    case("MultiLabelSoftMarginLoss", [x(3, 4), torch.randint(0, 2, (3, 4))], weight=probability(4).round(decimals=3))
    case("PoissonNLLLoss", [x(3, 4), torch.randint(0, 6, (3, 4))], full=True)
    case("PoissonNLLLoss", [probability(3, 4), torch.randint(0, 6, (3, 4))], log_input=False, eps=1e-3, reduction="none")
    case("GaussianNLLLoss", [x(3, 4), x(3, 4), probability(3, 4)], full=True)
    case("GaussianNLLLoss", [x(3, 4), x(3, 4), probability(3, 1)], reduction="sum")


def cells() -> None:
    x = torch.randn
    case("RNNCell", [x(3, 4), x(3, 2)], 4, 2)
    case("RNNCell", [x(3, 4), x(3, 2)], 4, 2, bias=False, nonlinearity="relu")
    case("GRUCell", [x(3, 4), x(3, 2)], 4, 2)
    case("GRUCell", [x(4), x(2)], 4, 2)
    case("LSTMCell", [x(3, 4)], 4, 2)


def main() -> None:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    for family in (activations, shapes, distances, losses, cells):
        family()
    data = {"source": f"torch {version('torch')}", "cases": CASES}
    Path(__file__).with_name("nn_functions.json").write_text(json.dumps(data, separators=(",", ":")) + "\n")
    print(len(CASES), "cases")


if __name__ == "__main__":
    main()
