"""Elementwise functions against NumPy: values, special values, dtypes, shapes, operators."""

import operator

import hypothesis.strategies as st
import numpy as np
import pytest
from common import ALL, FLOATS, INTS, NUMERIC, arrays, pairs, same
from hypothesis import given

import covector as cv

FLOATING = [
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "exp", "expm1", "log", "log10", "log1p", "log2",
    "sin", "sinh", "sqrt", "tan", "tanh", "reciprocal",
]  # fmt: skip
KEEPING = ["abs", "ceil", "floor", "negative", "positive", "round", "sign", "square", "trunc"]
PREDICATES = ["isfinite", "isinf", "isnan"]
ARITHMETIC = ["add", "subtract", "multiply", "maximum", "minimum"]
COMPARISONS = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
LOGICAL = ["logical_and", "logical_or", "logical_xor"]
BITWISE = ["bitwise_and", "bitwise_or", "bitwise_xor"]
REAL = ["atan2", "hypot", "logaddexp", "copysign", "nextafter", "divide"]


def quiet(f, *args):
    with np.errstate(all="ignore"):
        return f(*args)


@pytest.mark.parametrize("name", FLOATING)
@given(data=st.data(), dtype=st.sampled_from(FLOATS))
def test_real_functions(name, data, dtype):
    x = data.draw(arrays(dtype))
    rtol = 2e-5 if dtype == "float32" else 1e-12
    same(getattr(cv, name)(cv.asarray(x)), quiet(getattr(np, name), x), rtol)


@pytest.mark.parametrize("name", KEEPING)
@given(data=st.data(), dtype=st.sampled_from(NUMERIC))
def test_functions_that_keep_the_dtype(name, data, dtype):
    x = data.draw(arrays(dtype))
    want = quiet(getattr(np, name), x)
    same(getattr(cv, name)(cv.asarray(x)), np.asarray(want).astype(dtype))


@pytest.mark.parametrize("name", PREDICATES)
@given(data=st.data(), dtype=st.sampled_from(NUMERIC))
def test_predicates(name, data, dtype):
    x = data.draw(arrays(dtype))
    same(getattr(cv, name)(cv.asarray(x)), getattr(np, name)(x))


@given(data=st.data(), dtype=st.sampled_from(FLOATS))
def test_signbit(data, dtype):
    x = data.draw(arrays(dtype))
    same(cv.signbit(cv.asarray(x)), np.signbit(x))


@pytest.mark.parametrize("name", ARITHMETIC)
@given(pair=pairs(NUMERIC))
def test_arithmetic(name, pair):
    same(getattr(cv, name)(*map(cv.asarray, pair)), quiet(getattr(np, name), *pair))


@pytest.mark.parametrize("name", COMPARISONS)
@given(pair=pairs(ALL))
def test_comparisons(name, pair):
    same(getattr(cv, name)(*map(cv.asarray, pair)), quiet(getattr(np, name), *pair))


@pytest.mark.parametrize("name", LOGICAL)
@given(pair=pairs(["bool"]))
def test_logical_functions(name, pair):
    same(getattr(cv, name)(*map(cv.asarray, pair)), getattr(np, name)(*pair))


@pytest.mark.parametrize("name", BITWISE)
@given(pair=pairs(["bool", *INTS]))
def test_bitwise_functions(name, pair):
    same(getattr(cv, name)(*map(cv.asarray, pair)), getattr(np, name)(*pair))


@given(data=st.data(), dtype=st.sampled_from(["bool", *INTS]))
def test_inversion(data, dtype):
    x = data.draw(arrays(dtype))
    same(cv.bitwise_invert(cv.asarray(x)), np.invert(x))
    same(~cv.asarray(x), ~x)


@pytest.mark.parametrize("name", ["bitwise_left_shift", "bitwise_right_shift"])
@given(data=st.data(), dtype=st.sampled_from(INTS))
def test_shifts(name, data, dtype):
    x = data.draw(arrays(dtype))
    n = data.draw(st.integers(0, 7))
    same(getattr(cv, name)(cv.asarray(x), n), getattr(np, name)(x, np.asarray(n, dtype)))


@pytest.mark.parametrize("name", REAL)
@given(pair=pairs(FLOATS))
def test_real_functions_of_two(name, pair):
    rtol = 2e-5 if pair[0].dtype == np.float32 or pair[1].dtype == np.float32 else 1e-12
    same(getattr(cv, name)(*map(cv.asarray, pair)), quiet(getattr(np, name), *pair), rtol)


