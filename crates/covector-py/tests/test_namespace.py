"""The namespace is the standard's: names, signatures, dtypes, promotion, description."""

import inspect
import itertools

import array_api_strict as strict
import numpy as np
import pytest

import covector as cv

#: What array-api-strict has beside the standard, and Python's own.
OTHER = {"ArrayAPIStrictFlags", "set_array_api_strict_flags", "get_array_api_strict_flags", "reset_array_api_strict_flags"}
OTHER |= {"ArrayAPIStrictDeprecationWarning", "Device", "Array"}
NAMES = sorted(n for n in strict.__all__ if not n.startswith("_") and n not in OTHER)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there(name):
    assert hasattr(cv, name)


FUNCTIONS = [n for n in NAMES if inspect.isfunction(getattr(strict, n))]
LINALG = [n for n in strict.linalg.__all__ if inspect.isfunction(getattr(strict.linalg, n, None))]


def compare(ours, theirs):
    """Every parameter of the standard is there, may be given in the same way, and has the same default."""
    have = inspect.signature(ours).parameters
    for name, wanted in inspect.signature(theirs).parameters.items():
        if wanted.kind in (wanted.VAR_POSITIONAL, wanted.VAR_KEYWORD):
            assert any(p.kind == wanted.kind for p in have.values()), name
            continue
        if wanted.kind == wanted.POSITIONAL_ONLY:
            assert list(have)[list(inspect.signature(theirs).parameters).index(name)], name
            continue
        assert name in have, f"{name} is missing"
        assert have[name].kind in (wanted.kind, wanted.POSITIONAL_OR_KEYWORD), name
        if wanted.default is not wanted.empty:
            assert have[name].default is not have[name].empty, name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures(name):
    compare(getattr(cv, name), getattr(strict, name))


@pytest.mark.parametrize("name", LINALG)
def test_signatures_of_linear_algebra(name):
    if name in ("eig", "eigvals") and not hasattr(cv.linalg, name):
        pytest.skip("not there yet")
    compare(getattr(cv.linalg, name), getattr(strict.linalg, name))


METHODS = [n for n in dir(strict.asarray(1)) if n.startswith("__") and n.endswith("__")]


@pytest.mark.parametrize("name", METHODS)
def test_every_special_method_is_there(name):
    assert hasattr(cv.asarray(1), name) or name in ("__dict__", "__module__", "__weakref__", "__slots__", "__annotations__", "__buffer__")


DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "complex64", "complex128"]


@pytest.mark.parametrize("a, b", list(itertools.product(DTYPES, DTYPES)))
def test_promotion_is_the_standards(a, b):
    try:
        wanted = str(strict.result_type(getattr(strict, a), getattr(strict, b)))
    except TypeError:
        return  # the standard leaves it open
    assert str(cv.result_type(getattr(cv, a), getattr(cv, b))) == wanted.rsplit(".")[-1]
    x, y = cv.ones(2, dtype=getattr(cv, a)), cv.ones(2, dtype=getattr(cv, b))
    assert str(cv.where(cv.ones(2, dtype=cv.bool), x, y).dtype) == wanted.rsplit(".")[-1]


@pytest.mark.parametrize("name", DTYPES)
def test_dtypes_are_objects_of_one_kind(name):
    import copy
    import pickle

    dtype = getattr(cv, name)
    assert dtype == name == np.dtype(name) and dtype != "nothing" and dtype is not None
    assert cv.asarray([1], dtype=np.dtype(name)).dtype is dtype
    assert cv.asarray([1], dtype=getattr(np, name if name != "bool" else "bool_")).dtype is dtype
    assert pickle.loads(pickle.dumps(dtype)) is dtype and copy.deepcopy(dtype) is dtype
    assert hash(dtype) == hash(cv.dtype(name)) and repr(dtype) == f"covector.{name}"
    for kind in ["bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric"]:
        assert cv.isdtype(dtype, kind) == strict.isdtype(getattr(strict, name), kind)
    if name != "bool":
        info = cv.finfo(dtype) if "int" not in name else cv.iinfo(dtype)
        theirs = np.finfo(name) if "int" not in name else np.iinfo(name)
        assert info.bits == theirs.bits and info.max == theirs.max and info.min == theirs.min


def test_the_namespace_describes_itself():
    info = cv.asarray(1).__array_namespace__().__array_namespace_info__()
    assert info.capabilities()["data-dependent shapes"]
    assert info.default_device() == "cpu" and info.devices() == ["cpu"]
    assert info.default_dtypes()["real floating"] is cv.float32
    assert set(info.dtypes(kind="integral")) == set(DTYPES[1:9])
    with pytest.raises(ValueError, match="kind"):
        info.dtypes(kind="everything")
    with pytest.raises(ValueError, match="version"):
        cv.asarray(1).__array_namespace__(api_version="1999.01")


def test_every_function_has_a_docstring_and_rejects_nonsense():
    for name in dir(cv):
        f = getattr(cv, name)
        if not callable(f) or isinstance(f, type) or name.startswith("_"):
            continue
        assert f.__doc__, name
        with pytest.raises((TypeError, ValueError, IndexError, OverflowError, OSError)):
            f(object(), object(), object(), object(), object(), object(), object(), object(), nonsense=object())
