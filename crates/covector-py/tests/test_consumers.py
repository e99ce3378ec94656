"""Libraries that know nothing of us: the results are ours, and equal NumPy's."""

import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")

import numpy as np  # noqa: E402
import pytest  # noqa: E402

import covector as cv  # noqa: E402

RNG = np.random.default_rng(0)
A = RNG.normal(size=(6, 4))


def same(got, want, rtol=1e-9):
    assert isinstance(got, cv.Array), type(got)
    np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=rtol, atol=1e-12)


def test_einops_through_the_array_api():
    einops = pytest.importorskip("einops.array_api")
    x = cv.asarray(A)
    same(einops.rearrange(x, "(a b) c -> b (a c)", a=2), A.reshape(2, 3, 4).swapaxes(0, 1).reshape(3, 8))
    same(einops.reduce(x, "a b -> b", "mean"), A.mean(0))
    same(einops.repeat(x, "a b -> a k b", k=2), np.repeat(A[:, None], 2, 1))


def test_opt_einsum():
    contract = pytest.importorskip("opt_einsum").contract
    x, y = cv.asarray(A), cv.asarray(A[:, :3].copy())
    same(contract("ij,ik,il->jkl", x, y, x), np.einsum("ij,ik,il->jkl", A, A[:, :3], A))


def test_array_api_compat():
    compat = pytest.importorskip("array_api_compat")
    x = cv.asarray(A)
    assert compat.is_array_api_obj(x)
    assert compat.array_namespace(x) is cv
    assert compat.device(x) == "cpu" and compat.size(x) == 24
    same(compat.to_device(x, "cpu"), A)


def test_array_api_extra():
    xpx = pytest.importorskip("array_api_extra")
    x = cv.asarray(A)
    same(xpx.cov(x), np.cov(A))
    same(xpx.atleast_nd(x, ndim=3), A[None])
    same(xpx.kron(x, x), np.kron(A, A))
    same(xpx.at(x, 0).set(5.0, copy=True)[1:], A[1:])
    same(xpx.pad(x, 1), np.pad(A, 1))


def test_scipy_special():
    special = pytest.importorskip("scipy.special")
    x = cv.asarray(np.abs(A) + 0.1)
    for name in ("logsumexp", "log_softmax", "softmax"):
        f = getattr(special, name)
        same(f(x), f(np.abs(A) + 0.1))
    for name in ("expit", "erf", "gammaln", "i0", "xlogy", "entr"):
        f = getattr(special, name)
        args = (x, x) if name == "xlogy" else (x,)
        same(f(*args), f(*(np.asarray(a) for a in args)))


def test_scipy_stats():
    stats = pytest.importorskip("scipy.stats")
    x = cv.asarray(A)
    for name in ("skew", "kurtosis", "gmean", "hmean", "zscore", "sem", "variation", "entropy"):
        f = getattr(stats, name)
        data = np.abs(A) + 0.5
        same(f(cv.asarray(data)), f(data), rtol=1e-7)
    same(stats.moment(x, 3), stats.moment(A, 3))
    same(stats.pearsonr(x[:, 0], x[:, 1]).statistic, stats.pearsonr(A[:, 0], A[:, 1]).statistic)
    same(stats.ttest_ind(x[:, 0], x[:, 1]).statistic, stats.ttest_ind(A[:, 0], A[:, 1]).statistic)


def test_scipy_cluster_and_signal():
    vq = pytest.importorskip("scipy.cluster.vq")
    same(vq.whiten(cv.asarray(A)), vq.whiten(A))
    signal = pytest.importorskip("scipy.signal")
    same(signal.detrend(cv.asarray(A), type="constant"), signal.detrend(A, type="constant"))


def with_sklearn():
    sklearn = pytest.importorskip("sklearn")
    return sklearn.config_context(array_api_dispatch=True)


def test_sklearn_estimators():
    pytest.importorskip("sklearn")
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import Ridge

    x = RNG.normal(size=(40, 4))
    y = x @ RNG.normal(size=4)
    labels = (y > 0).astype("int64")
    with with_sklearn():
        for solver in ("full", "covariance_eigh"):
            pca = PCA(2, svd_solver=solver).fit(cv.asarray(x))
            same(cv.abs(pca.transform(cv.asarray(x))), np.abs(PCA(2, svd_solver=solver).fit_transform(x)), rtol=1e-6)
        ridge = Ridge(solver="svd").fit(cv.asarray(x), cv.asarray(y))
        same(ridge.predict(cv.asarray(x)), Ridge(solver="svd").fit(x, y).predict(x), rtol=1e-6)
        lda = LinearDiscriminantAnalysis().fit(cv.asarray(x), cv.asarray(labels))
        got = lda.predict(cv.asarray(x))
        assert isinstance(got, cv.Array)
        assert got.tolist() == LinearDiscriminantAnalysis().fit(x, labels).predict(x).tolist()


def test_sklearn_metrics():
    pytest.importorskip("sklearn")
    from sklearn import metrics

    y, p = RNG.normal(size=20), RNG.normal(size=20)
    a, b = (y > 0).astype("int64"), (p > 0).astype("int64")
    with with_sklearn():
        for name in ("mean_squared_error", "r2_score", "mean_absolute_error"):
            f = getattr(metrics, name)
            assert float(f(cv.asarray(y), cv.asarray(p))) == pytest.approx(f(y, p))
        assert float(metrics.accuracy_score(cv.asarray(a), cv.asarray(b))) == pytest.approx(metrics.accuracy_score(a, b))
        same(metrics.pairwise.euclidean_distances(cv.asarray(A)), metrics.pairwise.euclidean_distances(A), rtol=1e-6)
