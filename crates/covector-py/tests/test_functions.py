"""Functions that are not elementwise, against NumPy."""

import hypothesis.strategies as st
import numpy as np
import pytest
from common import ALL, FLOATS, INTS, NUMERIC, SHAPES, arrays, same
from hypothesis import assume, given
from hypothesis.extra import numpy as hnp

import covector as cv

SOME = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


def finite(dtype, shape=SOME):
    elements = st.floats(-8, 8, width=32) if dtype in FLOATS else st.integers(0, 8)
    return hnp.arrays(dtype, shape, elements=elements)


def axes(ndim):
    return st.none() | (hnp.valid_tuple_axes(ndim) if ndim else st.just(()))


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean", "any", "all", "count_nonzero"])
@given(data=st.data(), dtype=st.sampled_from(FLOATS + ["int8", "uint8", "int64", "bool"]))
def test_reductions(name, data, dtype):
    x = data.draw(finite(dtype) if dtype != "bool" else arrays("bool", SOME))
    assume(not (name in ("max", "min", "mean") and dtype == "bool"))
    assume(not (name == "mean" and dtype not in FLOATS))
    axis, keep = data.draw(axes(x.ndim)), data.draw(st.booleans())
    if axis == ():
        axis = None
    got = getattr(cv, name)(cv.asarray(x), axis=axis, keepdims=keep)
    want = np.asarray(getattr(np, name)(x, axis=axis, keepdims=keep))
    same(got, want, rtol=1e-4 if dtype == "float32" else 1e-9)


@given(data=st.data(), dtype=st.sampled_from(FLOATS), name=st.sampled_from(["var", "std"]), correction=st.sampled_from([0, 1]))
def test_moments(data, dtype, name, correction):
    x = data.draw(finite(dtype, hnp.array_shapes(min_dims=1, max_dims=3, min_side=2, max_side=4)))
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    got = getattr(cv, name)(cv.asarray(x), axis=axis, correction=correction)
    same(got, getattr(np, name)(x, axis=axis, ddof=correction), rtol=2e-3 if dtype == "float32" else 1e-9)


@given(data=st.data(), dtype=st.sampled_from(NUMERIC), name=st.sampled_from(["argmax", "argmin"]), keep=st.booleans())
def test_places_of_extremes(data, dtype, name, keep):
    x = data.draw(finite(dtype))
    axis = data.draw(st.none() | st.integers(-x.ndim, x.ndim - 1))
    same(getattr(cv, name)(cv.asarray(x), axis=axis, keepdims=keep), getattr(np, name)(x, axis=axis, keepdims=keep))


@given(data=st.data(), dtype=st.sampled_from(["float64", "int64", "int8", "uint16"]), initial=st.booleans())
def test_cumulative_sums_and_products(data, dtype, initial):
    x = data.draw(finite(dtype))
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    for name in ("cumulative_sum", "cumulative_prod"):
        got = getattr(cv, name)(cv.asarray(x), axis=axis, include_initial=initial)
        same(got, getattr(np, name)(x, axis=axis, include_initial=initial))


@given(data=st.data(), dtype=st.sampled_from(ALL), descending=st.booleans())
def test_sorting(data, dtype, descending):
    x = data.draw(finite(dtype) if dtype != "bool" else arrays("bool", SOME))
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    want = np.sort(x, axis=axis)
    want = np.flip(want, axis=axis) if descending else want
    same(cv.sort(cv.asarray(x), axis=axis, descending=descending), want)
    order = cv.argsort(cv.asarray(x), axis=axis, descending=descending)
    same(cv.take_along_axis(cv.asarray(x), order, axis=axis), want)


@given(data=st.data(), dtype=st.sampled_from(["float64", "int32", "bool", "uint8"]))
def test_distinct_values(data, dtype):
    x = data.draw(finite(dtype) if dtype != "bool" else arrays("bool", SOME))
    x = x + x.dtype.type(0) if dtype != "bool" else x  # no negative zeros
    values, indices, inverse, counts = cv.unique_all(cv.asarray(x))
    want = np.unique_all(x)
    same(values, want.values)
    same(indices, want.indices)
    same(inverse, want.inverse_indices)
    same(counts, want.counts)
    same(cv.unique_values(cv.asarray(x)), want.values)
    assert cv.unique_counts(cv.asarray(x)).counts.tolist() == counts.tolist()
    same(cv.unique_inverse(cv.asarray(x)).inverse_indices, want.inverse_indices)