@pytest.mark.parametrize("name", ["floor_divide", "remainder"])
@given(pair=pairs(INTS))
def test_division_of_integers(name, pair):
    a, b = pair
    b = np.where(b == 0, np.ones((), b.dtype), b)
    if a.dtype.kind == "i" or b.dtype.kind == "i":
        b = np.where(b == -1, np.ones((), b.dtype), b)
    same(getattr(cv, name)(cv.asarray(a), cv.asarray(b)), quiet(getattr(np, name), a, b))


@given(data=st.data(), dtype=st.sampled_from(FLOATS))
def test_powers(data, dtype):
    x, n = data.draw(arrays(dtype)), data.draw(st.sampled_from([0, 1, 2, 3, 0.5, -1, -2.0]))
    rtol = 2e-5 if dtype == "float32" else 1e-12
    same(cv.asarray(x) ** n, quiet(np.power, x, np.asarray(n, dtype)), rtol)


OPERATORS = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.lt, operator.le, operator.eq, operator.ne,
    operator.gt, operator.ge,
]  # fmt: skip


@pytest.mark.parametrize("op", OPERATORS)
@given(data=st.data(), dtype=st.sampled_from(FLOATS))
def test_operators_with_numbers_of_python(op, data, dtype):
    x, n = data.draw(arrays(dtype)), data.draw(st.sampled_from([0, 1, -3, 0.5, 2.0]))
    number = np.asarray(n, dtype)
    same(op(cv.asarray(x), n), quiet(op, x, number))
    same(op(n, cv.asarray(x)), quiet(op, number, x))


@pytest.mark.parametrize("op", [operator.iadd, operator.isub, operator.imul])
@given(data=st.data(), dtype=st.sampled_from(NUMERIC))
def test_operators_in_place(op, data, dtype):
    x = data.draw(arrays(dtype))
    y, alias = cv.asarray(x), None
    y = alias = cv.asarray(y, copy=True)
    y = op(y, 2)
    assert y is alias
    same(y, quiet(op, x.copy(), np.asarray(2, dtype)))


def test_in_place_refuses_another_shape_or_kind():
    x = cv.ones((2,))
    with pytest.raises(ValueError, match="shape"):
        x += cv.ones((3, 2))
    i = cv.asarray([1, 2])
    with pytest.raises(TypeError, match="float32"):
        i /= 2.5
    assert i.tolist() == [1, 2]


def test_numbers_beyond_the_dtype_are_errors_and_compare_as_what_they_are():
    x = cv.asarray([1, 2], dtype=cv.int8)
    with pytest.raises(OverflowError, match="int8"):
        x + 300
    with pytest.raises(OverflowError, match="bounds"):
        cv.asarray([1, 300], dtype=cv.int8)
    assert (x < 300).tolist() == [True, True]
    assert (x == 300).tolist() == [False, False]


@given(data=st.data(), dtype=st.sampled_from(NUMERIC))
def test_clip(data, dtype):
    x = data.draw(arrays(dtype))
    low, high = (0, 5)
    same(cv.clip(cv.asarray(x), low, high), quiet(np.clip, x, np.asarray(low, dtype), np.asarray(high, dtype)))
    same(cv.clip(cv.asarray(x), max=high), quiet(np.minimum, x, np.asarray(high, dtype)))


@given(pair=pairs(NUMERIC), data=st.data())
def test_where(pair, data):
    a, b = pair
    shape = np.broadcast_shapes(a.shape, b.shape)
    mask = data.draw(arrays("bool", shape))
    same(cv.where(cv.asarray(mask), cv.asarray(a), cv.asarray(b)), np.where(mask, a, b))


def test_numbers_stand_on_either_side():
    x = cv.asarray([1, 2], dtype=cv.int16)
    assert cv.add(1, x).dtype == cv.int16
    assert cv.maximum(x, 2).tolist() == [2, 2]
    assert cv.subtract(5, x).tolist() == [4, 3]
    assert cv.divide(1.0, cv.asarray([2.0])).tolist() == [0.5]
    assert cv.where(cv.asarray([True, False]), 1, cv.asarray([5, 6], dtype=cv.int8)).dtype == cv.int8
    assert (cv.asarray([True, False]) & True).dtype == cv.bool
