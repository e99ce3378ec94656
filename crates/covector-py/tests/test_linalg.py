"""Linear algebra of complex matrices, of any size, and eigenvalues of any, against NumPy: values, dtypes, names, derivatives, errors."""

import numpy as np
import pytest

import covector as cv

RNG = np.random.default_rng(5)
DTYPES = ["complex64", "complex128"]
SHAPES = [(3, 3), (2, 4, 4), (1, 1)]


def matrices(shape, dtype, real=False):
    """Regular matrices: their numbers are smaller than what is on the diagonal."""
    x = RNG.uniform(-1, 1, shape) + (0 if real else 1j * RNG.uniform(-1, 1, shape))
    return (x + 2 * shape[-1] * np.eye(shape[-1])[: shape[-2]]).astype(dtype)


def adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


def same(got, want, rtol=None):
    want = np.asarray(want)
    assert isinstance(got, cv.Array) and got.shape == want.shape and str(got.dtype) == want.dtype.name, (got.dtype, want.dtype)
    rtol = rtol or (2e-5 if want.dtype in (np.float32, np.complex64) else 1e-11)
    np.testing.assert_allclose(np.asarray(got), want, rtol=rtol, atol=rtol * max(1.0, float(np.max(np.abs(want), initial=0))))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_values(shape, dtype):
    x = matrices(shape, dtype)
    c = cv.asarray(x)
    b = (RNG.uniform(-1, 1, (*shape[:-1], 2)) * (1 + 1j)).astype(dtype)
    hermitian = ((x + adjoint(x)) / 2).astype(dtype)
    h = cv.asarray(hermitian)
    la, nla = cv.linalg, np.linalg
    same(la.inv(c), nla.inv(x))
    same(la.solve(c, cv.asarray(b)), nla.solve(x, b))
    same(la.det(c), nla.det(x))
    same(la.slogdet(c).sign, nla.slogdet(x).sign)
    same(la.slogdet(c).logabsdet, nla.slogdet(x).logabsdet)
    same(la.cholesky(h), nla.cholesky(hermitian))
    same(la.cholesky(h, upper=True), nla.cholesky(hermitian, upper=True))
    same(la.eigvalsh(h), nla.eigvalsh(hermitian))
    same(la.svdvals(c), nla.svdvals(x))
    same(la.pinv(c), nla.pinv(x))
    same(la.matrix_power(c, 3), nla.matrix_power(x, 3))
    same(la.matrix_power(c, -2), nla.matrix_power(x, -2))
    assert la.matrix_rank(c).tolist() == nla.matrix_rank(x).tolist()
    for ord in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        same(la.matrix_norm(c, ord=ord), nla.matrix_norm(x, ord=ord))
    same(la.vector_norm(c, axis=-1), nla.vector_norm(x, axis=-1))
    same(la.trace(c, offset=1), np.trace(x, 1, -2, -1))
    same(la.diagonal(c, offset=-1), np.diagonal(x, -1, -2, -1))
    same(la.vecdot(c, c * 1j), np.vecdot(x, x * np.array(1j, dtype)))
    same(la.outer(c[..., 0].reshape(-1), cv.asarray(b).reshape(-1)), np.outer(x[..., 0], b))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 2, 4)])
