"""The special cases that the standard lists for its functions, each by name, with the signs of zeros."""

import cmath
import itertools
import math
import warnings

import numpy as np
import pytest

import covector as cv

inf, nan, pi = math.inf, math.nan, math.pi

UNARY = {
    "abs": [(nan, nan), (-0.0, 0.0), (0.0, 0.0), (-inf, inf), (inf, inf), (-2.0, 2.0)],
    "acos": [(nan, nan), (1.5, nan), (-1.5, nan), (1.0, 0.0), (-1.0, pi), (inf, nan), (-inf, nan)],
    "acosh": [(nan, nan), (0.5, nan), (-1.0, nan), (-inf, nan), (1.0, 0.0), (inf, inf)],
    "asin": [(nan, nan), (1.5, nan), (-1.5, nan), (0.0, 0.0), (-0.0, -0.0)],
    "asinh": [(nan, nan), (0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -inf)],
    "atan": [(nan, nan), (0.0, 0.0), (-0.0, -0.0), (inf, pi / 2), (-inf, -pi / 2)],
    "atanh": [(nan, nan), (-1.5, nan), (1.5, nan), (-1.0, -inf), (1.0, inf), (0.0, 0.0), (-0.0, -0.0)],
    "ceil": [(inf, inf), (-inf, -inf), (0.0, 0.0), (-0.0, -0.0), (nan, nan), (-0.5, -0.0), (1.2, 2.0)],
    "cos": [(nan, nan), (0.0, 1.0), (-0.0, 1.0), (inf, nan), (-inf, nan)],
    "cosh": [(nan, nan), (0.0, 1.0), (-0.0, 1.0), (inf, inf), (-inf, inf)],
    "exp": [(nan, nan), (0.0, 1.0), (-0.0, 1.0), (inf, inf), (-inf, 0.0)],
    "expm1": [(nan, nan), (0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -1.0)],
    "floor": [(inf, inf), (-inf, -inf), (0.0, 0.0), (-0.0, -0.0), (nan, nan), (0.5, 0.0), (-1.2, -2.0)],
    "log": [(nan, nan), (-1.0, nan), (-inf, nan), (0.0, -inf), (-0.0, -inf), (1.0, 0.0), (inf, inf)],
    "log1p": [(nan, nan), (-1.5, nan), (-inf, nan), (-1.0, -inf), (0.0, 0.0), (-0.0, -0.0), (inf, inf)],
    "log2": [(nan, nan), (-1.0, nan), (0.0, -inf), (-0.0, -inf), (1.0, 0.0), (inf, inf), (8.0, 3.0)],
    "log10": [(nan, nan), (-1.0, nan), (0.0, -inf), (-0.0, -inf), (1.0, 0.0), (inf, inf)],
    "negative": [(0.0, -0.0), (-0.0, 0.0), (inf, -inf), (nan, nan)],
    "positive": [(0.0, 0.0), (-0.0, -0.0), (inf, inf), (nan, nan)],
    "reciprocal": [(0.0, inf), (-0.0, -inf), (inf, 0.0), (-inf, -0.0), (nan, nan)],
    "round": [
        (inf, inf), (-inf, -inf), (0.0, 0.0), (-0.0, -0.0), (nan, nan), (0.5, 0.0), (1.5, 2.0), (2.5, 2.0), (-0.5, -0.0), (-1.5, -2.0),
    ],
    "sign": [(nan, nan), (0.0, 0.0), (-0.0, 0.0), (3.0, 1.0), (-3.0, -1.0), (inf, 1.0), (-inf, -1.0)],
    "sin": [(nan, nan), (0.0, 0.0), (-0.0, -0.0), (inf, nan), (-inf, nan)],
    "sinh": [(nan, nan), (0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -inf)],
    "sqrt": [(nan, nan), (-1.0, nan), (-inf, nan), (0.0, 0.0), (-0.0, -0.0), (inf, inf)],
    "square": [(0.0, 0.0), (-0.0, 0.0), (inf, inf), (-inf, inf), (nan, nan)],
    "tan": [(nan, nan), (0.0, 0.0), (-0.0, -0.0), (inf, nan), (-inf, nan)],
    "tanh": [(nan, nan), (0.0, 0.0), (-0.0, -0.0), (inf, 1.0), (-inf, -1.0)],
    "trunc": [(inf, inf), (-inf, -inf), (0.0, 0.0), (-0.0, -0.0), (nan, nan), (0.5, 0.0), (-0.5, -0.0), (-1.7, -1.0)],
}  # fmt: skip
BINARY = {
    "add": [
        (inf, -inf, nan), (-inf, inf, nan), (inf, inf, inf), (-inf, -inf, -inf), (inf, 1.0, inf), (1.0, -inf, -inf),
        (-0.0, -0.0, -0.0), (-0.0, 0.0, 0.0), (0.0, -0.0, 0.0), (-0.0, 2.0, 2.0), (2.0, -2.0, 0.0), (nan, 1.0, nan),
    ],
    "subtract": [(inf, inf, nan), (inf, -inf, inf), (-0.0, 0.0, -0.0), (0.0, 0.0, 0.0), (-0.0, -0.0, 0.0), (1.0, inf, -inf)],
    "multiply": [
        (inf, 0.0, nan), (-0.0, inf, nan), (inf, -inf, -inf), (-inf, -inf, inf), (inf, -2.0, -inf), (-0.0, 2.0, -0.0),
        (-0.0, -2.0, 0.0), (nan, 0.0, nan),
    ],
    "divide": [
        (inf, inf, nan), (inf, -inf, nan), (0.0, 0.0, nan), (-0.0, 0.0, nan), (0.0, 2.0, 0.0), (-0.0, 2.0, -0.0), (0.0, -2.0, -0.0),
        (-0.0, -2.0, 0.0), (2.0, 0.0, inf), (2.0, -0.0, -inf), (-2.0, 0.0, -inf), (-2.0, -0.0, inf), (inf, 2.0, inf),
        (inf, -2.0, -inf), (2.0, inf, 0.0), (2.0, -inf, -0.0), (-2.0, inf, -0.0), (-2.0, -inf, 0.0), (nan, 2.0, nan),
    ],
    "floor_divide": [
        (inf, inf, nan), (-inf, inf, nan), (0.0, 0.0, nan), (0.0, 2.0, 0.0), (-0.0, 2.0, -0.0), (0.0, -2.0, -0.0),
        (-0.0, -2.0, 0.0), (2.0, 0.0, inf), (2.0, -0.0, -inf), (-2.0, 0.0, -inf), (-2.0, -0.0, inf), (2.0, inf, 0.0),
        (-2.0, -inf, 0.0), (5.0, 3.0, 1.0), (-5.0, 3.0, -2.0), (nan, 1.0, nan),
    ],
    "remainder": [
        (inf, 2.0, nan), (-inf, 2.0, nan), (0.0, 0.0, nan), (2.0, 0.0, nan), (2.0, -0.0, nan), (0.0, 2.0, 0.0), (-0.0, 2.0, 0.0),
        (0.0, -2.0, -0.0), (-0.0, -2.0, -0.0), (2.0, inf, 2.0), (-2.0, -inf, -2.0), (2.0, -inf, -inf), (-2.0, inf, inf),
        (5.0, -3.0, -1.0), (-5.0, 3.0, 1.0), (nan, 1.0, nan),
    ],
    "pow": [
        (2.0, 0.0, 1.0), (nan, 0.0, 1.0), (nan, -0.0, 1.0), (nan, 2.0, nan), (2.0, inf, inf), (-2.0, inf, inf), (2.0, -inf, 0.0),
        (1.0, inf, 1.0), (1.0, -inf, 1.0), (-1.0, inf, 1.0), (1.0, nan, 1.0), (0.5, inf, 0.0), (0.5, -inf, inf), (inf, 2.0, inf),
        (inf, -2.0, 0.0), (-inf, 3.0, -inf), (-inf, 2.0, inf), (-inf, 2.5, inf), (-inf, -3.0, -0.0), (-inf, -2.0, 0.0),
        (0.0, 2.0, 0.0), (0.0, -2.0, inf), (-0.0, 3.0, -0.0), (-0.0, 2.0, 0.0), (-0.0, -3.0, -inf), (-0.0, -2.0, inf),
        (-0.0, -2.5, inf), (-2.0, 0.5, nan), (-2.0, 3.0, -8.0),
    ],
    "atan2": [
        (nan, 1.0, nan), (1.0, nan, nan), (2.0, 0.0, pi / 2), (2.0, -0.0, pi / 2), (0.0, 2.0, 0.0), (0.0, 0.0, 0.0),
        (0.0, -0.0, pi), (0.0, -2.0, pi), (-0.0, 2.0, -0.0), (-0.0, 0.0, -0.0), (-0.0, -0.0, -pi), (-0.0, -2.0, -pi),
        (-2.0, 0.0, -pi / 2), (-2.0, -0.0, -pi / 2), (2.0, inf, 0.0), (2.0, -inf, pi), (-2.0, inf, -0.0), (-2.0, -inf, -pi),
        (inf, 2.0, pi / 2), (-inf, 2.0, -pi / 2), (inf, inf, pi / 4), (inf, -inf, 3 * pi / 4), (-inf, inf, -pi / 4),
        (-inf, -inf, -3 * pi / 4),
    ],
    "hypot": [
        (inf, nan, inf), (nan, -inf, inf), (-inf, 1.0, inf), (nan, 1.0, nan), (0.0, -3.0, 3.0), (-0.0, -0.0, 0.0), (3.0, 4.0, 5.0),
    ],
    "copysign": [(2.0, -0.0, -2.0), (-2.0, 0.0, 2.0), (2.0, -inf, -2.0), (0.0, -1.0, -0.0), (-inf, 1.0, inf), (-3.0, nan, 3.0)],
    "maximum": [(nan, 1.0, nan), (1.0, nan, nan), (inf, 1.0, inf), (-inf, 1.0, 1.0)],
    "minimum": [(nan, 1.0, nan), (1.0, nan, nan), (inf, 1.0, 1.0), (-inf, 1.0, -inf)],
    "logaddexp": [(nan, 1.0, nan), (1.0, nan, nan), (inf, 1.0, inf), (-inf, 1.0, 1.0), (-inf, -inf, -inf), (inf, -inf, inf)],
    "nextafter": [(nan, 1.0, nan), (1.0, nan, nan), (0.0, -0.0, -0.0), (-0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (inf, inf, inf)],
}  # fmt: skip
TESTS = {"isfinite": [1, 1, 0, 0, 0], "isinf": [0, 0, 1, 1, 0], "isnan": [0, 0, 0, 0, 1], "signbit": [0, 1, 0, 1, 0]}


def same(got, want, what, dtype="float64"):
    """Equal, with the signs of zeros; what is neither 0 nor special may be rounded."""
    got, want = np.asarray(got), np.asarray(want, dtype=dtype)
    rtol = 1e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(got, want, rtol=rtol, atol=0, err_msg=what)
    zero = want == 0
    assert (np.signbit(got[zero]) == np.signbit(want[zero])).all(), (what, got, want)


# One number at a time, and many, which take other paths through the kernels.
@pytest.mark.parametrize("repeated", [1, 67])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one(name, dtype, repeated):
    for x, want in UNARY[name]:
        same(getattr(cv, name)(cv.asarray([x] * repeated, dtype=dtype)), [want] * repeated, f"{name}({x})", dtype)


@pytest.mark.parametrize("repeated", [1, 67])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two(name, dtype, repeated):
    for x, y, want in BINARY[name]:
        a, b = (cv.asarray([v] * repeated, dtype=dtype) for v in (x, y))
        same(getattr(cv, name)(a, b), [want] * repeated, f"{name}({x}, {y})", dtype)
        same(getattr(cv, name)(a, b[:1]), [want] * repeated, f"{name}({x}, {y}), broadcast", dtype)
        if name not in ("copysign", "nextafter"):
            same(getattr(cv, name)(a, y), [want] * repeated, f"{name}({x}, {y}) with a number", dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TESTS)
def test_predicates(name, dtype):
    x = cv.asarray([1.0, -0.0, inf, -inf, nan], dtype=dtype)
    assert getattr(cv, name)(x).tolist() == [bool(b) for b in TESTS[name]]


def test_folds_of_nothing_and_of_nan():
    empty, x = cv.zeros((0, 3)), cv.asarray([1.0, nan, 3.0])
    assert cv.sum(empty, axis=0).tolist() == [0.0] * 3 and cv.prod(empty, axis=0).tolist() == [1.0] * 3
    assert bool(cv.all(empty)) and not bool(cv.any(empty)) and bool(cv.all(x)) and bool(cv.any(cv.asarray([nan])))
    assert np.isnan(np.asarray(cv.mean(empty, axis=0))).all() and np.isnan(float(cv.var(cv.ones(1), correction=1)))
    for fold in (cv.sum, cv.prod, cv.max, cv.min, cv.mean, cv.var, cv.std):
        assert math.isnan(float(fold(x))), fold
    assert int(cv.argmax(x)) == int(cv.argmin(x)) == 1
    for fold in (cv.max, cv.min, cv.argmax, cv.argmin):
        with pytest.raises(ValueError):
            fold(cv.zeros(0))
    assert cv.cumulative_sum(cv.zeros(0), include_initial=True).tolist() == [0.0]
    assert int(cv.count_nonzero(cv.asarray([0.0, -0.0, nan, 2.0]))) == 2
    with pytest.raises(ValueError):
        cv.nonzero(cv.asarray(1.0))
    assert cv.sort(cv.asarray([nan, 1.0, -inf])).tolist()[:2] == [-inf, 1.0]


PARTS = [0.0, -0.0, 1.0, -2.0, inf, -inf, nan]
COMPLEX = ["exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh", "acosh", "atanh"]


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_functions_are_those_of_c99(name):
    wrong = []
    for re, im in itertools.product(PARTS, PARTS):
        if math.isnan(re + im) and 0.0 in (re, im):
            continue  # corrected in C after C99, whose first text Python follows
        try:
            want = getattr(cmath, name)(complex(re, im))
        except (ValueError, OverflowError):
            continue  # Python refuses what C99 gives as an infinity or a NaN
        got = complex(np.asarray(getattr(cv, name)(cv.asarray(np.asarray([complex(re, im)]))))[0])
        # Where nothing finite comes in, C99 leaves the signs of zeros and infinities open.
        signs = not (math.isnan(re) or math.isnan(im) or (math.isinf(re) and math.isinf(im)))
        if (name, math.isinf(re)) == ("tanh", True) or (name, math.isinf(im)) == ("tan", True):
            signs = False  # the standard has another zero here, see below
        for a, b in ((got.real, want.real), (got.imag, want.imag)):
            if not signs:
                a, b = abs(a), abs(b)
            fits = (math.isnan(a) and math.isnan(b)) or a == b or math.isclose(a, b, rel_tol=1e-13)
            if not fits or (b == 0 and math.copysign(1, a) != math.copysign(1, b)):
                wrong.append((re, im, got, want))
                break
    assert not wrong, "\n".join(map(str, wrong))


def test_complex_zeros_of_the_standard_that_c99_has_not():
    """Zeros whose sign the standard gives: `1 + 0j` for tanh, where C99 has the sign of `sin(2b)`, and `0 + 0j` for expm1."""

    def signed(f, z):
        w = complex(np.asarray(f(cv.asarray(np.asarray([z]))))[0])
        return (w.real, math.copysign(1, w.real), w.imag, math.copysign(1, w.imag))

    for size in (1e-300, 0.5, 1.0, 2.0, 2.5, 4e153):
        for b, sign in ((size, 1.0), (-size, -1.0)):
            assert signed(cv.tanh, complex(inf, b)) == (1.0, 1.0, 0.0, sign)
            assert signed(cv.tanh, complex(-inf, b)) == (-1.0, -1.0, 0.0, sign)
            assert signed(cv.tan, complex(b, inf)) == (0.0, sign, 1.0, 1.0)  # -1j * tanh(1j * z)
    for zero in (0.0, -0.0):
        assert signed(cv.expm1, complex(zero, 0.0)) == (0.0, 1.0, 0.0, 1.0)
        assert signed(cv.expm1, complex(zero, -0.0)) == (0.0, 1.0, 0.0, -1.0)


def test_complex_parts():
    for re, im in itertools.product(PARTS, PARTS):
        z = cv.asarray(np.asarray([complex(re, im)]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            want = np.abs(np.asarray(z))[0]
        got = float(cv.abs(z)[0])
        assert got == want or (math.isnan(got) and math.isnan(want)), (re, im, got, want)
        assert bool(cv.isfinite(z)[0]) == (math.isfinite(re) and math.isfinite(im))
        assert bool(cv.isinf(z)[0]) == (math.isinf(re) or math.isinf(im))
        assert bool(cv.isnan(z)[0]) == (math.isnan(re) or math.isnan(im))
