"""The "moons" run of micrograd's demonstration notebook: writes moons.json and checks the published figures.

A network 2-16-16-1 (ReLU, linear output) learns two interleaved half-moons with the max-margin loss
`mean(relu(1 - y score)) + 1e-4 sum(p^2)` and full-batch gradient descent, learning rate `1 - 0.9 k / 100` at step k.
"""

import json
import random
from importlib.metadata import version
from pathlib import Path

import numpy as np
from sklearn.datasets import make_moons

from scalar import Value

STEPS = 100
ALPHA = 1e-4
SIZES = [2, 16, 16, 1]
PUBLISHED = {
    "loss": {"0": 0.8958441028683222, "2": 0.7429006313851131, "99": 0.010978370135492717},
    "accuracy": {"99": 1.0},
}

ORDER = (
    "A neuron adds its products to its bias: ((b + w0 x0) + w1 x1) + ..; so the bias comes first. The data loss is "
    "((0 + l0) + l1) + .. in the order of the points, times 1/100, with l = relu(1 + (-y) score). The penalty is "
    "alpha times ((0 + p0 p0) + p1 p1) + .. in the order of the parameters; the total is data + penalty. The backward "
    "pass runs in reverse of a depth-first order that visits first operands first. Other orders of the backward pass "
    "change the losses by a few units in the last place."
)

Neuron = tuple[list[Value], Value]


def make_layers() -> list[list[Neuron]]:
    """Weights from uniform(-1, 1), drawn neuron by neuron; biases 0."""

    def neuron(inputs: int) -> Neuron:
        return [Value(random.uniform(-1, 1)) for _ in range(inputs)], Value(0.0)

    return [[neuron(a) for _ in range(b)] for a, b in zip(SIZES, SIZES[1:])]


def score(layers: list[list[Neuron]], point: list[float]) -> Value:
    signals = [Value(v) for v in point]
    for depth, layer in enumerate(layers):
        signals = [sum((w * s for w, s in zip(weights, signals)), bias) for weights, bias in layer]
        if depth < len(layers) - 1:
            signals = [s.relu() for s in signals]
    return signals[0]


def evaluate(
    layers: list[list[Neuron]], parameters: list[Value], points: list[list[float]], labels: list[int]
) -> tuple[Value, float]:
    """The loss, and the share of points on the right side."""
    scores = [score(layers, point) for point in points]
    losses = [(1 + -y * s).relu() for y, s in zip(labels, scores)]
    data = sum(losses) * (1.0 / len(losses))
    penalty = ALPHA * sum(p * p for p in parameters)
    right = sum((y > 0) == (s.data > 0) for y, s in zip(labels, scores))
    return data + penalty, right / len(labels)


def train() -> dict:
    np.random.seed(1337)
    random.seed(1337)
    points, labels = make_moons(n_samples=100, noise=0.1)
    points, labels = points.tolist(), (labels * 2 - 1).tolist()
    layers = make_layers()
    parameters = [p for layer in layers for weights, bias in layer for p in (*weights, bias)]
    run = {
        "source": f"numpy {version('numpy')}, scikit-learn {version('scikit-learn')}, scalar.py",
        "order_of_sums": ORDER,
        "sizes": SIZES,
        "alpha": ALPHA,
        "published": PUBLISHED,
        "x": points,
        "y": labels,
        "parameters": [p.data for p in parameters],
        "losses": [],
        "accuracies": [],
    }
    for k in range(STEPS):
        loss, accuracy = evaluate(layers, parameters, points, labels)
        run["losses"].append(loss.data)
        run["accuracies"].append(accuracy)
        for p in parameters:
            p.grad = 0.0
        loss.backward()
        if k == 0:
            run["first_gradient"] = [p.grad for p in parameters]
        for p in parameters:
            p.data -= (1.0 - 0.9 * k / 100) * p.grad
    run["last_parameters"] = [p.data for p in parameters]
    return run


def check(run: dict) -> None:
    """The published figures, to the last digit."""
    for step, loss in PUBLISHED["loss"].items():
        assert run["losses"][int(step)] == loss, (step, run["losses"][int(step)], loss)
    for step, accuracy in PUBLISHED["accuracy"].items():
        assert run["accuracies"][int(step)] == accuracy, (step, run["accuracies"][int(step)], accuracy)


def write(path: Path, record: dict) -> None:
    """One field per line, so that differences are readable."""
    fields = (f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'))}" for key, value in record.items())
    path.write_text("{\n" + ",\n".join(fields) + "\n}\n")


if __name__ == "__main__":
    run = train()
    check(run)
    write(Path(__file__).with_name("moons.json"), run)
    print(f"{len(run['parameters'])} parameters; loss {run['losses'][0]!r} -> {run['losses'][-1]!r}: as published")
