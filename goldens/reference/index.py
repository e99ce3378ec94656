"""Elements picked and placed by number, and put in order."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .core import DTYPES, Axes, axes_of, promoted
from .shape import flat_or


def wrapped(indices: Tensor, size: int) -> Tensor:
    """Negative indices count from the end."""
    indices = indices.to(torch.int64)
    return torch.where(indices < 0, indices + size, indices)


def take(x: Tensor, indices: Tensor, axis: int | None) -> Tensor:
    """The axis is replaced by the axes of `indices`."""
    x, axis = flat_or(axis, x)
    axis %= x.ndim
    picked = x.index_select(axis, wrapped(indices, x.shape[axis]).reshape(-1))
    return picked.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def take_along_axis(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    return torch.gather(x, axis, wrapped(indices, x.shape[axis]))


def placed_in_turn(x: Tensor, axis: int, places: Tensor, updates: Tensor) -> Tensor:
    """One element after the other, so that the last of two updates wins and alone gets the derivative."""
    for at in np.ndindex(*places.shape):
        where = [torch.tensor(i) for i in at]
        where[axis] = places[at]
        x = torch.index_put(x, tuple(where), updates[at])
    return x


def put(x: Tensor, flat_indices: Tensor, values: Tensor) -> Tensor:
    flat = x.reshape(-1)
    places = wrapped(flat_indices, flat.shape[0]).reshape(-1)
    values = values.to(x.dtype).broadcast_to(flat_indices.shape).reshape(-1)
    return placed_in_turn(flat, 0, places, values).reshape(x.shape)


def scatter(x: Tensor, indices: Tensor, updates: Tensor | float, axis: int, how: str) -> Tensor:
    """`sum`, `amax` and `amin` include what was there; ties of the extremes share the derivative equally."""
    x, updates = promoted(x, updates)
    places, updates = wrapped(indices, x.shape[axis]), updates.broadcast_to(indices.shape)
    if how == "set":
        return placed_in_turn(x, axis, places, updates)
    if how == "sum":
        return torch.scatter_add(x, axis, places, updates)
    return torch.scatter_reduce(x, axis, places, updates, how, include_self=True)


def scattering(how: str) -> Callable:
    return lambda x, indices, updates, axis: scatter(x, indices, updates, axis, how)


def index_add(x: Tensor, indices: Tensor, updates: Tensor, axis: int) -> Tensor:
    return torch.index_add(x, axis, wrapped(indices, x.shape[axis]), updates.to(x.dtype))


def index_set(x: Tensor, indices: Tensor, updates: Tensor, axis: int) -> Tensor:
    places, x, updates = wrapped(indices, x.shape[axis]), x.movedim(axis, 0), updates.to(x.dtype).movedim(axis, 0)
    for place, update in zip(places, updates):
        x = torch.index_copy(x, 0, place.reshape(1), update.unsqueeze(0))
    return x.movedim(0, axis)


def one_hot(indices: Tensor, classes: int) -> Tensor:
    """Rows of zeros for indices outside the range."""
    return (indices.unsqueeze(-1) == torch.arange(classes)).to(torch.int64)


def sort(x: Tensor, axis: int, descending: bool) -> Tensor:
    """Stable; NaN counts as the largest."""
    return torch.sort(x, dim=axis, descending=descending, stable=True).values


def argsort(x: Tensor, axis: int, descending: bool) -> Tensor:
    return torch.sort(x.detach(), dim=axis, descending=descending, stable=True).indices


def topk(x: Tensor, k: int, axis: int) -> tuple[Tensor, Tensor]:
    """The head of the stable descending order: among equals the first comes first."""
    values, indices = torch.sort(x, dim=axis, descending=True, stable=True)
    return values.narrow(axis, 0, k), indices.narrow(axis, 0, k)


def unique(x: Tensor, size: int, fill: float) -> Tensor:
    """Ascending, cut or filled up to `size`; the derivative goes to the first of equals."""
    flat = x.reshape(-1)
    first = np.unique(flat.detach().numpy(), return_index=True)[1][:size]
    filler = torch.full((size - len(first),), fill).to(x.dtype)
    return torch.cat([flat[torch.as_tensor(first)], filler])


def first_places(x: Tensor) -> tuple:
    """NumPy's answers about distinct values: where each first stands, the number of each element's, and how often."""
    found = np.unique(x.detach().numpy(), return_index=True, return_inverse=True, return_counts=True)
    first, inverse, counts = (torch.as_tensor(part).to(torch.int64) for part in found[1:])
    return x.reshape(-1)[first], first, inverse.reshape(x.shape), counts


def repeat_each(x: Tensor, counts: Tensor, axis: int) -> Tensor:
    counts = counts.to(torch.int64).broadcast_to(x.shape[axis])
    return torch.repeat_interleave(x, counts, dim=axis)


def cumulative(kind: str) -> Callable:
    """The sums or products so far, with that of nothing in front if wanted."""

    def function(x: Tensor, axis: int, dtype: str | None, include_initial: bool) -> Tensor:
        x = x if dtype is None else x.to(DTYPES[dtype])
        y = getattr(torch, "cum" + kind)(x, axis, dtype=x.dtype)
        first = torch.full_like(y.narrow(axis, 0, 1), 0 if kind == "sum" else 1)
        return torch.cat([first, y], axis) if include_initial else y

    return function


def count_nonzero(x: Tensor, axes: Axes | int) -> Tensor:
    keep = isinstance(axes, Axes) and axes.keepdims
    return (x != 0).to(torch.int64).sum(axes_of(axes, x.ndim), keepdim=keep)


TABLE: dict[str, Callable] = {
    "take": take,
    "take_along_axis": take_along_axis,
    "index": lambda x, indices: x[tuple(i if i.dtype == torch.bool else i.to(torch.int64) for i in indices)],
    "scatter_set": scattering("set"),
    "scatter_add": scattering("sum"),
    "scatter_max": scattering("amax"),
    "scatter_min": scattering("amin"),
    "index_add": index_add,
    "index_set": index_set,
    "put": put,
    "masked_fill": lambda x, mask, value: x.masked_fill(mask.bool(), value),
    "masked_select": lambda x, mask: x.masked_select(mask.bool()),
    "one_hot": one_hot,
    "embedding": lambda weight, indices: weight[wrapped(indices, weight.shape[0])],
    "sort": sort,
    "argsort": argsort,
    "topk": topk,
    "searchsorted": lambda sorted, values, right: torch.searchsorted(sorted.detach(), values.detach(), right=right),
    "unique": unique,
    "nonzero": lambda x: list(torch.nonzero(x.detach(), as_tuple=True)),
    "count_nonzero": count_nonzero,
    "isin": lambda x1, x2, invert: torch.as_tensor(np.isin(x1.detach().numpy(), x2.detach().numpy(), invert=invert)),
    "unique_values": lambda x: first_places(x)[0],
    "unique_counts": lambda x: first_places(x)[::3],
    "unique_inverse": lambda x: first_places(x)[::2],
    "unique_all": first_places,
    "repeat_each": repeat_each,
    "cumulative_sum": cumulative("sum"),
    "cumulative_prod": cumulative("prod"),
}
