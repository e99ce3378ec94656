"""Axes folded away, and the running versions along one axis."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .core import Axes, axes_of, numeric, real


def fold(function: Callable[[Tensor], Tensor], x: Tensor, axes: Axes | list[int] | int | None) -> Tensor:
    """Applies a reduction of the last axis to any axes: none, some or all, of any size.

    The axes become one, at the end. (Torch itself reads an empty list of axes as all of them, and refuses several axes
    in some reductions.)
    """
    folded = axes_of(axes, x.ndim)
    kept = [i for i in range(x.ndim) if i not in folded]
    shape = [x.shape[i] for i in kept]
    rows = x.permute(kept + folded).reshape(*shape, math.prod(x.shape[i] for i in folded))
    y = function(rows)
    if isinstance(axes, Axes) and axes.keepdims:
        return y.reshape([1 if i in folded else d for i, d in enumerate(x.shape)])
    return y


def folding(function: Callable[[Tensor], Tensor], prepare: Callable[[Tensor], Tensor] = real) -> Callable:
    return lambda x, axes: fold(function, prepare(x), axes)


def as_is(x: Tensor) -> Tensor:
    return x


def arg(best: Callable) -> Callable:
    """Position of the first extreme element; bool is compared as a number."""
    return lambda x, axis: best(numeric(x.detach()), dim=axis)


def norm(x: Tensor, axes: Axes, ord: float) -> Tensor:
    """The vector norm; its derivative at the zero vector is 0."""
    return fold(lambda r: torch.linalg.vector_norm(r, ord, dim=-1), real(x), axes)


TABLE: dict[str, Callable] = {
    # dtypes are named because torch would widen small integers
    "sum": folding(lambda r: r.sum(-1, dtype=r.dtype), numeric),
    "prod": folding(lambda r: r.prod(-1, dtype=r.dtype), numeric),
    "mean": folding(lambda r: r.mean(-1)),
    # amax and amin share the derivative among ties, max and min give all of it to one element
    "max": folding(lambda r: r.amax(-1), as_is),
    "min": folding(lambda r: r.amin(-1), as_is),
    "any": folding(lambda r: r.any(-1), lambda x: x.bool()),
    "all": folding(lambda r: r.all(-1), lambda x: x.bool()),
    "logsumexp": folding(lambda r: r.logsumexp(-1)),
    "var": lambda x, axes, correction: fold(lambda r: r.var(-1, correction=correction), real(x), axes),
    "std": lambda x, axes, correction: fold(lambda r: r.std(-1, correction=correction), real(x), axes),
    "norm": norm,
    "argmax": arg(torch.argmax),
    "argmin": arg(torch.argmin),
    "softmax": lambda x, axis: real(x).softmax(axis),
    "log_softmax": lambda x, axis: real(x).log_softmax(axis),
    "cumsum": lambda x, axis: (lambda x: x.cumsum(axis, dtype=x.dtype))(numeric(x)),
    "cumprod": lambda x, axis: (lambda x: x.cumprod(axis, dtype=x.dtype))(numeric(x)),
    "cummax": lambda x, axis: x.cummax(axis).values,
    "cummin": lambda x, axis: x.cummin(axis).values,
    "diff": lambda x, n, axis: torch.diff(x, n=n, dim=axis),
}
