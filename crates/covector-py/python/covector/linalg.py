"""Linear algebra, as the Array API's extension names it, and more: batched, with derivatives."""

from covector import _core
from covector._core import LinAlgError, _linalg, matmul, matrix_transpose, outer, tensordot, vecdot

for _name in dir(_linalg):
    if not _name.startswith("_"):
        globals()[_name] = getattr(_linalg, _name)
globals().setdefault("norm", _linalg.vector_norm)


def diagonal(x, /, *, offset=0):
    """The diagonal of the last two axes, `offset` above the main one."""
    x = _core.asarray(x)
    if x.ndim < 2:
        raise ValueError(f"a diagonal is that of a matrix, not of {x.ndim} axes")
    rows, columns = x.shape[-2:]
    if offset >= 0:
        x = x[..., :, min(offset, columns):]
    else:
        x = x[..., min(-offset, rows):, :]
    n = min(x.shape[-2:])
    return _core._diagonal(x[..., :n, :n])


__all__ = sorted(
    {name for name in dir(_linalg) if not name.startswith("_")}
    | {"LinAlgError", "diagonal", "matmul", "matrix_transpose", "norm", "outer", "tensordot", "vecdot"}
)
