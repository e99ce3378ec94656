"""What is said in Python about Python: the namespace's own description, and forms other libraries taught.

Nothing here computes.
"""

import functools
from dataclasses import dataclass
from typing import Any

from covector import _core


@dataclass(frozen=True)
class finfo_object:
    """The limits of a float dtype."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: Any


@dataclass(frozen=True)
class iinfo_object:
    """The limits of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: Any


DTYPES = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "real floating": ("float32", "float64"),
    "complex floating": ("complex64", "complex128"),
}
DTYPES["integral"] = DTYPES["signed integer"] + DTYPES["unsigned integer"]
DTYPES["numeric"] = DTYPES["integral"] + DTYPES["real floating"] + DTYPES["complex floating"]


class __array_namespace_info__:  # noqa: N801
    """What this namespace can do, as the Array API asks."""

    def capabilities(self):
        """Indexing by masks and shapes that depend on data are there; axes are as many as one likes (64 are promised)."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self):
        """The CPU."""
        return "cpu"

    def default_dtypes(self, *, device=None):
        """The dtypes of numbers of Python."""
        _core.empty(0, device=device)
        return {
            "real floating": _core.float32,
            "complex floating": _core.complex64,
            "integral": _core.int64,
            "indexing": _core.int64,
        }

    def devices(self):
        """The CPU alone."""
        return ["cpu"]

    def dtypes(self, *, device=None, kind=None):
        """The dtypes of a kind, or of any of several kinds, by name."""
        _core.empty(0, device=device)
        if kind is None:
            kind = ("bool", "numeric")
        kinds = (kind,) if isinstance(kind, str) else tuple(kind)
        for one in kinds:
            if one not in DTYPES:
                raise ValueError(f"there is no kind {one!r} of dtypes\n  hint: there are {', '.join(DTYPES)}")
        return {name: getattr(_core, name) for one in kinds for name in DTYPES[one] if hasattr(_core, name)}


def without_grad(function):
    """The function with `no_grad` around every call."""

    @functools.wraps(function)
    def called(*args, **kwargs):
        with _core.no_grad():
            return function(*args, **kwargs)

    return called


def tensor(data, dtype=None, *, requires_grad=False):
    """A new array from numbers, as in PyTorch."""
    return _core.array(data, dtype, requires_grad=requires_grad)

