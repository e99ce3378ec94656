"""Memory goes to and from other libraries without a copy, and objects of Python are read as arrays."""

import array
import copy
import gc
import pickle

import numpy as np
import pytest
from common import ALL

import covector as cv


@pytest.mark.parametrize("dtype", [*ALL, "float16"])
def test_numpy_and_back(dtype):
    a = np.arange(6).reshape(2, 3).astype(dtype)
    x = cv.asarray(a)
    back = np.asarray(x)
    assert back.dtype == a.dtype and (back == a).all() and not back.flags.writeable
    assert np.shares_memory(a, back) == (dtype != "bool")
    for y in (cv.asarray(a.T), cv.asarray(a[:, ::-2]), cv.asarray(a[:0]), cv.asarray(a[1, 1])):
        assert y.shape == np.asarray(y).shape
    np.testing.assert_array_equal(np.asarray(cv.asarray(a[::-1, ::2])), a[::-1, ::2])


def test_dlpack_both_ways():
    a = np.arange(6.0).reshape(2, 3)
    x = cv.from_dlpack(a)
    assert np.shares_memory(np.from_dlpack(x), a)
    assert x.__dlpack_device__() == (1, 0)
    assert not np.shares_memory(np.asarray(cv.from_dlpack(a, copy=True)), a)
    capsule = x.__dlpack__()
    del capsule
    with pytest.raises(BufferError):
        x.__dlpack__(dl_device=(2, 0))
    torch = pytest.importorskip("torch", reason="without PyTorch")
    t = torch.arange(3.0)
    assert cv.asarray(t).tolist() == [0.0, 1.0, 2.0]
    assert torch.from_dlpack(cv.asarray([1.0, 2.0])).tolist() == [1.0, 2.0]


def test_memory_lives_as_long_as_it_is_seen():
    x = cv.asarray(np.arange(1000.0) + 1)
    gc.collect()
    assert x.sum().item() == 500500.0
    view = np.asarray(cv.arange(1000, dtype=cv.float64) * 2)
    gc.collect()
    assert view[-1] == 1998.0


def test_nothing_is_written_into_foreign_memory():
    a = np.ones(1 << 12)
    x = cv.asarray(a)
    y = x + 1
    del x
    assert y.sum().item() == 2 * a.size and (a == 1).all()
    z = cv.asarray(a)
    z += 5
    z[0] = 9
    assert (a == 1).all() and z[0].item() == 9.0


def test_copies_are_made_when_asked_for():
    a = np.arange(3.0)
    assert not np.shares_memory(np.asarray(cv.asarray(a, copy=True)), a)
    assert not np.shares_memory(np.asarray(cv.array(a)), a)
    assert np.shares_memory(np.asarray(cv.asarray(a, copy=False)), a)
    with pytest.raises(ValueError, match="copy"):
        cv.asarray([1, 2], copy=False)
    with pytest.raises(ValueError, match="copy"):
        cv.asarray(a, dtype=cv.float32, copy=False)


def test_memory_is_the_same_in_both_directions():
    a = np.random.default_rng(0).normal(size=(1000, 1000))
    address = a.__array_interface__["data"][0]
    x = cv.asarray(a)
    assert np.asarray(x).__array_interface__["data"][0] == address
    assert np.from_dlpack(x).__array_interface__["data"][0] == address
    y = (x + 1).block_until_ready()
    there = np.asarray(y)
    assert np.asarray(y).__array_interface__["data"][0] == there.__array_interface__["data"][0]
    assert np.asarray(cv.asarray(there)).__array_interface__["data"][0] == there.__array_interface__["data"][0]


def test_scalars_of_numpy_are_arrays_of_their_dtype():
    kinds = [np.float64, np.float32, np.complex128, np.complex64, np.int8, np.int64, np.uint16, np.bool_]
    for kind in kinds:
        scalar = kind(1)
        assert str(cv.asarray(scalar).dtype) == scalar.dtype.name
        assert str(cv.asarray([scalar, scalar]).dtype) == scalar.dtype.name
    x, z = cv.ones(2), cv.ones(2, dtype=cv.complex64)
    for scalar, of_x, of_z in [
        (np.complex128(1j), cv.complex128, cv.complex128),
        (np.complex64(1j), cv.complex64, cv.complex64),
        (np.float64(2), cv.float64, cv.complex128),
        (np.float32(2), cv.float32, cv.complex64),
        (2.0, cv.float32, cv.complex64),
        (2j, cv.complex64, cv.complex64),
    ]:
        for a, want in ((x, of_x), (z, of_z)):
            assert (a + scalar).dtype == want and (scalar + a).dtype == want, (scalar, want)
            assert cv.multiply(a, scalar).dtype == want and cv.multiply(scalar, a).dtype == want
            assert cv.result_type(a, scalar) == want
        assert isinstance(scalar * x, cv.Array)
    assert cv.full(2, np.complex128(1j)).dtype == cv.complex128 and cv.full(2, np.float64(1)).dtype == cv.float64
    assert cv.asarray(np.complex128(1 + 2j)).tolist() == 1 + 2j
    y = cv.asarray(np.zeros(3))
    y[0] = np.float64(2.5)
    assert y.tolist() == [2.5, 0.0, 0.0]