def test_every_nan_is_a_value_of_its_own():
    x = cv.asarray([float("nan"), 1.0, float("nan"), -0.0, 0.0])
    result = cv.unique_counts(x)
    assert result.counts.tolist() == [2, 1, 1, 1]


@given(data=st.data(), dtype=st.sampled_from(ALL))
def test_places_of_what_is_not_zero(data, dtype):
    x = data.draw(arrays(dtype, SOME))
    for got, want in zip(cv.nonzero(cv.asarray(x)), np.nonzero(x), strict=True):
        same(got, want)


@given(data=st.data(), dtype=st.sampled_from(NUMERIC), invert=st.booleans())
def test_membership(data, dtype, invert):
    x, y = data.draw(arrays(dtype)), data.draw(arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=1, min_side=0)))
    same(cv.isin(cv.asarray(x), cv.asarray(y), invert=invert), np.isin(x, y, invert=invert))


@given(data=st.data(), side=st.sampled_from(["left", "right"]))
def test_searching(data, side):
    x = np.sort(data.draw(finite("float64", hnp.array_shapes(min_dims=1, max_dims=1))))
    values = data.draw(finite("float64"))
    same(cv.searchsorted(cv.asarray(x), cv.asarray(values), side=side), np.searchsorted(x, values, side=side))


@given(data=st.data())
def test_shapes_change(data):
    x = data.draw(arrays("int64", SOME))
    c, n = cv.asarray(x), x.ndim
    axis = data.draw(st.integers(-n, n - 1))
    order = data.draw(st.permutations(range(n)))
    same(cv.permute_dims(c, order), np.transpose(x, order))
    same(cv.flip(c, axis=axis), np.flip(x, axis))
    same(cv.flip(c), np.flip(x))
    same(cv.roll(c, 2, axis=axis), np.roll(x, 2, axis))
    same(cv.roll(c, -1), np.roll(x, -1))
    same(cv.expand_dims(c, axis=axis), np.expand_dims(x, axis))
    same(cv.squeeze(cv.expand_dims(c, axis=axis), axis=axis), x)
    same(cv.moveaxis(c, axis, 0), np.moveaxis(x, axis, 0))
    same(cv.reshape(c, (-1,)), x.reshape(-1))
    same(cv.tile(c, (2, 1)), np.tile(x, (2, 1)))
    same(cv.concat([c, c], axis=axis), np.concatenate([x, x], axis=axis))
    same(cv.concat([c, c], axis=None), np.concatenate([x, x], axis=None))
    same(cv.stack([c, c], axis=axis), np.stack([x, x], axis=axis))
    same(cv.repeat(c, 2, axis=axis), np.repeat(x, 2, axis))
    same(cv.repeat(c, 3), np.repeat(x, 3))
    counts = np.arange(x.shape[axis])
    same(cv.repeat(c, cv.asarray(counts), axis=axis), np.repeat(x, counts, axis))
    same(cv.diff(c, axis=axis, prepend=c), np.diff(x, axis=axis, prepend=x))
    same(cv.broadcast_to(c, (2, *x.shape)), np.broadcast_to(x, (2, *x.shape)))
    for got, want in zip(cv.unstack(c, axis=axis), np.moveaxis(x, axis, 0), strict=True):
        same(got, want)
    picked = np.asarray([0, x.shape[axis] - 1])
    same(cv.take(c, cv.asarray(picked), axis=axis), np.take(x, picked, axis=axis))


@given(data=st.data(), k=st.integers(-3, 3))
def test_matrices(data, k):
    m, n = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 4))
    x = data.draw(finite("float64", st.just((2, m, n))))
    c = cv.asarray(x)
    same(cv.tril(c, k=k), np.tril(x, k))
    same(cv.triu(c, k=k), np.triu(x, k))
    same(cv.matrix_transpose(c), np.swapaxes(x, -1, -2))
    same(c.mT @ c, np.swapaxes(x, -1, -2) @ x, rtol=1e-9)
    same(cv.eye(m, n, k=k, dtype=cv.float64), np.eye(m, n, k))
    same(cv.linalg.diagonal(c, offset=k), np.diagonal(x, k, -2, -1))
    same(cv.linalg.trace(c, offset=k), np.trace(x, k, -2, -1), rtol=1e-9)
    same(cv.vecdot(c, c), np.vecdot(x, x), rtol=1e-9)
    same(cv.tensordot(c, c, axes=((0, 1), (0, 1))), np.tensordot(x, x, ((0, 1), (0, 1))), rtol=1e-9)
    same(cv.einsum("bmn,bmk->bnk", c, c), np.einsum("bmn,bmk->bnk", x, x), rtol=1e-9)


