"""Complex numbers and Fourier transforms against NumPy: values, dtypes, exchange, derivatives."""

import inspect
import operator
import pickle

import array_api_strict as strict
import hypothesis.strategies as st
import numpy as np
import pytest
from common import SHAPES
from hypothesis import given
from hypothesis.extra import numpy as hnp

import covector as cv

COMPLEX = ["complex64", "complex128"]
FUNCTIONS = [
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "exp", "expm1", "log", "log10", "log1p", "log2",
    "sin", "sinh", "sqrt", "tan", "tanh", "square", "negative", "positive", "conj", "real", "imag", "abs",
]  # fmt: skip
OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.eq, operator.ne]


def arrays(dtype, shape=SHAPES):
    """Complex numbers near enough to 0 that nothing overflows, and away from the branch cuts' ends."""
    part = st.floats(0.1, 0.9).map(lambda x: round(x, 3))
    parts = st.builds(complex, part | part.map(operator.neg), part | part.map(operator.neg))
    return hnp.arrays(dtype, shape, elements=parts.map(np.dtype(dtype).type), fill=st.nothing())


def same(got, want, rtol=None):
    want = np.asarray(want)
    assert isinstance(got, cv.Array) and got.shape == want.shape and str(got.dtype) == want.dtype.name, (got.dtype, want.dtype)
    rtol = rtol or (1e-5 if want.dtype in (np.float32, np.complex64) else 1e-12)
    np.testing.assert_allclose(np.asarray(got), want, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", FUNCTIONS)
@given(data=st.data(), dtype=st.sampled_from(COMPLEX))
def test_functions(name, data, dtype):
    x = data.draw(arrays(dtype))
    same(getattr(cv, name)(cv.asarray(x)), getattr(np, name)(x))


@pytest.mark.parametrize("op", OPERATORS)
@given(data=st.data(), dtype=st.sampled_from(COMPLEX))
def test_operators(op, data, dtype):
    x, y = data.draw(arrays(dtype)), data.draw(arrays(dtype, ()))
    same(op(cv.asarray(x), cv.asarray(y)), op(x, y))
    n = data.draw(st.sampled_from([2, 0.5, 1j, 1.5 - 2j]))
    number = np.asarray(n, dtype)
    same(op(cv.asarray(x), n), op(x, number))
    same(op(n, cv.asarray(x)), op(number, x))


def test_numbers_of_python():
    for dtype, wanted in (("float32", cv.complex64), ("float64", cv.complex128), ("complex128", cv.complex128)):
        x = cv.asarray([1, 2], dtype=dtype)
        assert (x * 1j).dtype is wanted and (1j - x).dtype is wanted and (x / 1j).dtype is wanted
        assert cv.result_type(x, 1j) is wanted
    assert cv.asarray(1j).dtype is cv.complex64 and cv.asarray([1, 2.5, 1j]).tolist() == [1, 2.5, 1j]
    assert cv.asarray([1j], dtype=cv.complex128).dtype is cv.complex128
    assert cv.asarray([1, 2], dtype=complex).dtype is cv.complex64
    assert cv.full(2, 1j).tolist() == [1j, 1j] and cv.full_like(cv.ones(1, dtype=cv.complex64), 2 - 1j).tolist() == [2 - 1j]
    assert complex(cv.asarray(2 - 1j)) == 2 - 1j and bool(cv.asarray(1j)) and not bool(cv.asarray(0j))
    for wrong in (lambda: float(cv.asarray(1j)), lambda: int(cv.asarray(1j)), lambda: cv.asarray(1j, dtype=cv.float64),
                  lambda: cv.full(2, 1j, dtype=cv.float32), lambda: cv.asarray([1, 1j], dtype=cv.int8)):  # fmt: skip
        with pytest.raises(TypeError):
            wrong()
    for wrong in (lambda x: x < x, lambda x: cv.max(x), lambda x: cv.sort(x), lambda x: cv.floor(x), lambda x: x % 2):
        with pytest.raises((TypeError, ValueError)):
            wrong(cv.asarray([1j, 2]))
    x = cv.ones(3)
    with pytest.raises(TypeError):
        x[0] = 1j
    with pytest.raises(TypeError):
        x += 1j
    z = cv.zeros(3, dtype=cv.complex64)
    z[1] = 2j
    z += 1
    assert z.tolist() == [1, 1 + 2j, 1] and z.at[0].set(5j).tolist()[0] == 5j


@pytest.mark.parametrize("dtype", COMPLEX)
def test_memory_is_shared(dtype):
    a = (np.arange(6) + 1j * np.arange(6)[::-1]).reshape(2, 3).astype(dtype)
    for view in (a, a.T, a[:, ::-1], a[1:, 1], a[:0]):
        x = cv.asarray(view)
        assert str(x.dtype) == dtype and (np.asarray(x) == view).all() and x.tolist() == view.tolist()
    assert np.shares_memory(np.asarray(cv.asarray(a)), a)
    assert np.shares_memory(np.from_dlpack(cv.from_dlpack(a)), a)
    odd = np.frombuffer(b"\0" * 8 + a.tobytes(), dtype=dtype, offset=8, count=6)
    assert (np.asarray(cv.asarray(odd)) == odd).all()
    x = cv.asarray(a)
    assert pickle.loads(pickle.dumps(x)).tolist() == a.tolist()
    same(x.real, a.real), same(x.imag, a.imag), same(x.conj(), a.conj()), same(x.mH, a.conj().T), same(x.mT, a.T)
    assert x.is_complex() and x.dtype.is_complex and x.dtype.kind == "c" and not x.is_floating_point()
    torch = pytest.importorskip("torch", reason="without PyTorch")
    assert cv.asarray(torch.from_dlpack(x)).tolist() == a.tolist()


@given(data=st.data(), dtype=st.sampled_from(COMPLEX))
def test_sums_products_and_matrices(data, dtype):
    x = data.draw(arrays(dtype, (3, 3)))
    y = cv.asarray(x)
    for name in ("sum", "prod", "mean"):
        same(getattr(cv, name)(y, axis=0), getattr(np, name)(x, axis=0))
    same(cv.cumulative_sum(y, axis=1), np.cumsum(x, axis=1))
    same(y @ y, x @ x), same(cv.vecdot(y, y), np.vecdot(x, x)), same(cv.tensordot(y, y, axes=1), x @ x)
    same(cv.where(cv.asarray(x.real > 0), y, 0), np.where(x.real > 0, x, 0).astype(dtype))
    same(cv.var(y), x.var()), same(cv.linalg.vector_norm(y), np.linalg.norm(x.ravel()))
    assert cv.nonzero(y)[0].shape == (9,) and cv.all(y).item() and cv.count_nonzero(y).item() == 9


TRANSFORMS = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]


