"""What layers compute, as functions with PyTorch's names and orders: those of the registry.

Nothing here computes: a function is the registry's own, or hands over to it in its order.
"""

from covector import _core
from covector._core import (
    adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, adaptive_max_pool1d, adaptive_max_pool2d,
    adaptive_max_pool3d, channel_shuffle, conv1d, conv2d, conv3d, elu, hardsigmoid, hardswish, log_softmax, mish, prelu, relu, selu,
    sigmoid, silu, softmax, softplus, softsign, tanh, tanhshrink,
)  # fmt: skip

logsigmoid = _core.log_sigmoid


def identity(input):
    """The array itself."""
    return input


def linear(input, weight, bias=None):
    """`x Wᵀ + b`."""
    y = input @ weight.T
    return y if bias is None else y + bias


def leaky_relu(input, negative_slope=0.01):
    """x where it is positive, a part of it elsewhere."""
    return _core.leaky_relu(input, negative_slope)


def relu6(input):
    """x between 0 and 6."""
    return _core.clip(input, 0.0, 6.0)


def hardtanh(input, min_val=-1.0, max_val=1.0):
    """x between two bounds."""
    return _core.clip(input, min_val, max_val)


def celu(input, alpha=1.0):
    """x where it is positive, `alpha (e^(x / alpha) - 1)` elsewhere."""
    return _core.celu(input, alpha)


def glu(input, dim=-1):
    """The first half along an axis, gated by the sigmoid of the second."""
    return _core.glu(input, dim)


def hardshrink(input, lambd=0.5):
    """x where it is further than `lambd` from 0, and 0 elsewhere."""
    return _core.hardshrink(input, lambd)


def softshrink(input, lambd=0.5):
    """x moved by `lambd` towards 0, and 0 where that is nearer."""
    return _core.softshrink(input, lambd)


def threshold(input, threshold, value):
    """x where it is larger than a bound, a number elsewhere."""
    return _core.threshold(input, threshold, value)


def softmin(input, dim=-1):
    """The softmax of -x."""
    return _core.softmax(-_core.asarray(input), dim)


def gelu(input, approximate="none"):
    """`x Φ(x)`; with `approximate="tanh"` by a hyperbolic tangent."""
    forms = {"none": _core.gelu, "tanh": _core.gelu_tanh}
    if approximate not in forms:
        raise ValueError(f'there is no approximation {approximate!r}: "none" and "tanh" are there')
    return forms[approximate](input)


def embedding(input, weight):
    """The vectors of a table at some indices."""
    return _core.embedding(weight, input)


def flatten(input, start_dim=1, end_dim=-1):
    """These axes as one."""
    return _core.flatten(input, start_dim, end_dim)


def unflatten(input, dim, sizes):
    """One axis as several."""
    shape = _core.asarray(input).shape
    dim %= len(shape)
    return _core.reshape(input, (*shape[:dim], *sizes, *shape[dim + 1 :]))


def pixel_shuffle(input, upscale_factor):
    """Channels spread over squares of places."""
    return _core.pixel_shuffle(input, upscale_factor)


def pixel_unshuffle(input, downscale_factor):
    """Squares of places gathered in channels."""
    return _core.pixel_unshuffle(input, downscale_factor)


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """Every window as a column: `[batch, channels · window, windows]`."""
    return _core.unfold(input, kernel_size, stride, padding, dilation)


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Windows summed where they overlap: the adjoint of `unfold`."""
    return _core.fold(input, output_size, kernel_size, stride, padding, dilation)


_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(input, pad, mode="constant", value=0.0):
    """More elements at the ends of axes, the last axis first: `(before, after, before, after, ..)`."""
    x, pad = _core.asarray(input), list(pad)
    if mode not in _MODES:
        raise ValueError(f"there is no mode {mode!r} of padding: {', '.join(_MODES)} are there")
    if len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise ValueError(f"`pad` has two numbers for each of up to {x.ndim} axes, not {len(pad)}")
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2)]
    return _core.pad(x, pairs, _MODES[mode], constant_values=0.0 if value is None else value)


def interpolate(input, size=None, scale_factor=None, mode="nearest"):
    """Axes behind the second in other sizes; "bilinear" and "trilinear" are "linear" over two and three axes."""
    if (size is None) == (scale_factor is None):
        raise ValueError("give either `size` or `scale_factor`")
    if size is None:
        sizes = _core.asarray(input).shape[2:]
        factors = scale_factor if isinstance(scale_factor, (tuple, list)) else [scale_factor] * len(sizes)
        size = tuple(int(n * factor) for n, factor in zip(sizes, factors, strict=True))
    return _core.resize(input, size, "linear" if mode in ("bilinear", "trilinear") else mode)


def normalize(input, p=2.0, dim=1, eps=1e-12):
    """Vectors along an axis divided by their p-norms, or by `eps` if that is more."""
    return _core.normalize(input, p, dim, eps)


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """The cosine of the angle between vectors along an axis."""
    return _core.cosine_similarity(x1, x2, dim, eps)


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of `x1 - x2 + eps` along the last axis."""
    return _core.pairwise_distance(x1, x2, p, eps, keepdim)