def test_numbers_and_lists():
    assert cv.asarray(True).dtype is cv.bool and cv.asarray(3).dtype is cv.int64
    assert cv.asarray(2.5).dtype is cv.float32 and cv.asarray([]).dtype is cv.float32
    assert cv.asarray([[1, 2.5], [True, 4]]).tolist() == [[1.0, 2.5], [1.0, 4.0]]
    assert cv.asarray([True, 2]).dtype is cv.int64
    assert cv.asarray([2**63]).dtype is cv.uint64
    assert cv.asarray(range(3)).tolist() == [0, 1, 2]
    assert cv.asarray([np.float64(1.5), 2]).tolist() == [1.5, 2.0]
    assert cv.asarray([cv.asarray(1.0), cv.asarray(2.0)]).tolist() == [1.0, 2.0]
    assert cv.asarray([cv.ones(2), cv.zeros(2)]).shape == (2, 2)
    assert cv.asarray([np.ones(2), [0, 0]]).shape == (2, 2)
    assert cv.asarray(array.array("d", [1, 2])).dtype is cv.float64
    assert cv.asarray(b"ab").tolist() == [97, 98]
    assert cv.asarray(np.float32(2)).dtype is cv.float32
    for odd in ([[1], [1, 2]], [[1], 2], [1, [2]]):
        with pytest.raises(ValueError, match="different"):
            cv.asarray(odd)
    for odd in ("text", object(), {1: 2}, [None], None, np.array(["a"])):
        with pytest.raises(TypeError):
            cv.asarray(odd)
    with pytest.raises(OverflowError):
        cv.asarray(2**70)
    nested = []
    for _ in range(100):
        nested = [nested]
    with pytest.raises(ValueError, match="deep"):
        cv.asarray(nested)


def test_pickles_and_copies():
    for x in (cv.asarray([[1.5, 2.0]]), cv.asarray(3), cv.zeros((0, 2)), cv.asarray([1.0]) * 2, cv.tensor([1.0], requires_grad=True)):
        for y in (pickle.loads(pickle.dumps(x)), copy.copy(x), copy.deepcopy(x)):
            assert y.tolist() == x.tolist() and y.dtype is x.dtype and y.shape == x.shape
        assert pickle.loads(pickle.dumps(x)).requires_grad == x.requires_grad


def test_numpys_functions_are_ours():
    x = cv.asarray([1.0, 4.0])
    assert isinstance(np.sqrt(x), cv.Array) and np.sqrt(x).tolist() == [1.0, 2.0]
    assert isinstance(np.add(np.ones(2), x), cv.Array)
    assert isinstance(np.ones(2) + x, cv.Array) and isinstance(x + np.ones(2), cv.Array)
    assert isinstance(np.sum(x), cv.Array) and isinstance(np.concatenate([x, x]), cv.Array)
    assert isinstance(np.linalg.inv(cv.eye(2)), cv.Array)
    assert np.median(x) == 2.5


def test_conversions_of_scalars():
    assert float(cv.asarray(2)) == 2.0 and int(cv.asarray(2.7)) == 2 and bool(cv.asarray(0)) is False
    assert [10, 20][cv.asarray(1)] == 20 and complex(cv.asarray(1.5)) == 1.5 + 0j
    assert f"{cv.asarray(1.234567):.2f}" == "1.23"
    assert len(cv.ones((3, 2))) == 3 and [r.tolist() for r in cv.eye(2)] == [[1.0, 0.0], [0.0, 1.0]]
    assert 2 in cv.asarray([1, 2]) and 5 not in cv.asarray([1, 2])
    for bad in (lambda: bool(cv.ones(2)), lambda: int(cv.asarray(float("nan")))):
        with pytest.raises(ValueError):
            bad()
    for bad in (lambda: float(cv.ones(2)), lambda: [1][cv.asarray(0.0)], lambda: len(cv.asarray(1)), lambda: iter(cv.asarray(1))):
        with pytest.raises(TypeError):
            bad()
    with pytest.raises(OverflowError):
        int(cv.asarray(float("inf")))


def test_printing():
    x = cv.asarray([[1.0, 2.0]], dtype=cv.float64)
    assert repr(x) == str(x) == "tensor([[1., 2.]], dtype=float64)"
    assert "requires_grad=True" in repr(cv.tensor([1.0], requires_grad=True))
    assert "float64 [1 × 2]" in x._repr_html_()
