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


def binary_cross_entropy(x: Tensor, target: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """Written out, because torch gives no derivative for the weight."""
    losses = -(target * x.log().clamp(min=-100) + (1 - target) * (1 - x).log().clamp(min=-100))
    return reduced(losses if weight is None else losses * weight, reduction)


def poisson_nll_loss(x: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: str) -> Tensor:
    """Torch's own forgets that Stirling's formula has a derivative for the target."""
    losses = F.poisson_nll_loss(x, target, log_input, full=False, eps=eps, reduction="none")
    if full:
        t = target.clamp(min=1.0)
        losses = losses + torch.where(target > 1, t * t.log() - t + 0.5 * (2 * torch.pi * t).log(), 0.0)
    return reduced(losses, reduction)


def gaussian_nll_loss(
    x: Tensor, target: Tensor, variance: Tensor, full: bool, eps: float, reduction: str
) -> Tensor:
    """Written out, because torch holds the variance above `eps` without a derivative in between."""
    v = variance.clamp(min=eps)
    losses = 0.5 * (v.log() + (x - target) ** 2 / v) + (0.5 * torch.log(torch.tensor(2 * torch.pi, dtype=x.dtype)) if full else 0.0)
    return reduced(losses, reduction)


def multilabel_soft_margin_loss(x: Tensor, target: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    losses = -(target * F.logsigmoid(x) + (1 - target) * F.logsigmoid(-x))
    return reduced((losses if weight is None else losses * weight).mean(-1), reduction)


def cosine_embedding_loss(x1: Tensor, x2: Tensor, target: Tensor, margin: float, reduction: str) -> Tensor:
    """With torch's cosine: its loss has another one, which adds 1e-12 to the squared lengths."""
    cosine = F.cosine_similarity(x1, x2, -1, 1e-8)
    return reduced(torch.where(target == 1, 1 - cosine, (cosine - margin).clamp(min=0)), reduction)


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float, p: float, eps: float, swap: bool, reduction: str
) -> Tensor:
    return F.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, reduction=reduction)


TABLE: dict[str, Callable] = {
    "binary_cross_entropy": binary_cross_entropy,
    "smooth_l1_loss": lambda x, target, beta, reduction: F.smooth_l1_loss(x, target, beta=beta, reduction=reduction),
    "soft_margin_loss": lambda x, target, reduction: reduced((-x * target).exp().log1p(), reduction),
    "multilabel_soft_margin_loss": multilabel_soft_margin_loss,
    "poisson_nll_loss": poisson_nll_loss,
    "gaussian_nll_loss": gaussian_nll_loss,
    "cosine_similarity": lambda x1, x2, axis, eps: F.cosine_similarity(x1, x2, axis, eps),
    "normalize": lambda x, p, axis, eps: F.normalize(x, p, axis, eps),
    "pairwise_distance": lambda x1, x2, p, eps, keepdims: F.pairwise_distance(x1, x2, p, eps, keepdims),
    "cosine_embedding_loss": cosine_embedding_loss,
    "triplet_margin_loss": triplet_margin_loss,
    "margin_ranking_loss": lambda x1, x2, target, margin, reduction: reduced(
        (-target * (x1 - x2) + margin).clamp(min=0), reduction
    ),
    "hinge_embedding_loss": lambda x, target, margin, reduction: F.hinge_embedding_loss(
        *torch.broadcast_tensors(x, target), margin, reduction=reduction
    ),
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
