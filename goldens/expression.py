"""The sample expression of micrograd's README, to full precision: writes micrograd.json.

It reuses its intermediate results, so that a gradient which forgets to accumulate comes out wrong.
"""

from pathlib import Path

from moons import write
from scalar import Value

# Each step by its name and formula; later steps may name all earlier ones.
STEPS = {
    "c": "a + b",
    "d": "a b + b^3",
    "c2": "2 c + 1",
    "c3": "1 + 2 c2 - a",
    "d2": "3 d + relu(b + a)",
    "d3": "4 d2 + relu(b - a)",
    "e": "c3 - d3",
    "f": "e^2",
    "g": "f / 2 + 10 / f",
}
PUBLISHED = {"g": 24.7041, "dg/da": 138.8338, "dg/db": 645.5773}


def evaluate(a: Value, b: Value) -> Value:
    """The steps above; terms are added in the order the README adds them."""
    c = a + b
    d = a * b + b**3
    c = c + (c + 1)
    c = c + (1 + c + -a)
    d = d + (d * 2 + (b + a).relu())
    d = d + (3 * d + (b - a).relu())
    f = (c - d) ** 2
    return f / 2.0 + 10.0 / f


if __name__ == "__main__":
    a, b = Value(-4.0), Value(2.0)
    g = evaluate(a, b)
    g.backward()
    figures = {"g": g.data, "dg/da": a.grad, "dg/db": b.grad}
    for name, figure in figures.items():
        assert round(figure, 4) == PUBLISHED[name], (name, figure)
    record = {"a": -4.0, "b": 2.0, "expression": STEPS, "result": "g", "published": PUBLISHED, "figures": figures}
    write(Path(__file__).with_name("micrograd.json"), record)
    print(figures)
