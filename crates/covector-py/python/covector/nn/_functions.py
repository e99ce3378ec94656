"""Modules that are functions: activations, losses, distances, paddings, and what drops whole channels."""

import inspect

from covector import _core
from covector.nn import functional
from covector.nn._module import Module, Parameter, next_key

#: Where the classes are found.
_HOME = "covector.nn"


class PReLU(Module):
    """x where it is positive, a learned part of it elsewhere: one for all, or one for each channel."""

    __module__ = _HOME

    def __init__(self, num_parameters=1, init=0.25, *, device=None, dtype=None):
        super().__init__()
        self.num_parameters = num_parameters
        self.weight = Parameter(_core.full((num_parameters,), init, dtype=dtype or _core.float32, device=device))

    def forward(self, input):
        """As the input."""
        return functional.prelu(input, self.weight)

    def extra_repr(self):
        """How it was made."""
        return f"num_parameters={self.num_parameters}"


class _ChannelDropout(Module):
    def __init__(self, p=0.5):
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"a part between 0 and 1 is dropped, not {p}")
        self.p = p

    def forward(self, input):
        """As the input."""
        return getattr(functional, f"dropout{self._axes}d")(input, self.p, self.training, key=next_key())

    def extra_repr(self):
        """How it was made."""
        return f"p={self.p}"


def _channel_dropout(axes):
    doc = "In training whole channels are dropped with probability `p`, and the others are scaled up."
    return type(f"Dropout{axes}d", (_ChannelDropout,), {"_axes": axes, "__doc__": doc, "__module__": _HOME})


Dropout1d, Dropout2d, Dropout3d = map(_channel_dropout, (1, 2, 3))


class _Pad(Module):
    def __init__(self, padding, value=0.0):
        super().__init__()
        if value != 0.0 and self._mode != "constant":
            raise TypeError(f"{type(self).__name__} takes no value")
        self.padding = (padding,) * (2 * self._axes) if isinstance(padding, int) else tuple(padding)
        if len(self.padding) != 2 * self._axes:
            raise ValueError(f"`padding` must be an integer or {2 * self._axes} integers, not {padding!r}")
        self.value = value

    def forward(self, input):
        """The input with more elements at the ends of its last axes."""
        return functional.pad(input, self.padding, self._mode, self.value)

    def extra_repr(self):
        """How it was made."""
        return f"padding={self.padding}" + (f", value={self.value}" if self.value else "")


def _pad(name, axes, mode, doc):
    name = f"{name}Pad{axes}d"
    return type(name, (_Pad,), {"_axes": axes, "_mode": mode, "__doc__": doc, "__module__": _HOME})


ConstantPad1d, ConstantPad2d, ConstantPad3d = (_pad("Constant", d, "constant", "A number at the ends of axes.") for d in (1, 2, 3))
ZeroPad1d, ZeroPad2d, ZeroPad3d = (_pad("Zero", d, "constant", "Zeros at the ends of axes.") for d in (1, 2, 3))
ReflectionPad1d, ReflectionPad2d, ReflectionPad3d = (
    _pad("Reflection", d, "reflect", "Axes continued by what lies before their ends, mirrored.") for d in (1, 2, 3)
)
ReplicationPad1d, ReplicationPad2d, ReplicationPad3d = (
    _pad("Replication", d, "replicate", "Axes continued by their last elements.") for d in (1, 2, 3)
)
CircularPad1d, CircularPad2d, CircularPad3d = (
    _pad("Circular", d, "circular", "Axes continued from their other ends.") for d in (1, 2, 3)
)


def _function(name, f, options=""):
    """A module without parameters: a function of the registry, with options that are fixed when it is made."""
    kinds = inspect.Parameter
    parameters = [kinds("self", kinds.POSITIONAL_OR_KEYWORD)]
    for option in filter(None, options.split(", ")):
        key, _, default = option.partition("=")
        default = eval(default, {"inf": float("inf")}) if default else kinds.empty  # noqa: S307 - texts of this file
        parameters.append(kinds(key, kinds.POSITIONAL_OR_KEYWORD, default=default))
    signature = inspect.Signature(parameters)
    names = [p.name for p in parameters[1:]]

    def __init__(self, *args, **kwargs):
        Module.__init__(self)
        given = signature.bind(self, *args, **kwargs)
        given.apply_defaults()
        for key in names:
            self.register_buffer(key, x) if isinstance(x := given.arguments[key], _core.Array) else setattr(self, key, x)

    def forward(self, *inputs):
        """The function of the inputs."""
        return f(*inputs, **{key: getattr(self, key) for key in names})

    def extra_repr(self):
        """How it was made."""
        return ", ".join(f"{key}={getattr(self, key)!r}" for key in names)

    __init__.__signature__ = signature
    members = {"_plain": True, "__init__": __init__, "forward": forward, "extra_repr": extra_repr, "__doc__": f.__doc__, "__module__": _HOME}
    return type(name, (Module,), members)


def _unflattened(input, dim, unflattened_size):
    """One axis as several."""
    return functional.unflatten(input, dim, unflattened_size)


