"""Windows that slide over spatial axes: convolution, pooling, resizing. Layouts are `[batch, channel, ..]`."""

import itertools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .core import each

Ints = list[int] | int | None


def conv(n: int) -> Callable:
    function = (F.conv1d, F.conv2d, F.conv3d)[n - 1]

    def op(
        x: Tensor, weight: Tensor, bias: Tensor | None, stride: Ints, padding: Ints, dilation: Ints, groups: int
    ) -> Tensor:
        return function(x, weight, bias, each(stride, n, 1), each(padding, n, 0), each(dilation, n, 1), groups)

    return op


def conv_transpose(n: int) -> Callable:
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[n - 1]

    def op(
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: Ints,
        padding: Ints,
        output_padding: Ints,
        dilation: Ints,
        groups: int,
    ) -> Tensor:
        sizes = [each(stride, n, 1), each(padding, n, 0), each(output_padding, n, 0)]
        return function(x, weight, bias, *sizes, groups, each(dilation, n, 1))

    return op


def windows(x: Tensor, kernel: Sequence[int], stride: Ints, padding: Ints, dilation: Ints, fill: float) -> Tensor:
    """`[.., s1, .., sn]` cut into `[.., places1, .., placesn, k1, .., kn]`, `fill` standing in for what is outside."""
    n = len(kernel)
    stride, padding, dilation = each(stride, n, 1), each(padding, n, 0), each(dilation, n, 1)
    x = F.pad(x, [p for p in reversed(padding) for _ in range(2)], value=fill)
    lead = x.ndim - n
    for i in range(n):
        span = dilation[i] * (kernel[i] - 1) + 1
        x = x.unfold(lead + i, span, stride[i])[..., :: dilation[i]]
    return x


def max_pool(n: int) -> Callable:
    """The maximum of each window; unlike torch's own pooling, ties share the derivative equally."""

    def op(x: Tensor, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Tensor:
        size = each(kernel, n, 1)
        return windows(x, size, each(stride, n, size), padding, dilation, -torch.inf).amax(tuple(range(-n, 0)))

    return op


def avg_pool(n: int) -> Callable:
    """The mean of each window; the zeros of the padding count."""
    function = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[n - 1]

    def op(x: Tensor, kernel: Ints, stride: Ints, padding: Ints) -> Tensor:
        size = each(kernel, n, 1)
        return function(x, size, each(stride, n, size), each(padding, n, 0))

    return op


def adaptive(n: int, reduce: Callable) -> Callable:
    """Window `i` of `m` over `s` elements runs from `floor(i s / m)` to `ceil((i + 1) s / m)`."""

    def op(x: Tensor, output_size: Ints) -> Tensor:
        sizes = each(output_size, n, 1)
        spatial = x.shape[x.ndim - n :]
        bins = [
            [slice(i * s // m, -(-(i + 1) * s // m)) for i in range(m)] for s, m in zip(spatial, sizes, strict=True)
        ]
        parts = [reduce(x[(..., *cut)], tuple(range(-n, 0))) for cut in itertools.product(*bins)]
        return torch.stack(parts, -1).reshape(*x.shape[: x.ndim - n], *sizes)

    return op


def unfold(x: Tensor, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Tensor:
    """`[batch, channels, ..] -> [batch, channels * kernel, places]` for any number of spatial axes."""
    n = x.ndim - 2
    cut = windows(x, each(kernel, n, 1), stride, padding, dilation, 0.0)
    places, size = cut.shape[2 : 2 + n], cut.shape[2 + n :]
    order = [0, 1, *range(2 + n, 2 + 2 * n), *range(2, 2 + n)]
    return cut.permute(order).reshape(x.shape[0], x.shape[1] * size.numel(), places.numel())


def fold(x: Tensor, output_size: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Tensor:
    """The transpose of `unfold`: each element returns to the place it would have come from, and what meets is added."""
    n = max((len(v) for v in (output_size, kernel, stride, padding, dilation) if isinstance(v, list)), default=1)
    size, kernel = each(output_size, n, 1), each(kernel, n, 1)
    channels = x.shape[1] // torch.Size(kernel).numel()
    numbers = torch.arange(torch.Size(size).numel(), dtype=torch.float64).reshape(1, 1, *size)
    source = windows(numbers, kernel, stride, padding, dilation, -1.0)
    source = source.permute([0, 1, *range(2 + n, 2 + 2 * n), *range(2, 2 + n)]).reshape(-1).long()
    inside = source >= 0
    rows = x.reshape(x.shape[0], channels, -1)[..., inside]
    empty = torch.zeros(*rows.shape[:2], numbers.numel(), dtype=x.dtype)
    return empty.index_add(2, source[inside], rows).reshape(*rows.shape[:2], *size)


def resize(x: Tensor, size: Ints, mode: str) -> Tensor:
    """Nearest: element `floor(i s / m)`. Linear: pixel centres (align_corners false), no smoothing when shrinking."""
    n = x.ndim - 2
    size = each(size, n, 1)
    if mode == "linear":
        return F.interpolate(x, size, mode=("linear", "bilinear", "trilinear")[n - 1], align_corners=False)
    for i, m in enumerate(size):
        x = x.index_select(2 + i, torch.arange(m) * x.shape[2 + i] // m)
    return x


TABLE: dict[str, Callable] = {
    **{f"conv{n}d": conv(n) for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": conv_transpose(n) for n in (1, 2, 3)},
    **{f"max_pool{n}d": max_pool(n) for n in (1, 2, 3)},
    **{f"avg_pool{n}d": avg_pool(n) for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": adaptive(n, torch.mean) for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": adaptive(n, torch.amax) for n in (1, 2, 3)},
    "unfold": unfold,
    "fold": fold,
    "resize": resize,
}