@given(start=st.integers(-5, 5), stop=st.integers(-5, 5), step=st.sampled_from([1, 2, -1, 3]))
def test_ranges(start, stop, step):
    same(cv.arange(start, stop, step), np.arange(start, stop, step))
    same(cv.arange(start, stop, step / 2, dtype=cv.float64), np.arange(start, stop, step / 2))
    n = abs(stop)
    same(cv.linspace(start, stop, n, dtype=cv.float64), np.linspace(start, stop, n), rtol=1e-9)
    same(cv.linspace(start, stop, n, endpoint=False, dtype=cv.float64), np.linspace(start, stop, n, endpoint=False), rtol=1e-9)


def test_astype_without_a_copy_is_the_array():
    """The standard: of an array that has the dtype, `copy=False` returns the array itself; else it is a new one."""
    x = cv.ones(3)
    for same_one in (cv.astype(x, cv.float32, copy=False), x.astype("float32", copy=False)):
        assert same_one is x
    others = [cv.astype(x, cv.float32), x.astype(cv.float32), cv.astype(x, cv.float64, copy=False), x.astype("float64", copy=False)]
    x[0] = 5.0
    assert same_one.tolist() == [5.0, 1.0, 1.0]
    assert all(y.tolist() == [1.0, 1.0, 1.0] for y in others)


@pytest.mark.parametrize("endpoint", [True, False])
def test_linspace_begins_and_ends_where_it_is_told(endpoint):
    for start, stop in [(2.0**-23, -49.0), (-49.0, 2.0**-23), (0.1, -0.7), (0.3, 0.3), (1e30, -1.0), (-0.1, 1e-30)]:
        for n in range(1, 100):
            for dtype in ("float32", "float64"):
                x = np.asarray(cv.linspace(start, stop, n, dtype=dtype, endpoint=endpoint))
                assert x[0] == np.asarray(start, dtype), (start, stop, n)
                assert not endpoint or n == 1 or x[-1] == np.asarray(stop, dtype), (start, stop, n)
                want = np.linspace(start, stop, n, endpoint=endpoint)
                np.testing.assert_allclose(x, want, rtol=0, atol=2e-7 * max(abs(start), abs(stop)))


@pytest.mark.parametrize("endpoint", [True, False])
def test_linspace_of_complex_numbers(endpoint):
    for start, stop in [(0, 1j), (1 + 2j, -3.0), (0.1 - 0.2j, 0.1 + 0.7j), (2, 5)]:
        for n in (0, 1, 2, 7):
            for dtype in ("complex64", "complex128"):
                x = cv.linspace(start, stop, n, dtype=dtype, endpoint=endpoint)
                assert x.shape == (n,) and x.dtype is getattr(cv, dtype)
                np.testing.assert_allclose(np.asarray(x), np.linspace(start, stop, n, endpoint=endpoint), rtol=1e-6)
                assert n == 0 or complex(x[0]) == np.asarray(start, dtype)
                assert not endpoint or n < 2 or complex(x[-1]) == np.asarray(stop, dtype)
    assert cv.linspace(1j, 2, 3).dtype is cv.complex64 and cv.linspace(0, cv.asarray(1j), 3).dtype is cv.complex64
    with pytest.raises(ValueError, match="complex"):
        cv.linspace(0, 1j, 3, dtype=cv.float32)
    with pytest.raises(ValueError, match="finite"):
        cv.linspace(0, complex("nan"), 3)


@given(shape=SHAPES, dtype=st.sampled_from(ALL))
def test_filled_arrays(shape, dtype):
    d = getattr(cv, dtype)
    same(cv.zeros(shape, dtype=d), np.zeros(shape, dtype))
    same(cv.ones(shape, dtype=d), np.ones(shape, dtype))
    same(cv.full(shape, 1, dtype=d), np.full(shape, 1, dtype))
    x = cv.zeros(shape, dtype=d)
    same(cv.ones_like(x), np.ones(shape, dtype))
    same(cv.full_like(x, 1), np.full(shape, 1, dtype))
    assert cv.empty(shape, dtype=d).shape == shape and cv.empty_like(x).dtype is d


