"""Losses. Those with weights are written out, because torch gives no derivative for the weights."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def reduced(losses: Tensor, reduction: str, total: Tensor | float | None = None) -> Tensor:
    """`mean` divides by `total`, or by the number of losses."""
    match reduction:
        case "none":
            return losses
        case "sum":
            return losses.sum()
        case "mean":
            return losses.mean() if total is None else losses.sum() / total
    raise ValueError(f"unknown reduction: {reduction}")


def picked(log_probs: Tensor, target: Tensor, weight: Tensor, ignored: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted loss and the weight of each target; both 0 where it is ignored. Classes are on axis 0 or 1."""
    axis = min(1, log_probs.ndim - 1)
    safe = target.masked_fill(ignored, 0)
    chosen = log_probs.gather(axis, safe.unsqueeze(axis)).squeeze(axis)
    weights = weight[safe].masked_fill(ignored, 0.0)
    return -weights * chosen.masked_fill(ignored, 0.0), weights


def class_weights(log_probs: Tensor, weight: Tensor | None) -> Tensor:
    classes = log_probs.shape[min(1, log_probs.ndim - 1)]
    return torch.ones(classes, dtype=log_probs.dtype) if weight is None else weight


def ignored_in(target: Tensor, ignore_index: int | None) -> Tensor:
    return torch.zeros_like(target, dtype=torch.bool) if ignore_index is None else target == ignore_index


def nll_loss(
    log_probs: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int | None, reduction: str
) -> Tensor:
    """`mean` is the weighted mean over the targets that are not ignored."""
    weight = class_weights(log_probs, weight)
    losses, weights = picked(log_probs, target, weight, ignored_in(target, ignore_index))
    return reduced(losses, reduction, weights.sum())


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int | None,
    label_smoothing: float,
    reduction: str,
) -> Tensor:
    """Targets are classes, or (as floats) probabilities; smoothing mixes in the mean over all classes."""
    axis = min(1, logits.ndim - 1)
    classes = logits.shape[axis]
    log_probs = logits.log_softmax(axis)
    weight = class_weights(logits, weight)
    per_class = -log_probs * weight.reshape(-1, *[1] * (logits.ndim - axis - 1))
    if target.is_floating_point():
        mixed = target * (1 - label_smoothing) + label_smoothing / classes
        losses = (per_class * mixed).sum(axis)
        return reduced(losses, reduction, losses.numel())
    ignored = ignored_in(target, ignore_index)
    losses, weights = picked(log_probs, target, weight, ignored)
    smooth = per_class.sum(axis).masked_fill(ignored, 0.0)
    mixed = losses * (1 - label_smoothing) + smooth * (label_smoothing / classes)
    return reduced(mixed, reduction, weights.sum())


def binary_cross_entropy_with_logits(
    x: Tensor, target: Tensor, weight: Tensor | None, pos_weight: Tensor | None, reduction: str
) -> Tensor:
    """`pos_weight` multiplies the positive term, `weight` the whole."""
    positive = target if pos_weight is None else pos_weight * target
    losses = positive * F.softplus(-x, threshold=60.0) + (1 - target) * F.softplus(x, threshold=60.0)
    return reduced(losses if weight is None else losses * weight, reduction)


def kl_div(log_probs: Tensor, target: Tensor, log_target: bool, reduction: str) -> Tensor:
    """`mean` divides by the number of elements, `batchmean` by the first size."""
    if reduction == "batchmean":
        return kl_div(log_probs, target, log_target, "sum") / log_probs.shape[0]
    return reduced(F.kl_div(log_probs, target, log_target=log_target, reduction="none"), reduction)


TABLE: dict[str, Callable] = {
    "cross_entropy": cross_entropy,
    "nll_loss": nll_loss,
    "mse_loss": lambda x, target, reduction: reduced((x - target) ** 2, reduction),
    "l1_loss": lambda x, target, reduction: reduced((x - target).abs(), reduction),
    "huber_loss": lambda x, target, delta, reduction: F.huber_loss(
        *torch.broadcast_tensors(x, target), delta=delta, reduction=reduction
    ),
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "kl_div": kl_div,
}