def test_factors(shape, dtype):
    x = (RNG.uniform(-1, 1, shape) + 1j * RNG.uniform(-1, 1, shape)).astype(dtype)
    c = cv.asarray(x)
    u, s, vh = cv.linalg.svd(c, full_matrices=False)
    same((u * cv.expand_dims(s, axis=-2)) @ vh, x)
    same(s, np.linalg.svdvals(x))
    u, s, vh = cv.linalg.svd(c)
    want = np.linalg.svd(x)
    assert (u.shape, s.shape, vh.shape) == (want.U.shape, want.S.shape, want.Vh.shape)
    for q in (u, vh):
        same(cv.conj(cv.matrix_transpose(q)) @ q, np.broadcast_to(np.eye(q.shape[-1], dtype=dtype), q.shape))
    for mode in ("reduced", "complete"):
        q, r = cv.linalg.qr(c, mode=mode)
        same(q @ r, x)
        want = np.linalg.qr(x, mode=mode)
        assert (q.shape, r.shape) == (want.Q.shape, want.R.shape)
    p, lower, upper = cv.linalg.lu(c)
    same(p @ lower @ upper, x)
    b = (RNG.uniform(-1, 1, shape[-2]) * (2 - 1j)).astype(dtype)
    if len(shape) == 2:
        solution, left, rank, values = cv.linalg.lstsq(c, cv.asarray(b))
        want = np.linalg.lstsq(x, b)
        same(solution, want[0].astype(dtype), rtol=1e-4 if dtype == "complex64" else None)
        assert int(rank) == want[2] and values.dtype == left.dtype == cv.asarray(want[3]).dtype
        if len(want[1]):
            np.testing.assert_allclose(float(left), want[1][0], rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64", *DTYPES])
@pytest.mark.parametrize("shape", SHAPES)
def test_eigenvalues_of_any_matrix(shape, dtype):
    x = matrices(shape, dtype, real=dtype.startswith("float"))
    c = cv.asarray(x)
    result = cv.linalg.eig(c)
    assert result._fields == ("eigenvalues", "eigenvectors")
    w, v = result
    wanted = {"float32": cv.complex64, "float64": cv.complex128}.get(dtype, c.dtype)
    assert w.dtype is v.dtype is wanted
    complex_dtype = np.dtype(str(wanted))
    same(c.astype(wanted) @ v, np.asarray(v * cv.expand_dims(w, axis=-2)))
    np.testing.assert_allclose(np.linalg.norm(np.asarray(v), axis=-2), 1, rtol=1e-6)
    # In our order: by the real parts, which rounding does not tie here.
    want = np.sort_complex(np.linalg.eigvals(x).astype(complex_dtype)) if x.ndim == 2 else None
    if want is not None:
        same(w, want, rtol=1e-4 if complex_dtype == np.complex64 else 1e-11)
    same(cv.linalg.eigvals(c), np.asarray(w))
    same(np.linalg.eigvals(c), np.asarray(w))


def test_gradients_point_uphill():
    """Central differences of real losses, along the real and along the imaginary axis."""
    x = matrices((3, 3), "complex128")
    weights = cv.asarray(matrices((3, 3), "complex128"))

    def projected(v):
        first = v[:, :1]
        return cv.sum(cv.real(first @ cv.conj(cv.matrix_transpose(first)) * weights))

    losses = [
        lambda x: cv.sum(cv.real(cv.linalg.inv(x) * weights)),
        lambda x: cv.real(cv.linalg.det(x)),
        lambda x: cv.imag(cv.linalg.slogdet(x).sign) + cv.linalg.slogdet(x).logabsdet,
        lambda x: cv.sum(cv.abs(cv.linalg.cholesky(x))),
        lambda x: projected(cv.linalg.eigh(x).eigenvectors),
        lambda x: projected(cv.linalg.eig(x).eigenvectors) + cv.sum(cv.imag(cv.linalg.eigvals(x) ** 2)),
        lambda x: projected(cv.linalg.svd(x, full_matrices=False).U) + cv.sum(cv.linalg.svdvals(x) ** 2),
        lambda x: projected(cv.linalg.qr(x).Q),
        lambda x: cv.linalg.matrix_norm(x, ord="nuc"),
    ]
    for i, loss in enumerate(losses):
        gradient = np.asarray(cv.grad(loss)(cv.asarray(x)))
        for direction in (1, 1j):
            t = np.zeros_like(x)
            t[1, 2] = direction * 1e-6
            measured = (float(loss(cv.asarray(x + t))) - float(loss(cv.asarray(x - t)))) / 2e-6
            np.testing.assert_allclose(np.real(np.conj(gradient[1, 2]) * direction), measured, rtol=1e-5, atol=1e-7, err_msg=str(i))


def test_batches_are_loops():
    x = cv.asarray(matrices((4, 3, 3), "complex128"))
    for f in (cv.linalg.inv, cv.linalg.eigvals, cv.linalg.det):
        assert np.array_equal(np.asarray(cv.vmap(f)(x)), np.asarray(f(x)))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_matrices_of_any_size(dtype):
    """Squares of the elements overflow or vanish; the results do not."""
    x = matrices((2, 4, 4), dtype, real=dtype.startswith("f"))
    single = dtype in ("float32", "complex64")
    rtol = 1e-4 if single else 1e-11
    h = (x + adjoint(x)) / 2
    for exponent in (-100, -60, 60, 100) if single else (-900, -500, 500, 900):
        size = 2.0**exponent
        c = cv.asarray((x * size).astype(dtype))
        s = np.linalg.svd(x, compute_uv=False)
        same(cv.linalg.svdvals(c) / size, s, rtol)
        u, found, vh = cv.linalg.svd(c, full_matrices=False)
        same(found / size, s, rtol)
        same((u * (found / size)[:, None, :]) @ vh, x, rtol)
        same(cv.linalg.pinv(c) * size, np.linalg.inv(x), rtol)
        assert cv.linalg.matrix_rank(c).tolist() == [4, 4]
        scaled = cv.asarray((h * size).astype(dtype))
        w, v = cv.linalg.eigh(scaled)
        same(w / size, np.linalg.eigvalsh(h), rtol)
        same(cv.linalg.eigvalsh(scaled) / size, np.linalg.eigvalsh(h), rtol)
        same((v * (w / size)[:, None, :]) @ cv.conj(cv.matrix_transpose(v)), h, rtol)
        for values in (cv.linalg.eigvals(c), cv.linalg.eig(c).eigenvalues):
            found, want = (np.sort(np.abs(z), -1) for z in (np.asarray(values / size), np.linalg.eigvals(x)))
            np.testing.assert_allclose(found, want, rtol=rtol)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_a_tolerance_for_each_matrix(dtype):
    x = np.stack([np.diag([4.0, 2.0, 1.0])] * 6).reshape(2, 3, 3, 3).astype(dtype)
    rtol = np.array([[0.0, 0.3, 0.6], [2.0, 0.25, 1e-3]], "float32" if dtype == "float32" else "float64")
    c, t = cv.asarray(x), cv.asarray(rtol)
    assert cv.linalg.matrix_rank(c, rtol=t).tolist() == [[3, 2, 1], [0, 2, 3]]
    got = cv.linalg.pinv(c, rtol=t)
    for i in np.ndindex(2, 3):
        s = np.array([4.0, 2.0, 1.0])
        kept = s > rtol[i] * 4
        same(got[i], np.diag(np.where(kept, 1 / s, 0)).astype(dtype))
        same(cv.linalg.pinv(c[i], rtol=float(rtol[i])), np.asarray(got[i]))
        assert int(cv.linalg.matrix_rank(c[i], rtol=float(rtol[i]))) == kept.sum()
    # One row of tolerances for both rows of matrices, and one for all.
    assert cv.linalg.matrix_rank(c, rtol=t[0, :]).tolist() == [[3, 2, 1]] * 2
    assert cv.linalg.matrix_rank(c, rtol=cv.asarray(0.3)).tolist() == [[2, 2, 2]] * 2
    assert cv.linalg.matrix_rank(cv.zeros((0, 3, 2)), rtol=cv.zeros(0)).shape == (0,)
    same(cv.linalg.lstsq(c[0, 0], cv.asarray(x[0, 0]), rtol=cv.asarray(0.3)).solution, np.diag([1, 1, 0]).astype(dtype))
    for f in (cv.linalg.pinv, cv.linalg.matrix_rank):
        with pytest.raises(ValueError, match="one for each matrix"):
            f(c, rtol=cv.zeros(4))
        with pytest.raises(ValueError, match="at least 0"):
            f(c, rtol=-1.0)
        with pytest.raises(TypeError):
            f(c, rtol="small")
        with pytest.raises(TypeError, match="real"):
            f(c, rtol=cv.asarray(1j))


def test_a_tolerance_has_no_derivative():
    x = cv.asarray(np.stack([np.diag([4.0, 2.0, 1.0])] * 2))
    t = cv.asarray(np.array([0.3, 0.0]))
    loss = lambda x, t: cv.sum(cv.linalg.pinv(x, rtol=t) ** 2)
    dx, dt = cv.grad(loss, argnums=(0, 1))(x, t)
    assert dt.tolist() == [0.0, 0.0]
    for i in range(2):
        want = cv.grad(lambda x: cv.sum(cv.linalg.pinv(x, rtol=float(t[i])) ** 2))(x[i])
        same(dx[i], np.asarray(want))
    each = cv.vmap(lambda x, t: cv.linalg.pinv(x, rtol=t))(x, t)
    same(each, np.asarray(cv.linalg.pinv(x, rtol=t)))


def test_refusals():
    singular = cv.asarray([[1j, 1], [-1, 1j]])
    with pytest.raises(cv.linalg.LinAlgError, match="singular"):
        cv.linalg.inv(singular).tolist()
    for f in (cv.linalg.eig, cv.linalg.eigvals, cv.linalg.svdvals):
        with pytest.raises(cv.linalg.LinAlgError, match="NaN or infinity"):
            cv.asarray(np.asarray(f(cv.asarray([[complex("nan"), 0], [0, 1]]))[0]))
        with pytest.raises(ValueError):
            f(cv.ones(3))
    with pytest.raises(ValueError, match="square"):
        cv.linalg.eig(cv.ones((2, 3)))
    with pytest.raises(ValueError):
        cv.linalg.diagonal(cv.ones(3))


def test_sets_of_complex_numbers():
    x = np.array([[1 + 2j, 1j, 1 + 2j], [1 - 2j, 0, -0.0]], "complex64")
    got, want = cv.unique_all(cv.asarray(x)), np.unique_all(x)
    same(got.values, want.values)
    for name in ("indices", "inverse_indices", "counts"):
        assert np.array_equal(np.asarray(getattr(got, name)), getattr(want, name)), name
    y = np.array([1 + 2j, 3], "complex128")
    for invert in (False, True):
        same(cv.isin(cv.asarray(x), cv.asarray(y), invert=invert), np.isin(x, y, invert=invert))
    nan = np.array([complex("nan"), 1, complex("nan")])
    assert cv.unique_counts(cv.asarray(nan)).counts.tolist() == [1, 1, 1]
