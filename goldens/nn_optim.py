"""Optimisers and schedules by PyTorch, in f64: writes nn_optim.json for the tests of covector-nn.

The loss is sum(sin(3 p) + p² + p · w) over a matrix and a vector, with a fixed w, so that it is not the same for all elements.
PyTorch has no Lion and no LAMB: they are written out below from their papers. Its Muon computes in bf16; here it is made
to compute the same in f64.
"""

import json
import math
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, optim

STEPS = 100
NOTED = (1, 2, 10, STEPS)


def array(x: Tensor) -> dict:
    return {"shape": list(x.shape), "values": x.detach().flatten().tolist()}


class Lion(optim.Optimizer):
    """Chen et al. 2023, algorithm 2."""

    def __init__(self, params, lr: float, beta1: float = 0.9, beta2: float = 0.99, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "beta1": beta1, "beta2": beta2, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                update = torch.sign(group["beta1"] * m + (1 - group["beta1"]) * p.grad)
                p.sub_(group["lr"] * (update + group["weight_decay"] * p))
                m.copy_(group["beta2"] * m + (1 - group["beta2"]) * p.grad)


class Lamb(optim.Optimizer):
    """You et al. 2020, algorithm 2, with the identity as φ."""

    def __init__(self, params, lr: float, beta1=0.9, beta2=0.999, eps=1e-6, weight_decay=0.01) -> None:
        super().__init__(params, {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state.update(t=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                state["t"] += 1
                state["m"] = group["beta1"] * state["m"] + (1 - group["beta1"]) * p.grad
                state["v"] = group["beta2"] * state["v"] + (1 - group["beta2"]) * p.grad**2
                m = state["m"] / (1 - group["beta1"] ** state["t"])
                v = state["v"] / (1 - group["beta2"] ** state["t"])
                r = m / (v.sqrt() + group["eps"]) + group["weight_decay"] * p
                sizes = p.norm(), r.norm()
                trust = sizes[0] / sizes[1] if min(sizes) > 0 else 1.0
                p.sub_(group["lr"] * trust * r)


def orthogonal_in_f64(grad: Tensor, coefficients, steps: int, eps: float) -> Tensor:
    """What torch.optim.Muon computes in bf16."""
    a, b, c = coefficients
    x = grad.T if grad.shape[0] > grad.shape[1] else grad
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if grad.shape[0] > grad.shape[1] else x


OPTIMIZERS = [
    ("SGD", optim.SGD, 0.05, {}),
    ("SGD", optim.SGD, 0.02, {"momentum": 0.9, "weight_decay": 0.1}),
    ("SGD", optim.SGD, 0.02, {"momentum": 0.8, "dampening": 0.3}),
    ("SGD", optim.SGD, 0.01, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
    ("Adam", optim.Adam, 0.01, {}),
    ("Adam", optim.Adam, 0.02, {"beta1": 0.8, "beta2": 0.95, "eps": 1e-4, "weight_decay": 0.1}),
    ("Adam", optim.Adam, 0.02, {"amsgrad": True, "beta2": 0.9}),
    ("AdamW", optim.AdamW, 0.01, {}),
    ("AdamW", optim.AdamW, 0.02, {"beta1": 0.8, "beta2": 0.95, "eps": 1e-4, "weight_decay": 0.3}),
    ("Adagrad", optim.Adagrad, 0.1, {}),
    ("Adagrad", optim.Adagrad, 0.1, {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5}),
    ("RMSprop", optim.RMSprop, 0.01, {}),
    ("RMSprop", optim.RMSprop, 0.01, {"alpha": 0.9, "centered": True, "eps": 1e-3}),
    ("RMSprop", optim.RMSprop, 0.005, {"momentum": 0.7, "weight_decay": 0.1}),
    ("RMSprop", optim.RMSprop, 0.005, {"momentum": 0.5, "centered": True, "eps": 1e-3}),
    ("Adadelta", optim.Adadelta, 1.0, {}),
    ("Adadelta", optim.Adadelta, 0.1, {"rho": 0.8, "eps": 1e-4, "weight_decay": 0.1}),
    ("Adafactor", optim.Adafactor, 0.02, {}),
    ("Adafactor", optim.Adafactor, 0.05, {"beta2_decay": -0.6, "eps1": 1e-6, "eps2": 0.1, "d": 1.1, "weight_decay": 0.1}),
    ("Lion", Lion, 0.01, {}),
    ("Lion", Lion, 0.01, {"beta1": 0.8, "beta2": 0.9, "weight_decay": 0.2}),
    ("Lamb", Lamb, 0.01, {}),
    ("Lamb", Lamb, 0.01, {"beta1": 0.8, "beta2": 0.95, "eps": 1e-4, "weight_decay": 0.1}),
    ("Muon", optim.Muon, 0.02, {}),
    ("Muon", optim.Muon, 0.02, {"nesterov": False, "momentum": 0.8, "weight_decay": 0.0, "adjust_lr_fn": "match_rms_adamw"}),
]


def arguments(options: dict) -> dict:
    """Ours to PyTorch's: two numbers in one argument."""
    options = dict(options)
    if {"beta1", "beta2"} & options.keys():
        options["betas"] = (options.pop("beta1", 0.9), options.pop("beta2", 0.999))
    if {"eps1", "eps2"} & options.keys():
        options["eps"] = (options.pop("eps1"), options.pop("eps2"))
    return options


def loss_of(parameters: list, weights: list) -> Tensor:
    return sum((torch.sin(3 * p) + p * p + p * w).sum() for p, w in zip(parameters, weights))


def steps_of(make, start: list, weights: list, off: float = 0.0) -> dict:
    """The parameters after the noted steps; with gradients that are wrong by up to the part `off`."""
    parameters = [p.clone().requires_grad_() for p in start]
    optimizer = make(parameters)
    noise = torch.Generator().manual_seed(1)
    values = {}
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        loss_of(parameters, weights).backward()
        for p in parameters:
            p.grad *= 1 + off * (2 * torch.rand(p.shape, generator=noise) - 1)
        optimizer.step()
        if step in NOTED:
            values[step] = [p.detach().clone() for p in parameters]
    return values


def optimizers() -> list:
    cases = []
    for i, (name, kind, rate, options) in enumerate(OPTIMIZERS):
        shapes = [(3, 4), (4, 2)] if name == "Muon" else [(3, 4), (5,)]
        start = [torch.randn(shape).round(decimals=3) for shape in shapes]
        weights = [torch.randn(shape).round(decimals=3) for shape in shapes]
        given = options if kind in (Lion, Lamb) else arguments(options)
        make = lambda parameters: kind(parameters, lr=rate, **given)
        exact, near = steps_of(make, start, weights), steps_of(make, start, weights, off=2**-52)
        # A walk on which last bits grow, from side to side of a valley, cannot show whose steps are right.
        apart = max(float((p - q).abs().max()) for step in NOTED for p, q in zip(exact[step], near[step]))
        assert apart < 1e-13, f"{name} {options}: gradients off by their last bits end {apart:.1e} apart"
        values = {step: [array(p) for p in exact[step]] for step in NOTED}
        case = {"optimizer": name, "rate": rate, "options": options, "values": values}
        cases.append({**case, "start": [array(p) for p in start], "weights": [array(w) for w in weights]})
    return cases


def groups() -> dict:
    """The matrix by RMSprop, the vector by RMSprop of other settings and twice the rate; clipped by value."""
    start = [torch.randn(3, 4).round(decimals=3), torch.randn(5).round(decimals=3)]
    weights = [torch.randn_like(p).round(decimals=3) for p in start]
    matrix, vector = (p.clone().requires_grad_() for p in start)
    optimizer = optim.RMSprop([{"params": [matrix]}, {"params": [vector], "lr": 0.02, "alpha": 0.9, "weight_decay": 0.1}], lr=0.01)
    average = [p.clone() for p in start]
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss_of([matrix, vector], weights).backward()
        torch.nn.utils.clip_grad_value_([matrix, vector], 1.5)
        optimizer.step()
        average = [torch.lerp(a, p.detach(), 1 - 0.9) for a, p in zip(average, (matrix, vector))]
    return {
        "start": [array(p) for p in start],
        "weights": [array(w) for w in weights],
        "values": [array(matrix), array(vector)],
        "average": [array(a) for a in average],
    }


def lbfgs() -> list:
    """Rosenbrock's valley in eight dimensions, and the loss of the others."""
    cases = []
    for name, options, calls in (
        ("valley", {"strong_wolfe": True, "history": 5, "max_iter": 4}, 25),
        ("valley", {"rate": 0.002, "history": 3, "max_iter": 5}, 20),
        ("waves", {"strong_wolfe": True, "rate": 0.5, "max_iter": 3}, 10),
        ("waves", {"rate": 0.1, "max_iter": 5}, 20),
    ):
        start = [torch.randn(2, 2).round(decimals=3), torch.randn(4).round(decimals=3)]
        weights = [torch.randn_like(p).round(decimals=3) for p in start]
        parameters = [p.clone().requires_grad_() for p in start]
        search = "strong_wolfe" if options.get("strong_wolfe") else None
        more = {"max_iter": options["max_iter"], "history_size": options.get("history", 100)}
        optimizer = optim.LBFGS(parameters, lr=options.get("rate", 1.0), line_search_fn=search, **more)

        def closure() -> Tensor:
            optimizer.zero_grad()
            if name == "valley":
                x = torch.cat([p.flatten() for p in parameters])
                loss = (10 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
            else:
                loss = loss_of(parameters, weights)
            loss.backward()
            return loss

        losses, values = [], {}
        for call in range(1, calls + 1):
            losses.append(optimizer.step(closure).item())
            if call in (1, 2, 5, calls):
                values[call] = [array(p) for p in parameters]
        case = {"loss": name, "options": options, "losses": losses, "values": values}
        cases.append({**case, "start": [array(p) for p in start], "weights": [array(w) for w in weights]})
    return cases


def schedules() -> dict:
    s = optim.lr_scheduler
    made = {
        "step": lambda o: s.StepLR(o, 7, gamma=0.7),
        "multi_step": lambda o: s.MultiStepLR(o, [10, 30, 31], gamma=0.3),
        "exponential": lambda o: s.ExponentialLR(o, 0.97),
        "cosine": lambda o: s.CosineAnnealingLR(o, 40, eta_min=0.01),
        "restarts": lambda o: s.CosineAnnealingWarmRestarts(o, 9, T_mult=2, eta_min=0.02),
        "restarts_even": lambda o: s.CosineAnnealingWarmRestarts(o, 15, T_mult=1),
        "linear": lambda o: s.LinearLR(o, start_factor=0.2, end_factor=0.9, total_iters=33),
        "polynomial": lambda o: s.PolynomialLR(o, total_iters=60, power=2.5),
        "one_cycle": lambda o: s.OneCycleLR(o, max_lr=0.5, total_steps=101, cycle_momentum=False),
        "one_cycle_linear": lambda o: s.OneCycleLR(
            o, max_lr=0.5, total_steps=101, pct_start=0.4, anneal_strategy="linear", div_factor=10, final_div_factor=100, cycle_momentum=False
        ),
        "one_cycle_three": lambda o: s.OneCycleLR(o, max_lr=0.5, total_steps=101, three_phase=True, cycle_momentum=False),
        "warmup": lambda o: s.SequentialLR(
            o, [s.LinearLR(o, start_factor=0.1, total_iters=12), s.CosineAnnealingLR(o, 80)], milestones=[12]
        ),
    }
    rates = {}
    for name, make in made.items():
        optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
        scheduler = make(optimizer)
        rates[name] = []
        for _ in range(101):
            rates[name].append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if len(rates[name]) < 101:
                scheduler.step()
    measures = [round(math.exp(-t / 20) + 0.2 * math.sin(t * t), 4) for t in range(100)]
    rates["measures"] = measures
    for name, options in {
        "plateau": {"patience": 3, "factor": 0.5},
        "plateau_rising": {"mode": "max", "patience": 5, "threshold": 0.01, "threshold_mode": "abs", "cooldown": 4, "min_lr": 0.02},
    }.items():
        optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
        scheduler = s.ReduceLROnPlateau(optimizer, **options)
        rates[name] = []
        for measure in measures:
            scheduler.step(measure)
            rates[name].append(optimizer.param_groups[0]["lr"])
    return rates


def main() -> None:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    import torch.optim._muon as muon

    muon._zeropower_via_newtonschulz = orthogonal_in_f64
    data = {
        "source": f"torch {version('torch')}",
        "optimizers": optimizers(),
        "groups": groups(),
        "lbfgs": lbfgs(),
        "schedules": schedules(),
    }
    Path(__file__).with_name("nn_optim.json").write_text(json.dumps(data, separators=(",", ":")) + "\n")
    print(len(data["optimizers"]), "optimisers")


if __name__ == "__main__":
    main()
