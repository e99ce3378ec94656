"""The same elements in another arrangement."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .core import Axes, axes_of, promoted


def along(x: Tensor, axis: int, positions: list[int] | np.ndarray) -> Tensor:
    """The elements at these positions of an axis."""
    return x.index_select(axis, torch.as_tensor(np.array(positions, dtype=np.int64)))


def squeeze(x: Tensor, axes: Axes | list[int] | int | None) -> Tensor:
    """Drops the axes named, or all of size 1."""
    dropped = [i for i in axes_of(axes, x.ndim) if x.shape[i] == 1]
    return x.reshape([d for i, d in enumerate(x.shape) if i not in dropped])


def expand_dims(x: Tensor, axes: Axes | list[int] | int) -> Tensor:
    """New axes of size 1; their positions are those in the result."""
    axes = axes.axes if isinstance(axes, Axes) else axes
    count = 1 if isinstance(axes, int) else len(axes)
    for axis in sorted(axes_of(axes, x.ndim + count)):
        x = x.unsqueeze(axis)
    return x


def flip(x: Tensor, axes: Axes | list[int] | int | None) -> Tensor:
    return torch.flip(x, axes_of(axes, x.ndim))


def slice_(x: Tensor, starts: list[int], stops: list[int], steps: list[int]) -> Tensor:
    """Python's slice on each of the first axes, negative steps included; plain integers are for the first axis."""
    starts, stops, steps = ([bound] if isinstance(bound, int) else bound for bound in (starts, stops, steps))
    for axis, bounds in enumerate(zip(starts, stops, steps or [1] * len(starts), strict=True)):
        x = along(x, axis, list(range(*slice(*bounds).indices(x.shape[axis]))))
    return x


def pad(x: Tensor, widths: list | int, mode: str, value: float) -> Tensor:
    """(before, after) for each axis, flat or nested; one pair or one number stands for all axes."""
    flat = [int(w) for w in np.array(widths).reshape(-1)]
    flat = {1: flat * 2 * x.ndim, 2: flat * x.ndim}.get(len(flat), flat)
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    if mode == "constant":
        return F.pad(x, [w for pair in reversed(pairs) for w in pair], value=value)
    for axis, pair in enumerate(pairs):
        x = along(x, axis, np.pad(np.arange(x.shape[axis]), pair, mode=mode))
    return x


def roll(x: Tensor, shifts: list[int] | int, axes: Axes | list[int] | int | None) -> Tensor:
    """Rolls the flat sequence if no axes are named; one shift serves all axes."""
    axes = axes.axes if isinstance(axes, Axes) else axes
    shifts = [shifts] if isinstance(shifts, int) else shifts
    if axes is None or axes == []:
        return torch.roll(x, shifts)
    axes = axes_of(axes, x.ndim)
    return torch.roll(x, shifts * len(axes) if len(shifts) == 1 else shifts, axes)


def flat_or(axis: int | None, x: Tensor) -> tuple[Tensor, int]:
    """The tensor and its axis; without an axis, the flat sequence."""
    return (x.reshape(-1), 0) if axis is None else (x, axis)


def concat(tensors: list[Tensor], axis: int | None) -> Tensor:
    parts = promoted(*tensors)
    return torch.cat([p.reshape(-1) for p in parts]) if axis is None else torch.cat(parts, axis)


def repeat(x: Tensor, n: int, axis: int | None) -> Tensor:
    x, axis = flat_or(axis, x)
    return x.repeat_interleave(n, axis)


TABLE: dict[str, Callable] = {
    "pixel_shuffle": lambda x, factor: F.pixel_shuffle(x, factor),
    "pixel_unshuffle": lambda x, factor: F.pixel_unshuffle(x, factor),
    # Written out: torch's own has no derivative.
    "channel_shuffle": lambda x, groups: x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2),
    "reshape": lambda x, shape: x.reshape(shape),
    "permute_dims": lambda x, axes: x.permute(axes_of(axes, x.ndim)),
    "transpose": lambda x, axis1, axis2: x.transpose(axis1, axis2),
    "matrix_transpose": lambda x: x.mT,
    "squeeze": squeeze,
    "expand_dims": expand_dims,
    "broadcast_to": lambda x, shape: x.broadcast_to(shape),
    "flip": flip,
    "flatten": lambda x, start, end: torch.flatten(x, start, end),
    "moveaxis": lambda x, source, destination: torch.moveaxis(x, source, destination),
    "slice": slice_,
    "split": lambda x, sizes, axis: torch.split(x, sizes, axis),
    "chunk": lambda x, n, axis: torch.chunk(x, n, axis),
    "unbind": lambda x, axis: torch.unbind(x, axis),
    "tril": lambda x, k: torch.tril(x, k),
    "triu": lambda x, k: torch.triu(x, k),
    # the last two axes, as in the Array API; torch and NumPy would take the first two
    "diagonal": lambda x, offset: torch.diagonal(x, offset, -2, -1),
    "concat": concat,
    "stack": lambda tensors, axis: torch.stack(promoted(*tensors), axis),
    "pad": pad,
    "roll": roll,
    "tile": lambda x, reps: torch.tile(x, [reps] if isinstance(reps, int) else reps),
    "repeat": repeat,
}
