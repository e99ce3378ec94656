"""The layers of covector-nn by PyTorch, in f64: writes nn_layers.json.

Each case has the options of a layer, its parameters by name, inputs, outputs, and the gradients of all parameters and
inputs for given cotangents of the outputs. What PyTorch has no layer for is written out in torch below.
"""

import itertools
import json
import math
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

CASES = []


def array(x: Tensor) -> dict:
    return {"shape": list(x.shape), "values": x.detach().flatten().tolist()}


def short(x: Tensor) -> Tensor:
    """Three digits after the point, for what is drawn: half the file."""
    return x.round(decimals=3)


def scatter(module: nn.Module) -> None:
    """Every parameter away from its initial value, so that none is a constant."""
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(short(torch.randn_like(p) * 0.5 + (1.0 if p.ndim == 1 else 0.0)))


def case(kind: str, module: nn.Module, inputs: list, options: dict, run=None, state=()) -> None:
    """Runs `module` (or `run`) and notes everything about it. Integer inputs have no gradient."""
    scatter(module)
    run = run or module
    before = {name: array(b) for name, b in module.named_buffers()}
    inputs = [short(x).requires_grad_() if x.dtype == torch.float64 else x for x in inputs]
    outputs = run(*inputs)
    outputs = list(outputs) if isinstance(outputs, tuple) else [outputs]
    cotangents = [short(torch.randn_like(y)) for y in outputs]
    sum((y * c).sum() for y, c in zip(outputs, cotangents)).backward()
    floats = [x for x in inputs if x.dtype == torch.float64]
    CASES.append(
        {
            "layer": kind,
            "options": options,
            "parameters": {name: array(p) for name, p in module.named_parameters()},
            "buffers": before,
            "buffers_after": {name: array(b) for name, b in module.named_buffers()},
            "indices": [array(x) for x in inputs if x.dtype == torch.int64],
            "inputs": [array(x) for x in floats],
            "outputs": [array(y) for y in outputs],
            "cotangents": [array(c) for c in cotangents],
            "gradients": {name: array(p.grad) for name, p in module.named_parameters()},
            "input_gradients": [array(x.grad) for x in floats],
        }
    )


def linear() -> None:
    for bias in (True, False):
        case("Linear", nn.Linear(3, 4, bias), [torch.randn(2, 5, 3)], {"inputs": 3, "outputs": 4, "bias": bias})
        options = {"inputs": 3, "inputs2": 2, "outputs": 4, "bias": bias}
        case("Bilinear", nn.Bilinear(3, 2, 4, bias), [torch.randn(2, 5, 3), torch.randn(2, 5, 2)], options)
    tokens = torch.tensor([[1, 4, 0], [4, 2, 2]])
    case("Embedding", nn.Embedding(5, 3), [tokens], {"entries": 5, "width": 3, "padding": -1})
    case("Embedding", nn.Embedding(5, 3, padding_idx=4), [tokens], {"entries": 5, "width": 3, "padding": 4})


def convolutions() -> None:
    grid = [
        {},
        {"stride": 2, "padding": 1},
        {"dilation": 2, "padding": 2, "bias": False},
        {"groups": 2, "stride": 2},
        {"padding": 1, "padding_mode": "reflect"},
        {"padding": 2, "padding_mode": "replicate", "dilation": 2},
        {"padding": 2, "padding_mode": "circular", "stride": 3},
    ]
    for d, length in ((1, 9), (2, 6), (3, 5)):
        layer = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[d]
        for more in grid[: 7 if d < 3 else 4]:
            kernel = (2,) * d if d == 3 else (3, 2)[:d]
            channels = (2, 2) if d == 3 else (2, 4)
            module = layer(*channels, kernel, **more)
            options = {"d": d, "inputs": channels[0], "outputs": channels[1], "kernel": kernel, **more}
            case("Conv", module, [torch.randn(1 if d == 3 else 2, 2, *(length,) * d)], options)
        layer = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[d]
        for more in (
            {},
            {"stride": 2, "padding": 1, "output_padding": 1},
            {"groups": 2, "dilation": 2, "bias": False},
        ):
            kernel = (2,) * d if d == 3 else (3, 2)[:d]
            module = layer(2, 4, kernel, **more)
            options = {"d": d, "inputs": 2, "outputs": 4, "kernel": kernel, **more}
            case("ConvTranspose", module, [torch.randn(1, 2, *(3 if d < 3 else 2,) * d)], options)