F = functional
ReLU = _function("ReLU", F.relu)
ReLU6 = _function("ReLU6", F.relu6)
LeakyReLU = _function("LeakyReLU", F.leaky_relu, "negative_slope=0.01")
ELU = _function("ELU", F.elu, "alpha=1.0")
SELU = _function("SELU", F.selu)
GELU = _function("GELU", F.gelu, "approximate='none'")
SiLU = _function("SiLU", F.silu)
Mish = _function("Mish", F.mish)
Softplus = _function("Softplus", F.softplus)
Sigmoid = _function("Sigmoid", F.sigmoid)
LogSigmoid = _function("LogSigmoid", F.logsigmoid)
Tanh = _function("Tanh", F.tanh)
Hardtanh = _function("Hardtanh", F.hardtanh, "min_val=-1.0, max_val=1.0")
Softmax = _function("Softmax", F.softmax, "dim=-1")
LogSoftmax = _function("LogSoftmax", F.log_softmax, "dim=-1")
CELU = _function("CELU", F.celu, "alpha=1.0")
GLU = _function("GLU", F.glu, "dim=-1")
Hardsigmoid = _function("Hardsigmoid", F.hardsigmoid)
Hardswish = _function("Hardswish", F.hardswish)
Hardshrink = _function("Hardshrink", F.hardshrink, "lambd=0.5")
Softshrink = _function("Softshrink", F.softshrink, "lambd=0.5")
Softsign = _function("Softsign", F.softsign)
Tanhshrink = _function("Tanhshrink", F.tanhshrink)
Threshold = _function("Threshold", F.threshold, "threshold, value")
Softmin = _function("Softmin", F.softmin, "dim=-1")
Flatten = _function("Flatten", F.flatten, "start_dim=1, end_dim=-1")
Unflatten = _function("Unflatten", _unflattened, "dim, unflattened_size")
PixelShuffle = _function("PixelShuffle", F.pixel_shuffle, "upscale_factor")
PixelUnshuffle = _function("PixelUnshuffle", F.pixel_unshuffle, "downscale_factor")
ChannelShuffle = _function("ChannelShuffle", F.channel_shuffle, "groups")
Unfold = _function("Unfold", F.unfold, "kernel_size, dilation=1, padding=0, stride=1")
Fold = _function("Fold", F.fold, "output_size, kernel_size, dilation=1, padding=0, stride=1")
Upsample = _function("Upsample", F.interpolate, "size=None, scale_factor=None, mode='nearest'")
CosineSimilarity = _function("CosineSimilarity", F.cosine_similarity, "dim=1, eps=1e-8")
PairwiseDistance = _function("PairwiseDistance", F.pairwise_distance, "p=2.0, eps=1e-6, keepdim=False")
Identity = _function("Identity", F.identity)
MSELoss = _function("MSELoss", F.mse_loss, "reduction='mean'")
L1Loss = _function("L1Loss", F.l1_loss, "reduction='mean'")
HuberLoss = _function("HuberLoss", F.huber_loss, "reduction='mean', delta=1.0")
SmoothL1Loss = _function("SmoothL1Loss", F.smooth_l1_loss, "reduction='mean', beta=1.0")
BCELoss = _function("BCELoss", F.binary_cross_entropy, "weight=None, reduction='mean'")
SoftMarginLoss = _function("SoftMarginLoss", F.soft_margin_loss, "reduction='mean'")
MultiLabelSoftMarginLoss = _function("MultiLabelSoftMarginLoss", F.multilabel_soft_margin_loss, "weight=None, reduction='mean'")
PoissonNLLLoss = _function("PoissonNLLLoss", F.poisson_nll_loss, "log_input=True, full=False, eps=1e-8, reduction='mean'")
GaussianNLLLoss = _function("GaussianNLLLoss", F.gaussian_nll_loss, "full=False, eps=1e-6, reduction='mean'")
CosineEmbeddingLoss = _function("CosineEmbeddingLoss", F.cosine_embedding_loss, "margin=0.0, reduction='mean'")
MarginRankingLoss = _function("MarginRankingLoss", F.margin_ranking_loss, "margin=0.0, reduction='mean'")
HingeEmbeddingLoss = _function("HingeEmbeddingLoss", F.hinge_embedding_loss, "margin=1.0, reduction='mean'")
TripletMarginLoss = _function(
    "TripletMarginLoss", F.triplet_margin_loss, "margin=1.0, p=2.0, eps=1e-6, swap=False, reduction='mean'"
)
NLLLoss = _function("NLLLoss", F.nll_loss, "weight=None, ignore_index=-100, reduction='mean'")
CrossEntropyLoss = _function(
    "CrossEntropyLoss", F.cross_entropy, "weight=None, ignore_index=-100, reduction='mean', label_smoothing=0.0"
)
BCEWithLogitsLoss = _function(
    "BCEWithLogitsLoss", F.binary_cross_entropy_with_logits, "weight=None, reduction='mean', pos_weight=None"
)
KLDivLoss = _function("KLDivLoss", F.kl_div, "reduction='mean', log_target=False")


__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CELU", "ChannelShuffle", "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d",
    "ConstantPad2d", "ConstantPad3d", "CosineEmbeddingLoss", "CosineSimilarity", "CrossEntropyLoss", "Dropout1d", "Dropout2d",
    "Dropout3d", "ELU", "Flatten", "Fold", "GELU", "GLU", "GaussianNLLLoss", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh",
    "HingeEmbeddingLoss", "HuberLoss", "Identity", "KLDivLoss", "L1Loss", "LeakyReLU", "LogSigmoid", "LogSoftmax", "MSELoss",
    "MarginRankingLoss", "Mish", "MultiLabelSoftMarginLoss", "NLLLoss", "PReLU", "PairwiseDistance", "PixelShuffle",
    "PixelUnshuffle", "PoissonNLLLoss", "ReLU", "ReLU6", "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d",
    "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d", "SELU", "SiLU", "Sigmoid", "SmoothL1Loss", "SoftMarginLoss",
    "Softmax", "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold", "TripletMarginLoss",
    "Unflatten", "Unfold", "Upsample", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip
