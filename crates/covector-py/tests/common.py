"""What the tests share: data of hypothesis, and comparison with NumPy."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import settings
from hypothesis.extra import numpy as hnp

import covector as cv

settings.register_profile("covector", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("covector")

INTS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float32", "float64"]
NUMERIC = INTS + FLOATS
ALL = ["bool", *NUMERIC]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
#: Values at which functions are special.
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, float("inf"), float("-inf"), float("nan")]


def values(dtype):
    """Numbers of a dtype, the special ones among them."""
    if dtype == "bool":
        return st.booleans()
    if dtype in INTS:
        info = np.iinfo(dtype)
        return st.integers(max(info.min, -100), min(info.max, 100)) | st.sampled_from([0, 1, info.min, info.max])
    width = 32 if dtype == "float32" else 64
    return st.sampled_from(SPECIAL) | st.floats(-50, 50, width=width, allow_subnormal=False)


def arrays(dtype, shape=SHAPES):
    """NumPy arrays of a dtype."""
    return hnp.arrays(dtype, shape, elements=values(dtype))


@st.composite
def pairs(draw, dtypes):
    """Two arrays whose shapes broadcast, and whose dtypes promote to one of their own."""
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=3)).input_shapes
    a, b = draw(st.sampled_from(dtypes)), draw(st.sampled_from(dtypes))
    kinds = {np.dtype(a).kind, np.dtype(b).kind}
    if kinds not in ({"f"}, {"b"}, {"i"}, {"u"}, {"i", "u"}) or (kinds == {"i", "u"} and "uint64" in (a, b)):
        b = a
    return draw(arrays(a, shapes[0])), draw(arrays(b, shapes[1]))


def same(got, want, rtol=None, dtype=True):
    """The array is ours, and of the dtype, shape and values of NumPy's."""
    assert isinstance(got, cv.Array), type(got)
    want = np.asarray(want)
    assert got.shape == want.shape, (got.shape, want.shape)
    if dtype:
        assert str(got.dtype) == want.dtype.name, (got.dtype, want.dtype)
    have = np.asarray(got)
    if want.dtype.kind == "f":
        if rtol is None:
            rtol = 3e-6 if have.dtype == np.float32 or want.dtype == np.float32 else 1e-13
        tiny = np.finfo(have.dtype).smallest_normal * 8
        np.testing.assert_allclose(have, want, rtol=rtol, atol=max(tiny, rtol * 1e-2))
    else:
        np.testing.assert_array_equal(have, want)