def test_fill_values_choose_the_dtype():
    assert [cv.full(2, v).dtype for v in (True, 3, 2.5)] == [cv.bool, cv.int64, cv.float32]


def test_grids_and_broadcasting():
    x, y = np.arange(2), np.arange(3.0)
    for indexing in ("xy", "ij"):
        for got, want in zip(cv.meshgrid(*map(cv.asarray, (x, y)), indexing=indexing), np.meshgrid(x, y, indexing=indexing)):
            same(got, want)
    a, b = cv.broadcast_arrays(cv.asarray(x[:, None]), cv.asarray(y))
    assert a.shape == b.shape == cv.broadcast_shapes((2, 1), (3,)) == (2, 3)
    with pytest.raises(ValueError, match="broadcast"):
        cv.broadcast_shapes((2,), (3,))


@given(data=st.data(), source=st.sampled_from(ALL), target=st.sampled_from(ALL))
def test_casts(data, source, target):
    x = data.draw(finite(source) if source != "bool" else arrays("bool"))
    assume(not (source in FLOATS and target.startswith("uint")))
    same(cv.astype(cv.asarray(x), getattr(cv, target)), x.astype(target))


def test_sums_of_narrow_integers_do_not_overflow():
    assert cv.sum(cv.full(300, 100, dtype=cv.int8)).item() == 30000
    assert cv.sum(cv.ones(3, dtype=cv.uint8)).dtype is cv.uint64
    assert cv.sum(cv.ones(3, dtype=cv.int8), dtype=cv.float64).dtype is cv.float64
    assert {cv.prod(cv.ones(2, dtype=getattr(cv, d))).dtype for d in INTS} == {cv.int64, cv.uint64}


def regular(n, seed=0):
    return np.random.default_rng(seed).normal(size=(2, n, n)) + 3 * np.eye(n)


def test_linear_algebra():
    x = regular(3)
    spd = x @ np.swapaxes(x, -1, -2)
    c, s, b = cv.asarray(x), cv.asarray(spd), cv.asarray(x[..., :2].copy())
    same(cv.linalg.inv(c), np.linalg.inv(x), rtol=1e-9)
    same(cv.linalg.det(c), np.linalg.det(x), rtol=1e-9)
    same(cv.linalg.solve(c, b), np.linalg.solve(x, x[..., :2]), rtol=1e-9)
    same(cv.linalg.cholesky(s), np.linalg.cholesky(spd), rtol=1e-9)
    same(cv.linalg.eigvalsh(s), np.linalg.eigvalsh(spd), rtol=1e-9)
    same(cv.linalg.svdvals(c), np.linalg.svd(x, compute_uv=False), rtol=1e-9)
    same(cv.linalg.matrix_power(c, 3), np.linalg.matrix_power(x, 3), rtol=1e-9)
    same(cv.linalg.pinv(c), np.linalg.pinv(x), rtol=1e-9)
    same(cv.linalg.matrix_norm(c), np.linalg.matrix_norm(x), rtol=1e-9)
    same(cv.linalg.vector_norm(c, axis=-1), np.linalg.vector_norm(x, axis=-1), rtol=1e-9)
    assert cv.linalg.matrix_rank(c).tolist() == [3, 3]
    u, sv, vh = cv.linalg.svd(c)
    same(u @ (sv[..., None] * vh), x, rtol=1e-9)
    q, r = cv.linalg.qr(c)
    same(q @ r, x, rtol=1e-9)
    assert cv.linalg.eigh(s).eigenvalues.shape == (2, 3)
    with pytest.raises(cv.LinAlgError):
        cv.linalg.inv(cv.zeros((2, 2))).tolist()


def test_a_product_of_matrices_and_vectors():
    for a, b in [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((4, 1, 2, 3), (5, 3, 2))]:
        x, y = np.random.default_rng(1).normal(size=a), np.random.default_rng(2).normal(size=b)
        same(cv.matmul(cv.asarray(x), cv.asarray(y)), x @ y, rtol=1e-9)
    with pytest.raises(ValueError, match="matmul"):
        cv.ones((2, 3)) @ cv.ones((2, 3))
    with pytest.raises(TypeError):
        cv.ones((2, 2)) @ 3
