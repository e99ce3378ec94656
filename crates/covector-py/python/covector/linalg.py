"""Linear algebra, as the Array API's extension names it, and more: batched, with derivatives."""

from covector._core import LinAlgError, _linalg, matmul, matrix_transpose, outer, tensordot, vecdot

for _name in dir(_linalg):
    if not _name.startswith("_"):
        globals()[_name] = getattr(_linalg, _name)
globals().setdefault("norm", _linalg.vector_norm)

__all__ = sorted(
    {name for name in dir(_linalg) if not name.startswith("_")}
    | {"LinAlgError", "matmul", "matrix_transpose", "norm", "outer", "tensordot", "vecdot"}
)