def poolings() -> None:
    for d, length in ((1, 8), (2, 6), (3, 4)):
        x = lambda: torch.randn(1 if d == 3 else 2, 2, *(length,) * d)
        largest = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}[d]
        mean = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}[d]
        for kernel, stride, padding, dilation in ((2, 2, 0, 1), (3, 1, 1, 1), (2, 2, 1, 2)):
            options = {"d": d, "kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
            case("MaxPool", largest(kernel, stride, padding, dilation), [x()], options)
        for kernel, stride, padding, count in ((2, 2, 0, True), (3, 2, 1, True), (3, 1, 1, False)):
            options = {"d": d, "kernel": kernel, "stride": stride, "padding": padding, "count_include_pad": count}
            case("AvgPool", mean(kernel, stride, padding, count_include_pad=count), [x()], options)
        for name in ("Max", "Avg"):
            for output in (1, 3):
                module = getattr(nn, f"Adaptive{name}Pool{d}d")(output)
                case(f"Adaptive{name}Pool", module, [x()], {"d": d, "output": output})


def norms() -> None:
    for shape, bias in (([4], True), ([3, 4], True), ([4], False)):
        case("LayerNorm", nn.LayerNorm(shape, bias=bias), [torch.randn(2, 3, 4)], {"sizes": shape, "bias": bias})
    for shape in ([4], [3, 4]):
        case("RMSNorm", nn.RMSNorm(shape, eps=1e-5), [torch.randn(2, 3, 4)], {"sizes": shape, "eps": 1e-5})
    for groups, affine, rest in ((1, True, (3,)), (2, True, (2, 3)), (4, True, ()), (2, False, (3,))):
        options = {"groups": groups, "channels": 4, "affine": affine}
        case("GroupNorm", nn.GroupNorm(groups, 4, affine=affine), [torch.randn(3, 4, *rest)], options)
    for momentum, affine, training, shape in itertools.product((0.3, None), (True, False), (True, False), ((4, 3), (2, 3, 4))):
        module = (nn.BatchNorm1d)(3, momentum=momentum, affine=affine)
        with torch.no_grad():
            module.running_mean.copy_(torch.randn(3))
            module.running_var.copy_(torch.rand(3) + 0.5)
            module.num_batches_tracked.fill_(3)
        module.train(training)
        options = {"channels": 3, "momentum": momentum, "affine": affine, "training": training}
        case("BatchNorm", module, [torch.randn(*shape) * 2 + 1], options)
    case("BatchNorm", nn.BatchNorm2d(2), [torch.randn(2, 2, 3, 2)], {"channels": 2, "momentum": 0.1, "affine": True, "training": True})


def recurrent() -> None:
    for layers, bias, both, state in ((1, True, False, False), (2, True, False, True), (2, False, True, False), (2, True, True, True)):
        for kind, more in (("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("LSTM", {}), ("GRU", {})):
            module = getattr(nn, kind)(3, 2, layers, bias=bias, bidirectional=both, batch_first=True, **more)
            options = {"inputs": 3, "hidden": 2, "layers": layers, "bias": bias, "bidirectional": both, "state": state}
            directions = layers * (2 if both else 1)
            start = [torch.randn(directions, 2, 2) for _ in range(2 if kind == "LSTM" else 1)] if state else []

            def run(x: Tensor, *start: Tensor) -> tuple:
                given = None if not start else start if kind == "LSTM" else start[0]
                y, last = module(x, given)
                return (y, *last) if kind == "LSTM" else (y, last)

            case(kind, module, [torch.randn(2, 5, 3), *start], {**options, **more}, run)


def packed() -> None:
    """Sequences of different lengths, as packed sequences."""
    lengths = [4, 1, 3]
    for kind, both in (("RNN", False), ("LSTM", True), ("GRU", True), ("LSTM", False)):
        module = getattr(nn, kind)(2, 2, 2, bidirectional=both, batch_first=True)

        def run(x: Tensor) -> tuple:
            given = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            y, last = module(given)
            y, _ = nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
            return (y, *last) if kind == "LSTM" else (y, last)

        options = {"inputs": 2, "hidden": 2, "layers": 2, "bias": True, "bidirectional": both, "state": False, "lengths": lengths}
        case(kind, module, [torch.randn(3, 4, 2)], options, run)


def rotated(x: Tensor, base: float, interleaved: bool) -> Tensor:
    """Rotary embedding, by complex numbers."""
    tokens, features = x.shape[-2:]
    rates = base ** (-torch.arange(0, features, 2) / features)
    turns = torch.polar(torch.ones(tokens, features // 2), torch.arange(tokens)[:, None] * rates)
    pairs = x.unflatten(-1, (features // 2, 2)) if interleaved else x.unflatten(-1, (2, features // 2)).transpose(-1, -2)
    turned = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * turns)
    return (turned if interleaved else turned.transpose(-1, -2)).flatten(-2)


class Grouped(nn.Module):
    """Attention whose heads share keys and values, with positions."""

    def __init__(self, width: int, heads: int, kv_heads: int, bias: bool) -> None:
        super().__init__()
        self.sizes = (heads, kv_heads, kv_heads)
        rows = width + 2 * width // heads * kv_heads
        self.in_proj_weight = nn.Parameter(torch.randn(rows, width))
        self.in_proj_bias = nn.Parameter(torch.randn(rows)) if bias else None
        self.out_proj = nn.Linear(width, width, bias)

    def forward(self, x: Tensor, positions: str, causal: bool) -> Tensor:
        heads = self.sizes[0]
        d = x.shape[-1] // heads
        parts = functional.linear(x, self.in_proj_weight, self.in_proj_bias).split([n * d for n in self.sizes], -1)
        q, k, v = (p.unflatten(-1, (n, d)).transpose(1, 2) for p, n in zip(parts, self.sizes))
        if positions.startswith("rotary"):
            q, k = (rotated(t, 10000.0, positions == "rotary_interleaved") for t in (q, k))
        tokens = torch.arange(x.shape[1])
        bias = torch.zeros(heads, len(tokens), len(tokens))
        if positions == "alibi":
            n = 2 ** math.floor(math.log2(heads))
            slopes = [2 ** (-8 * (i + 1) / n) for i in range(n)]
            slopes += [2 ** (-8 * (i + 1) / (2 * n)) for i in range(0, 2 * n, 2)][: heads - n]
            bias = -torch.tensor(slopes)[:, None, None] * (tokens[:, None] - tokens).abs()
        if causal:
            bias = bias.masked_fill(tokens[:, None] < tokens, -math.inf)
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, enable_gqa=True)
        return self.out_proj(y.transpose(1, 2).flatten(2))


def masked(kind: str | None) -> tuple[torch.Tensor | None, object]:
    """A mask of 3 queries on 5 keys as PyTorch takes it, and as it is written down: true where a key may be looked at."""
    allowed = torch.rand(3, 5) < 0.7
    allowed[:, 0] = True
    added = torch.randn(3, 5)
    given = {None: None, "bool": ~allowed, "float": added}[kind]
    return given, {None: None, "bool": array(allowed.double()), "float": array(added)}[kind]


def attention() -> None:
    for bias, mask in itertools.product((True, False), (None, "bool", "float")):
        module = nn.MultiheadAttention(4, 2, bias=bias, batch_first=True)
        given, noted = masked(mask)
        inputs = [torch.randn(2, n, 4) for n in (3, 5, 5)]
        run = lambda q, k, v: module(q, k, v, attn_mask=given, need_weights=False)[0]
        case("MultiheadAttention", module, inputs, {"width": 4, "heads": 2, "bias": bias, "mask": noted, "kind": mask}, run)
    for (heads, kv), positions, causal in itertools.product(
        ((4, 2), (3, 1), (2, 2)), ("none", "rotary", "rotary_interleaved", "alibi"), (True, False)
    ):
        if causal and heads == 2:
            continue
        module = Grouped(heads * 2, heads, kv, bias=not causal)
        options = {"width": heads * 2, "heads": heads, "kv_heads": kv, "bias": not causal, "positions": positions, "causal": causal}
        case("GroupedAttention", module, [torch.randn(1, 4, heads * 2)], options, lambda x: module(x, positions, causal))


def transformers() -> None:
    for first, activation, bias in ((False, "relu", True), (True, "gelu", True), (True, "relu", False)):
        more = {"dim_feedforward": 3, "dropout": 0.0, "activation": activation, "batch_first": True, "norm_first": first, "bias": bias}
        options = {"width": 4, "heads": 2, "feedforward": 3, "activation": activation, "norm_first": first, "bias": bias}
        module = nn.TransformerEncoderLayer(4, 2, **more)
        case("TransformerEncoderLayer", module, [torch.randn(2, 3, 4)], options)
        module = nn.TransformerDecoderLayer(4, 2, **more)
        causal = torch.ones(3, 3, dtype=torch.bool).triu(1)
        run = lambda x, memory: module(x, memory, tgt_mask=causal)
        case("TransformerDecoderLayer", module, [torch.randn(2, 3, 4), torch.randn(2, 5, 4)], options, run)
        norm = lambda: nn.LayerNorm(4, bias=bias) if first else None
        stack = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, **more), 2, norm(), enable_nested_tensor=False)
        case("TransformerEncoder", stack, [torch.randn(1, 3, 4)], options)
        decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, **more), 2, norm())
        run = lambda x, memory: decoder(x, memory, tgt_mask=causal)
        case("TransformerDecoder", decoder, [torch.randn(1, 3, 4), torch.randn(1, 2, 4)], options, run)


def sequential() -> None:
    net = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(6, 2))
    case("Sequential", net, [torch.randn(3, 1, 8)], {})


def weights() -> None:
    """Attention whose weights are given, too: the mean over the heads, or each."""
    for average, mask in itertools.product((True, False), (None, "bool", "float")):
        module = nn.MultiheadAttention(4, 2, batch_first=True)
        given, noted = masked(mask)
        inputs = [torch.randn(2, n, 4) for n in (3, 5, 5)]
        run = lambda q, k, v: module(q, k, v, attn_mask=given, average_attn_weights=average)
        options = {"width": 4, "heads": 2, "bias": True, "mask": noted, "kind": mask, "average": average}
        case("AttentionWeights", module, inputs, options, run)


def main() -> None:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    for family in (linear, convolutions, poolings, norms, recurrent, packed, attention, transformers, sequential, weights):
        family()
    data = {"source": f"torch {version('torch')}", "cases": CASES}
    Path(__file__).with_name("nn_layers.json").write_text(json.dumps(data, separators=(",", ":")) + "\n")
    print(len(CASES), "cases")


if __name__ == "__main__":
    main()