def one_hot(input, num_classes):
    """1 at the index, 0 elsewhere, along a new last axis."""
    return _core.one_hot(input, num_classes)


def dropout(input, p=0.5, training=True, *, key=None):
    """In training elements are dropped with probability `p`, and the others are scaled up."""
    return _core._random.dropout(input, p, key=key) if training and p > 0.0 else _core.asarray(input)


def _channels_dropped(axes):
    def dropped(input, p=0.5, training=True, *, key=None):
        x = _core.asarray(input)
        if x.ndim not in (axes + 1, axes + 2):
            raise ValueError(f"channels of {axes} axes are dropped of [channels, size..] or [batch, channels, size..], not of {x.shape}")
        if not training or p == 0.0:
            return x
        return x * dropout(_core.ones((*x.shape[:-axes], *[1] * axes), dtype=x.dtype), p, key=key)

    dropped.__name__ = dropped.__qualname__ = f"dropout{axes}d"
    dropped.__doc__ = "In training whole channels are dropped with probability `p`, and the others are scaled up."
    return dropped


dropout1d, dropout2d, dropout3d = map(_channels_dropped, (1, 2, 3))


def _sizes(normalized_shape):
    return 1 if isinstance(normalized_shape, int) else len(normalized_shape)


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Normalisation of the last axes, of these sizes."""
    return _core.layer_norm(input, _sizes(normalized_shape), weight, bias, eps)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """The last axes, of these sizes, divided by their root mean square."""
    return _core.rms_norm(input, _sizes(normalized_shape), weight, _core.finfo(input.dtype).eps if eps is None else eps)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """Normalisation of groups of channels of each example."""
    return _core.group_norm(input, num_groups, weight, bias, eps)


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The adjoint of a convolution over one axis."""
    return _core.conv_transpose1d(input, weight, bias, stride, padding, output_padding, dilation, groups)


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The adjoint of a convolution over two axes."""
    return _core.conv_transpose2d(input, weight, bias, stride, padding, output_padding, dilation, groups)


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The adjoint of a convolution over three axes."""
    return _core.conv_transpose3d(input, weight, bias, stride, padding, output_padding, dilation, groups)


def _pool(pool, *dilation):
    def pooled(input, kernel_size, stride=None, padding=0):
        return pool(input, kernel_size, kernel_size if stride is None else stride, padding, *dilation)

    pooled.__name__ = pooled.__qualname__ = pool.__name__
    pooled.__doc__ = pool.__doc__
    return pooled


max_pool1d, max_pool2d, max_pool3d = (_pool(p, 1) for p in (_core.max_pool1d, _core.max_pool2d, _core.max_pool3d))
avg_pool1d, avg_pool2d, avg_pool3d = (_pool(p) for p in (_core.avg_pool1d, _core.avg_pool2d, _core.avg_pool3d))


def scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False):
    """What queries gather from values by their likeness to keys; a bool mask is true where a query may attend."""
    if dropout_p > 0.0:
        raise ValueError("weights of attention are dropped by nn.MultiheadAttention, not here")
    return _core.scaled_dot_product_attention(query, key, value, attn_mask, is_causal)


def mse_loss(input, target, reduction="mean"):
    """The squared differences."""
    return _core.mse_loss(input, target, reduction)


def l1_loss(input, target, reduction="mean"):
    """The absolute differences."""
    return _core.l1_loss(input, target, reduction)


