"""Functions of complex numbers at the points where they are special, by NumPy: writes complex.json.

Every pair of parts among zeros of both signs, halves, one, two, large and tiny numbers, infinities and NaN. Each number of
the results is [real, imaginary], as text where JSON has no such number; -0 keeps its sign as "-0".
"""

import json
import math
from pathlib import Path

import numpy as np

PARTS = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 30.0, -30.0, 1e200, -1e200, 1e-200, np.inf, -np.inf, np.nan]
FUNCTIONS = {
    "abs": np.abs, "acos": np.arccos, "acosh": np.arccosh, "angle": np.angle, "asin": np.arcsin, "asinh": np.arcsinh,
    "atan": np.arctan, "atanh": np.arctanh, "conj": np.conj, "cos": np.cos, "cosh": np.cosh, "exp": np.exp,
    "expm1": np.expm1, "imag": np.imag, "isfinite": np.isfinite, "isinf": np.isinf, "isnan": np.isnan, "log": np.log,
    "log10": np.log10, "log1p": np.log1p, "log2": np.log2, "negative": np.negative, "real": np.real,
    "reciprocal": np.reciprocal, "round": np.round, "sign": np.sign, "sin": np.sin, "sinh": np.sinh, "sqrt": np.sqrt,
    "square": np.square, "tan": np.tan, "tanh": np.tanh,
}  # fmt: skip
PAIRS = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "pow": np.power}


def number(x: float) -> float | str:
    x = float(x)
    if math.isfinite(x) and not (x == 0.0 and math.copysign(1.0, x) < 0):
        return x
    return "-0" if x == 0.0 else str(x)


def parts(x: np.ndarray) -> list:
    return [[number(v.real), number(v.imag)] for v in np.atleast_1d(x).astype(complex)]


def main() -> None:
    x = np.array([complex(re, im) for re in PARTS for im in PARTS])
    few = np.array([complex(re, im) for re in [0.0, 1.0, -1.5, 2.0] for im in [0.0, 0.5, -2.0]])
    a, b = (g.reshape(-1) for g in np.meshgrid(few, few, indexing="ij"))
    with np.errstate(all="ignore"):
        unary = {name: parts(f(x)) for name, f in FUNCTIONS.items()}
        binary = {name: parts(f(a, b)) for name, f in PAIRS.items()}
    out = {"numpy": np.__version__, "x": parts(x), "unary": unary, "a": parts(a), "b": parts(b), "binary": binary}
    lines = json.dumps(out, separators=(",", ":"), allow_nan=False).replace('],"', '],\n"').replace(']}', ']\n}')
    Path(__file__).with_name("complex.json").write_text(lines + "\n")


if __name__ == "__main__":
    main()
