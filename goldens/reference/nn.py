"""Attention and normalisation."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .core import real


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """Torch's rule: true in a bool mask takes part, a float mask is added, a query that sees nothing gives 0.

    Torch takes either a mask or `causal`; here both become one additive mask.
    """
    bias = torch.zeros(q.shape[-2], k.shape[-2], dtype=q.dtype)
    if causal:
        bias = bias.masked_fill(torch.ones_like(bias, dtype=torch.bool).triu(1), -torch.inf)
    if mask is not None and mask.dtype == torch.bool:
        bias = torch.where(mask, bias, -torch.inf)
    elif mask is not None:
        bias = bias + mask
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def self_attention(qkv: Tensor, heads: int, mask: Tensor | None, causal: bool) -> Tensor:
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(-3, -2) for x in qkv.chunk(3, -1))
    return attention(q, k, v, mask, causal).transpose(-3, -2).flatten(-2)


def layer_norm(x: Tensor, normalized_ndim: int, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    return F.layer_norm(real(x), x.shape[x.ndim - normalized_ndim :], weight, bias, eps)


def rms_norm(x: Tensor, normalized_ndim: int, weight: Tensor | None, eps: float) -> Tensor:
    return F.rms_norm(real(x), x.shape[x.ndim - normalized_ndim :], weight, eps)


def batch_norm(
    x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """Written out, because torch gives no derivative for the statistics."""

    def per_channel(t: Tensor) -> Tensor:
        return t.reshape(-1, *[1] * (x.ndim - 2))

    y = (x - per_channel(mean)) / torch.sqrt(per_channel(variance) + eps)
    y = y if weight is None else y * per_channel(weight)
    return y if bias is None else y + per_channel(bias)


TABLE: dict[str, Callable] = {
    "scaled_dot_product_attention": attention,
    "self_attention": self_attention,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "group_norm": lambda x, groups, weight, bias, eps: F.group_norm(real(x), groups, weight, bias, eps),
    "batch_norm": batch_norm,
}