def huber_loss(input, target, reduction="mean", delta=1.0):
    """Half the squared differences, and absolute ones where they are large."""
    return _core.huber_loss(input, target, delta, reduction)


def smooth_l1_loss(input, target, reduction="mean", beta=1.0):
    """The squared differences where they are small, and absolute ones where they are large."""
    return _core.smooth_l1_loss(input, target, beta, reduction)


def binary_cross_entropy(input, target, weight=None, reduction="mean"):
    """The cross-entropy of probabilities."""
    return _core.binary_cross_entropy(input, target, weight, reduction)


def soft_margin_loss(input, target, reduction="mean"):
    """`log(1 + e^(-t x))` for targets of 1 and -1."""
    return _core.soft_margin_loss(input, target, reduction)


def multilabel_soft_margin_loss(input, target, weight=None, reduction="mean"):
    """The mean over classes of the cross-entropies of logits: for examples of several classes at once."""
    return _core.multilabel_soft_margin_loss(input, target, weight, reduction)


def poisson_nll_loss(input, target, log_input=True, full=False, eps=1e-8, reduction="mean"):
    """How unlikely counts are under Poisson's distribution."""
    return _core.poisson_nll_loss(input, target, log_input, full, eps, reduction)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """How unlikely targets are under normal distributions."""
    return _core.gaussian_nll_loss(input, target, var, full, eps, reduction)


def cosine_embedding_loss(input1, input2, target, margin=0.0, reduction="mean"):
    """`1 - cos` for pairs that belong together (1), the cosine beyond the margin for others (-1)."""
    return _core.cosine_embedding_loss(input1, input2, target, margin, reduction)


def margin_ranking_loss(input1, input2, target, margin=0.0, reduction="mean"):
    """By how much the first is not larger than the second (target 1), or the second than the first (-1)."""
    return _core.margin_ranking_loss(input1, input2, target, margin, reduction)


def hinge_embedding_loss(input, target, margin=1.0, reduction="mean"):
    """The distance where the target is 1, what lacks to the margin where it is -1."""
    return _core.hinge_embedding_loss(input, target, margin, reduction)


def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"):
    """How much nearer to an anchor something that belongs to it is than something that does not."""
    return _core.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, reduction)


def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """The negative log-probabilities of the right classes; input `[batch, classes, ..]`."""
    return _core.nll_loss(input, target, weight, ignore_index, reduction)


def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """The negative log-probabilities of the right classes, of logits `[batch, classes, ..]`."""
    return _core.cross_entropy(input, target, weight, ignore_index, label_smoothing, reduction)


def binary_cross_entropy_with_logits(input, target, weight=None, reduction="mean", pos_weight=None):
    """The cross-entropy of probabilities that are given as logits."""
    return _core.binary_cross_entropy_with_logits(input, target, weight, pos_weight, reduction)


def kl_div(input, target, reduction="mean", log_target=False):
    """How far log-probabilities are from a distribution."""
    return _core.kl_div(input, target, log_target, reduction)


__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    "celu", "channel_shuffle", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "cosine_embedding_loss", "cosine_similarity", "cross_entropy", "dropout", "dropout1d", "dropout2d", "dropout3d", "elu",
    "embedding", "flatten", "fold", "gaussian_nll_loss", "gelu", "glu", "group_norm", "hardshrink", "hardsigmoid", "hardswish",
    "hardtanh", "hinge_embedding_loss", "huber_loss", "identity", "interpolate", "kl_div", "l1_loss", "layer_norm", "leaky_relu",
    "linear", "log_softmax", "logsigmoid", "margin_ranking_loss", "max_pool1d", "max_pool2d", "max_pool3d", "mish", "mse_loss",
    "multilabel_soft_margin_loss", "nll_loss", "normalize", "one_hot", "pad", "pairwise_distance", "pixel_shuffle",
    "pixel_unshuffle", "poisson_nll_loss", "prelu", "relu", "relu6", "rms_norm", "scaled_dot_product_attention", "selu",
    "sigmoid", "silu", "smooth_l1_loss", "soft_margin_loss", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh",
    "tanhshrink", "threshold", "triplet_margin_loss", "unflatten", "unfold",
]  # fmt: skip
