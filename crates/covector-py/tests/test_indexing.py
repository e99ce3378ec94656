"""Indexing and assignment against NumPy."""

import hypothesis.strategies as st
import numpy as np
import pytest
from common import arrays, same
from hypothesis import given
from hypothesis.extra import numpy as hnp

import covector as cv

SOME = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


@given(data=st.data())
def test_basic_indices(data):
    x = data.draw(arrays("int64", SOME))
    key = data.draw(hnp.basic_indices(x.shape, allow_newaxis=True, allow_ellipsis=True))
    same(cv.asarray(x)[key], x[key])


@given(data=st.data())
def test_integer_arrays(data):
    x = data.draw(arrays("float64", SOME))
    key = data.draw(hnp.integer_array_indices(x.shape))
    same(cv.asarray(x)[tuple(cv.asarray(k) for k in key)], x[key])
    same(cv.asarray(x)[tuple(k.tolist() for k in key)], x[key])


@given(data=st.data())
def test_masks(data):
    x = data.draw(arrays("int32"))
    n = data.draw(st.integers(0, x.ndim))
    mask = data.draw(arrays("bool", x.shape[:n]))
    same(cv.asarray(x)[cv.asarray(mask)], x[mask])


KEYS = [
    (slice(None), [0, 1]),
    ([0, 1], slice(None), [1, 2]),
    (0, slice(None), [1, 2]),
    (slice(None), [0, 1], [1, 0]),
    (slice(None), 1, [0, 1]),
    ([[0, 1], [1, 0]], ..., 1),
    (..., [0, 2]),
    (None, [1, 0], slice(None, None, -1)),
    (np.array([True, False]), slice(None), [0, 1]),
    (slice(None), np.array([True, False, True])),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_arrays_among_other_indices(key):
    x = np.arange(24).reshape(2, 3, 4)
    same(cv.asarray(x)[key], x[key])
    values = -np.arange(x[key].size).reshape(x[key].shape)
    want, got = x.copy(), cv.asarray(x)
    want[key] = values
    got[key] = cv.asarray(values)
    same(got, want)


@given(data=st.data())
def test_assignment(data):
    x = data.draw(arrays("int64", SOME))
    key = data.draw(hnp.basic_indices(x.shape, allow_newaxis=False, allow_ellipsis=True))
    want, got = x.copy(), cv.asarray(x)
    old = got[...]
    want[key] = 7
    got[key] = 7
    same(got, want)
    same(old, x)
    same(old.at[key].set(7), want)
    want = x.copy()
    want[key] += 2
    same(old.at[key].add(2), want)


@given(data=st.data())
def test_updates_of_leading_axes(data):
    x = data.draw(arrays("int64", SOME))
    n = data.draw(st.integers(1, x.ndim))
    key = data.draw(hnp.integer_array_indices(x.shape[:n]))
    tail = data.draw(st.sampled_from([(), (...,), (slice(None),) * (x.ndim - n)]))
    place = cv.asarray(x).at[tuple(k.tolist() for k in key) + tail]
    values = data.draw(arrays("int64", x[key].shape))
    for got, join in ((place.add, np.add), (place.max, np.maximum), (place.min, np.minimum)):
        want = x.copy()
        join.at(want, key, values)
        same(got(cv.asarray(values)), want)
    want = x.copy()
    want[key] = values
    same(place.set(cv.asarray(values)), want)
    want[key] = x[key] * 3
    same(place.multiply(3), want)
    want[key] = values[..., :1] if x.ndim > n else values
    same(place.set(cv.asarray(values[..., :1] if x.ndim > n else values)), want)


@pytest.mark.parametrize("key", [(..., ...), (0, 0, 0), [7], (slice(None), slice(None), slice(None)), (..., 0, 0, 0)])
def test_wrong_places_are_index_errors(key):
    with pytest.raises(IndexError):
        cv.asarray([[1, 2], [3, 4]]).at[key].set(0).tolist()


@pytest.mark.parametrize("shape, mask", [((1,), (0,)), ((2, 3), (0,)), ((2, 3), (0, 3)), ((2, 3), (2, 0)), ((2, 3, 4), (0, 0))])
def test_masks_of_no_elements_fit_any_axis(shape, mask):
    """The standard: each size of a mask is that of its axis, or 0."""
    x, none = cv.ones(shape), cv.zeros(mask, dtype=cv.bool)
    assert x[none].shape == (0, *shape[len(mask) :])
    x[none] = 7.0
    assert bool(cv.all(x == 1.0))
    for odd in ((3,), (2, 2), (0, 2), (0,) * (len(shape) + 1)):
        if len(odd) > len(shape) or any(m not in (0, n) for n, m in zip(shape, odd)):
            with pytest.raises(IndexError):
                x[cv.zeros(odd, dtype=cv.bool)]


def test_masks_assign_and_several_values_for_one_place_add_up():
    x = cv.zeros(3)
    x[cv.asarray([True, False, True])] = 5
    assert x.tolist() == [5.0, 0.0, 5.0]
    x[x > 1] = cv.asarray([1.0, 2.0])
    assert x.tolist() == [1.0, 0.0, 2.0]
    assert cv.zeros(2).at[[0, 0, 1]].add(1).tolist() == [2.0, 1.0]
    assert cv.asarray([3, 1]).at[[0, 1]].max(2).tolist() == [3, 2]
    assert cv.asarray([3, 1]).at[0].multiply(4).tolist() == [12, 1]


def test_updates_have_derivatives():
    g = cv.grad(lambda x, v: (x.at[1].set(v) ** 2).sum(), argnums=(0, 1))(cv.asarray([1.0, 2.0]), cv.asarray(5.0))
    assert (g[0].tolist(), g[1].tolist()) == ([2.0, 0.0], 10.0)

    def assigned(x):
        x[0] = 3 * x[1]
        return x.sum()

    assert cv.grad(assigned)(cv.asarray([1.0, 2.0])).tolist() == [0.0, 4.0]


@pytest.mark.parametrize("key", [5, -3, (0, 0, 0), [7], "a", 1.5, (..., ...), cv.asarray([1.0]), 2**70])
def test_wrong_indices_are_index_errors(key):
    x = cv.asarray([[1, 2], [3, 4]])
    with pytest.raises(IndexError):
        x[key].tolist()


def test_slices_beyond_the_end_are_clamped():
    x = cv.asarray([1, 2, 3])
    assert x[-100:100].tolist() == [1, 2, 3]
    assert x[: 2**80].tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="step"):
        x[::0]
