"""Products of matrices and of tensors."""

from collections.abc import Callable

import scipy.linalg
import torch
from torch import Tensor

from .core import promoted


def pair(function: Callable) -> Callable:
    return lambda x1, x2: function(*promoted(x1, x2))


def dot(a: Tensor, b: Tensor) -> Tensor:
    """NumPy's rule: the last axis of `a` against the last but one of `b`; a scalar multiplies."""
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return torch.tensordot(a, b, dims=([a.ndim - 1], [max(b.ndim - 2, 0)]))


def tensordot(x1: Tensor, x2: Tensor, axes1: list[int] | int, axes2: list[int] | int) -> Tensor:
    lists = [[axes] if isinstance(axes, int) else list(axes) for axes in (axes1, axes2)]
    return torch.tensordot(*promoted(x1, x2), dims=tuple(lists))


def hadamard_transform(x: Tensor) -> Tensor:
    return x @ torch.tensor(scipy.linalg.hadamard(x.shape[-1]), dtype=x.dtype)


TABLE: dict[str, Callable] = {
    "matmul": pair(torch.matmul),
    "dot": pair(dot),
    "outer": pair(lambda a, b: torch.outer(a.reshape(-1), b.reshape(-1))),
    "tensordot": tensordot,
    "hadamard_transform": hadamard_transform,
    "einsum": lambda spec, operands: torch.einsum(spec, *promoted(*operands)),
}