@pytest.mark.parametrize("name", TRANSFORMS)
@given(data=st.data(), wide=st.booleans(), n=st.none() | st.integers(1, 7), norm=st.sampled_from(["backward", "ortho", "forward"]))
def test_transforms_of_one_axis(name, data, wide, n, norm):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=2, max_side=5))
    real = name in ("rfft", "ihfft")
    x = data.draw(arrays("complex128" if wide else "complex64", shape))
    x = x.real.copy() if real else x
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    want = getattr(np.fft, name)(x, n=n, axis=axis, norm=norm)
    same(getattr(cv.fft, name)(cv.asarray(x), n=n, axis=axis, norm=norm), want, rtol=1e-12 if wide else 1e-5)


@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn"])
@given(data=st.data(), norm=st.sampled_from(["backward", "ortho", "forward"]), sized=st.booleans())
def test_transforms_of_several_axes(name, data, norm, sized):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=2, max_side=5))
    x = data.draw(arrays("complex128", shape))
    x = x.real.copy() if name == "rfftn" else x
    axes = data.draw(st.none() | st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True).map(tuple))
    axes = tuple(range(len(shape))) if sized and axes is None else axes
    s = tuple(data.draw(st.integers(2, 5)) for _ in axes) if sized else None
    want = getattr(np.fft, name)(x, s=s, axes=axes, norm=norm)
    same(getattr(cv.fft, name)(cv.asarray(x), s=s, axes=axes, norm=norm), want)


@given(n=st.integers(1, 9), d=st.sampled_from([1.0, 0.5, 3]))
def test_frequencies_and_shifts(n, d):
    for name in ("fftfreq", "rfftfreq"):
        same(getattr(cv.fft, name)(n, d=d, dtype=cv.float64), getattr(np.fft, name)(n, d))
    x = np.arange(2.0 * n).reshape(2, n)
    for name in ("fftshift", "ifftshift"):
        same(getattr(cv.fft, name)(cv.asarray(x)), getattr(np.fft, name)(x))
        same(getattr(cv.fft, name)(cv.asarray(x), axes=-1), getattr(np.fft, name)(x, axes=-1))


@pytest.mark.parametrize("name", strict.fft.__all__)
def test_signatures_of_transforms(name):
    from test_namespace import compare

    compare(getattr(cv.fft, name), getattr(strict.fft, name))
    assert inspect.getdoc(getattr(cv.fft, name))


def test_transforms_that_do_not_exist():
    for wrong in (
        lambda: cv.fft.fft(cv.ones(3), norm="no"), lambda: cv.fft.fft(cv.ones(3), n=0), lambda: cv.fft.fft(cv.ones(0)),
        lambda: cv.fft.fft(cv.ones(3), axis=1), lambda: cv.fft.rfft(cv.ones(3) * 1j), lambda: cv.fft.fftn(cv.ones(3), s=(2, 2)),
        lambda: cv.fft.fftfreq(0), lambda: cv.fft.fft(cv.ones(3), n="3"), lambda: cv.fft.fft(cv.ones(()))
    ):  # fmt: skip
        with pytest.raises((ValueError, TypeError, IndexError)):
            wrong()


def test_a_step_against_the_gradient_goes_downhill():
    # The gradient is dL/da + i dL/db, as in PyTorch: of |z|^2 it is 2 z.
    z = cv.asarray([1 + 2j, -0.5j], dtype=cv.complex128)
    same(cv.grad(lambda z: cv.sum(cv.abs(z) ** 2))(z), 2 * np.asarray(z))
    # A holomorphic function has the derivative f', which forward mode gives with the tangent 1.
    _, slope = cv.jvp(lambda z: z**3, (z,), (cv.ones_like(z),))
    same(slope, 3 * np.asarray(z) ** 2)
    # Fourier's transform keeps lengths but for n.
    x = cv.asarray([1.0, -2.0, 3.0, 0.5], dtype=cv.float64)
    same(cv.grad(lambda x: cv.sum(cv.abs(cv.fft.fft(x)) ** 2))(x), 8 * np.asarray(x))
    with pytest.raises(ValueError):
        cv.grad(lambda z: cv.sum(z))(z)
    same(cv.vmap(cv.fft.fft)(cv.asarray(np.eye(3))), np.fft.fft(np.eye(3)))
    y = cv.compile(lambda z: cv.exp(z) * 1j)(z)
    same(y, np.exp(np.asarray(z)) * 1j)
