"""What layers compute, as functions with PyTorch's names and orders: those of the registry.

Nothing here computes: a function is the registry's own, or hands over to it in its order.
"""

from covector import _core
from covector._core import (
    adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, adaptive_max_pool1d, adaptive_max_pool2d,
    adaptive_max_pool3d, conv1d, conv2d, conv3d, elu, log_softmax, mish, relu, selu, sigmoid, silu, softmax, softplus, tanh,
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


def gelu(input, approximate="none"):
    """`x Φ(x)`; with `approximate="tanh"` by a hyperbolic tangent."""
    forms = {"none": _core.gelu, "tanh": _core.gelu_tanh}
    if approximate not in forms:
        raise ValueError(f'there is no approximation {approximate!r}: "none" and "tanh" are there')
    return forms[approximate](input)


def embedding(input, weight):
    """The vectors of a table at some indices."""
    return _core.embedding(weight, input)


def one_hot(input, num_classes):
    """1 at the index, 0 elsewhere, along a new last axis."""
    return _core.one_hot(input, num_classes)


def dropout(input, p=0.5, training=True, *, key=None):
    """In training elements are dropped with probability `p`, and the others are scaled up."""
    return _core._random.dropout(input, p, key=key) if training and p > 0.0 else _core.asarray(input)


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
    "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "binary_cross_entropy_with_logits", "conv1d", "conv2d",
    "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cross_entropy", "dropout", "elu", "embedding", "gelu",
    "group_norm", "hardtanh", "huber_loss", "identity", "kl_div", "l1_loss", "layer_norm", "leaky_relu", "linear", "log_softmax",
    "logsigmoid", "max_pool1d", "max_pool2d", "max_pool3d", "mish", "mse_loss", "nll_loss", "one_hot", "relu", "relu6",
    "rms_norm", "scaled_dot_product_attention", "selu", "sigmoid", "silu", "softmax", "softplus", "tanh",
]  # fmt: skip
