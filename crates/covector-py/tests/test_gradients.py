"""Values and derivatives equal JAX's, to 1e-10 in f64 (goldens/python_gradients.py made the figures)."""

import json
from pathlib import Path

import numpy as np
import pytest
from gradient_cases import cases, numbers

import covector as cv

GOLDENS = json.loads((Path(__file__).parents[3] / "goldens" / "python_gradients.json").read_text())["cases"]
CASES = list(cases())


def f64(x):
    return cv.asarray(np.asarray(x, dtype=np.float64))


def close(got, want, like):
    want = np.asarray(want, dtype=np.float64).reshape(like)
    assert got.shape == tuple(like)
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-10, atol=1e-10)


def test_there_are_enough_of_them():
    assert len(CASES) >= 285 and {name for name, _, _ in CASES} == set(GOLDENS)


def test_kinks_are_pytorchs():
    # JAX gives 1 for abs at 0; the documentation here, and PyTorch, say 0.
    g = cv.grad(lambda x: cv.sum(cv.abs(x)))(f64([0.0, -1.0, 2.0]))
    assert g.tolist() == [0.0, -1.0, 1.0]


@pytest.mark.parametrize("name, function, arguments", CASES, ids=[name for name, _, _ in CASES])
def test_derivatives(name, function, arguments):
    want = GOLDENS[name]
    x = [f64(numbers(a, i)) for i, a in enumerate(arguments)]
    t = [f64(numbers((a.shape, -1.0, 1.0), 7 + i)) for i, a in enumerate(x)]
    f = lambda *x: function(cv, *x)  # noqa: E731
    y, pullback = cv.vjp(f, *x)
    close(y, want["y"], y.shape)
    cotangents = pullback(f64(numbers((y.shape, -1.0, 1.0), 11)))
    for got, expected, a in zip(cotangents, want["vjp"], x, strict=True):
        close(got, expected, a.shape)
    _, tangent = cv.jvp(f, tuple(x), tuple(t))
    close(tangent, want["jvp"], y.shape)
    square = lambda *x: cv.sum(f(*x) ** 2)  # noqa: E731
    _, second = cv.jvp(cv.grad(square, argnums=tuple(range(len(x)))), tuple(x), tuple(t))
    for got, expected, a in zip(second, want["second"], x, strict=True):
        close(got, expected, a.shape)
