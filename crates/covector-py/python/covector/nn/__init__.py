"""Layers with PyTorch's names: parameters, layouts and defaults are its own, so weights load unchanged.

A module holds its parameters, and `forward` is what a call computes. There are two ways to train one. In PyTorch's, an
optimiser is given `model.parameters()`, and `loss.backward()` leaves gradients that `optimizer.step()` follows. In the
other, `cv.value_and_grad` takes a function of the module, and `optimizer.step(model, gradients, state)` gives the next one.

What layers compute is in the Rust crate `covector-nn`; here it is only held.
"""

import inspect

from covector import _core
from covector._core import _nn
from covector.nn import functional
from covector.nn._functions import (
    BCELoss, BCEWithLogitsLoss, CELU, ChannelShuffle, CircularPad1d, CircularPad2d, CircularPad3d, ConstantPad1d, ConstantPad2d,
    ConstantPad3d, CosineEmbeddingLoss, CosineSimilarity, CrossEntropyLoss, Dropout1d, Dropout2d, Dropout3d, ELU, Flatten, Fold,
    GELU, GLU, GaussianNLLLoss, Hardshrink, Hardsigmoid, Hardswish, Hardtanh, HingeEmbeddingLoss, HuberLoss, Identity, KLDivLoss,
    L1Loss, LeakyReLU, LogSigmoid, LogSoftmax, MSELoss, MarginRankingLoss, Mish, MultiLabelSoftMarginLoss, NLLLoss, PReLU,
    PairwiseDistance, PixelShuffle, PixelUnshuffle, PoissonNLLLoss, ReLU, ReLU6, ReflectionPad1d, ReflectionPad2d,
    ReflectionPad3d, ReplicationPad1d, ReplicationPad2d, ReplicationPad3d, SELU, SiLU, Sigmoid, SmoothL1Loss, SoftMarginLoss,
    Softmax, Softmin, Softplus, Softshrink, Softsign, Tanh, Tanhshrink, Threshold, TripletMarginLoss, Unflatten, Unfold, Upsample,
    ZeroPad1d, ZeroPad2d, ZeroPad3d,
)  # fmt: skip
from covector.nn._module import Module, ModuleDict, ModuleList, Parameter, ParameterDict, ParameterList, Sequential, keyed, next_key


class _Part:
    """The parameters of a layer whose names begin alike: `layer.out_proj.weight`."""

    def __init__(self, layer, name):
        self.__dict__.update(_layer_of=layer, _name=name)

    def __getattr__(self, name):
        return getattr(self._layer_of, f"{self._name}.{name}")

    def __setattr__(self, name, value):
        setattr(self._layer_of, f"{self._name}.{name}", value)


class _Layer(Module):
    """A layer of `covector-nn`, with the parameters that it begins with."""

    def _begin(self, made, dtype, device):
        layer, recipe = made
        Module.__init__(self)
        if device not in (None, "cpu"):
            raise ValueError(f'there is no device {device!r}: arrays live on the "cpu"')
        self.__dict__.update(_layer=layer, _recipe=recipe)
        self._parameters.update(layer.parameters())
        self._buffers.update(layer.state())
        if dtype is not None:
            self.to(dtype)

    def _tell(self, given):
        """Keeps what the layer was made with, as attributes and for printing."""
        told = {name: value for name, value in given.items() if name not in ("key", "dtype", "device")}
        for name, value in told.items():
            if name not in self._parameters and name not in self._buffers:
                self.__dict__[name] = tuple(value) if isinstance(value, list) else value
        self.__dict__["_told"] = ", ".join(f"{name}={value!r}" for name, value in told.items())

    def _run(self, *inputs, **how):
        key = next_key() if self.training and self._layer.draws else None
        results, state = self._layer.call(
            self._parameters.values(), self._buffers.values(), inputs, training=self.training, key=key, **how
        )
        if state:
            self._buffers.update(zip(self._buffers, state))
        return results

    def __getattr__(self, name):
        if any(known.startswith(f"{name}.") for known in self.__dict__.get("_parameters", ())):
            return _Part(self, name)
        return Module.__getattr__(self, name)

    def forward(self, input):
        """The result for one array."""
        return self._run(input)[0]

    def extra_repr(self):
        """How it was made."""
        return self.__dict__.get("_told", "")

    # Copies and pickles hold how the layer was made: it is made again, and given its arrays.
    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "_layer"}

    def __setstate__(self, state):
        name, args, kwargs = state["_recipe"]
        make, key = getattr(_nn, name), {}
        if "key" in inspect.signature(make).parameters:
            key = {"key": _core._random.key(0)}
        self.__dict__.update(state, _layer=make(*args, **dict(kwargs), **key))


def _made(name, *args, key=None, **kwargs):
    """A layer of Rust, and how it was made."""
    key = {} if key is None else {"key": key}
    plain = lambda value: tuple(value) if isinstance(value, list) else value
    recipe = name, tuple(map(plain, args)), tuple((name, plain(value)) for name, value in kwargs.items())
    return getattr(_nn, name)(*args, **kwargs, **key), recipe


def _signature(make, more=()):
    """That of a constructor in Rust, of a method, with what every layer takes besides."""
    kinds = inspect.Parameter
    parameters = [kinds("self", kinds.POSITIONAL_OR_KEYWORD), *inspect.signature(make).parameters.values()]
    names = [p.name for p in parameters]
    parameters += [kinds(name, kinds.KEYWORD_ONLY, default=default) for name, default in more if name not in names]
    return inspect.Signature(parameters)


def _layer(name, made=None):
    """The class of a layer, from its constructor in Rust."""
    made = made or name
    make = getattr(_nn, made)
    signature = _signature(make, (("device", None), ("dtype", None)))

    def __init__(self, *args, device=None, dtype=None, **kwargs):
        layer = _made(made, *args, **kwargs)
        given = signature.bind(self, *args, **kwargs)
        given.apply_defaults()
        self._begin(layer, dtype, device)
        self._tell({name: value for name, value in given.arguments.items() if name != "self"})

    __init__.__signature__ = signature
    return type(name, (_Layer,), {"__init__": __init__, "__doc__": make.__doc__, "__module__": __name__})


Linear = _layer("Linear")
Embedding = _layer("Embedding")
Conv1d, Conv2d, Conv3d = (_layer(f"Conv{d}d") for d in (1, 2, 3))
ConvTranspose1d, ConvTranspose2d, ConvTranspose3d = (_layer(f"ConvTranspose{d}d") for d in (1, 2, 3))
MaxPool1d, MaxPool2d, MaxPool3d = (_layer(f"MaxPool{d}d") for d in (1, 2, 3))
AvgPool1d, AvgPool2d, AvgPool3d = (_layer(f"AvgPool{d}d") for d in (1, 2, 3))
AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d = (_layer(f"AdaptiveMaxPool{d}d") for d in (1, 2, 3))
AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d = (_layer(f"AdaptiveAvgPool{d}d") for d in (1, 2, 3))
LayerNorm = _layer("LayerNorm")
RMSNorm = _layer("RMSNorm")
GroupNorm = _layer("GroupNorm")
InstanceNorm1d, InstanceNorm2d, InstanceNorm3d = (_layer(f"InstanceNorm{d}d", "InstanceNorm") for d in (1, 2, 3))
BatchNorm1d, BatchNorm2d, BatchNorm3d = (_layer(f"BatchNorm{d}d", "BatchNorm") for d in (1, 2, 3))
Dropout = _layer("Dropout")


class Bilinear(_layer("Bilinear")):
    __doc__ = _nn.Bilinear.__doc__

    def forward(self, input1, input2):
        """The result for two arrays."""
        return self._run(input1, input2)[0]


def _swapped(x):
    """The first two axes exchanged: time and examples."""
    return _core.moveaxis(x, 0, 1)


def _attended(mask, padding):
    """The masks of PyTorch, true where nobody attends, as one that is true where somebody does."""
    if mask is not None:
        mask = _core.asarray(mask)
        mask = ~mask if mask.dtype == _core.bool else mask
        # One for each head of each example stands in one axis.
        mask = mask if mask.ndim < 3 else mask[:, None] if mask.ndim == 3 else mask
    if padding is None:
        return mask
    padding = _core.asarray(padding)[:, None, None, :]
    if padding.dtype != _core.bool:
        seen = padding
    else:
        seen = ~padding
    if mask is None:
        return seen
    if mask.dtype == seen.dtype == _core.bool:
        return mask & seen
    return _added(mask) + _added(seen)


def _added(mask):
    return _core.where(mask, 0.0, float("-inf")) if mask.dtype == _core.bool else mask


class MultiheadAttention(_Layer):
    __doc__ = _nn.MultiheadAttention.__doc__

    def __init__(
        self, embed_dim, num_heads, dropout=0.0, bias=True, *, kv_heads=None, positions=None, batch_first=False, key=None,
        device=None, dtype=None,
    ):  # fmt: skip
        options = {"kv_heads": kv_heads, "positions": positions}
        self._begin(_made("MultiheadAttention", embed_dim, num_heads, dropout, bias, key=key, **options), dtype, device)
        options = {name: value for name, value in options.items() if value is not None}
        given = {"embed_dim": embed_dim, "num_heads": num_heads, "dropout": dropout, "bias": bias, **options}
        self._tell({**given, "batch_first": batch_first})

    def forward(
        self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, average_attn_weights=True,
        is_causal=False,
    ):  # fmt: skip
        """`(y, weights)`: the attention of queries to keys and values. Masks are true where nobody attends, as in PyTorch.

        The weights are the mean over the heads, or those of each with `average_attn_weights=False`; they are computed if they
        are read, and None without `need_weights`.
        """
        inputs = [_core.asarray(x) for x in (query, key, value)]
        single = inputs[0].ndim == 2
        if single:
            inputs = [x[None] for x in inputs]
            key_padding_mask = None if key_padding_mask is None else _core.asarray(key_padding_mask)[None]
        elif not self.batch_first:
            inputs = [_swapped(x) for x in inputs]
        if attn_mask is not None and getattr(attn_mask, "ndim", 2) == 3:
            heads = self.num_heads
            attn_mask = _core.asarray(attn_mask)
            attn_mask = _core.reshape(attn_mask, (attn_mask.shape[0] // heads, heads, *attn_mask.shape[1:]))
        masks = [_attended(attn_mask, key_padding_mask)]
        y, *weights = self._run(*inputs, masks=masks, causal=[is_causal], weights=bool(need_weights))
        y = y[0] if single else y if self.batch_first else _swapped(y)
        if not weights:
            return y, None
        weights = _core.mean(weights[0], axis=1) if average_attn_weights else weights[0]
        return y, weights[0] if single else weights


class _Transformer(_Layer):
    def __init__(
        self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation="relu", layer_norm_eps=1e-5, batch_first=False,
        norm_first=False, bias=True, *, key=None, device=None, dtype=None,
    ):  # fmt: skip
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, norm_first, bias)
        self._begin(_made(self._make, *sizes, key=key), dtype, device)
        self._tell({
            "d_model": d_model, "nhead": nhead, "dim_feedforward": dim_feedforward, "dropout": dropout, "activation": activation,
            "layer_norm_eps": layer_norm_eps, "batch_first": batch_first, "norm_first": norm_first, "bias": bias,
        })  # fmt: skip

    def _attend(self, inputs, masks, causal):
        inputs = [_core.asarray(x) for x in inputs]
        single = inputs[0].ndim == 2
        if single:
            inputs = [x[None] for x in inputs]
            masks = [(mask, None if padding is None else _core.asarray(padding)[None]) for mask, padding in masks]
        elif not self.batch_first:
            inputs = [_swapped(x) for x in inputs]
        y = self._run(*inputs, masks=[_attended(*mask) for mask in masks], causal=causal)[0]
        return y[0] if single else y if self.batch_first else _swapped(y)


class TransformerEncoderLayer(_Transformer):
    __doc__ = _nn.TransformerEncoderLayer.__doc__
    _make = "TransformerEncoderLayer"

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        """As `src`. Masks are true where nobody attends."""
        return self._attend([src], [(src_mask, src_key_padding_mask)], [is_causal])


class TransformerDecoderLayer(_Transformer):
    __doc__ = _nn.TransformerDecoderLayer.__doc__
    _make = "TransformerDecoderLayer"

    def forward(
        self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None,
        tgt_is_causal=False, memory_is_causal=False,
    ):  # fmt: skip
        """As `tgt`, which attends to itself and to the memory. Masks are true where nobody attends."""
        masks = [(tgt_mask, tgt_key_padding_mask), (memory_mask, memory_key_padding_mask)]
        return self._attend([tgt, memory], masks, [tgt_is_causal, memory_is_causal])


def _again(layer):
    """A layer of the same options with weights of its own."""
    names = ("d_model", "nhead", "dim_feedforward", "dropout", "activation", "layer_norm_eps", "batch_first", "norm_first")
    options = {name: getattr(layer, name) for name in names}
    dtype = next(layer.parameters()).dtype
    return type(layer)(**options, bias="linear1.bias" in layer._parameters, dtype=dtype)


class TransformerEncoder(Module):
    """Layers like the one given, with weights of their own, one after the other, and a norm after them."""

    def __init__(self, encoder_layer, num_layers, norm=None):
        super().__init__()
        self.layers = ModuleList(_again(encoder_layer) for _ in range(num_layers))
        self.num_layers = num_layers
        if norm is not None:
            self.norm = norm

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=False):
        """As `src`."""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal)
        return self.norm(src) if "norm" in self._modules else src


class TransformerDecoder(Module):
    """Layers like the one given, with weights of their own, one after the other, and a norm after them."""

    def __init__(self, decoder_layer, num_layers, norm=None):
        super().__init__()
        self.layers = ModuleList(_again(decoder_layer) for _ in range(num_layers))
        self.num_layers = num_layers
        if norm is not None:
            self.norm = norm

    def forward(self, tgt, memory, *args, **kwargs):
        """As `tgt`; what else there is to say is said as to a layer."""
        for layer in self.layers:
            tgt = layer(tgt, memory, *args, **kwargs)
        return self.norm(tgt) if "norm" in self._modules else tgt


class _Recurrent(_Layer):
    def _make(self, sizes, options, batch_first, key, device, dtype):
        self._begin(_made(self._name, *sizes, **options, key=key), dtype, device)
        self._tell({"input_size": sizes[0], "hidden_size": sizes[1], "num_layers": sizes[2], **options, "batch_first": batch_first})

    def _unroll(self, x, hidden, mask):
        x = _core.asarray(x)
        single = x.ndim == 2
        hidden = [] if hidden is None else [_core.asarray(h) for h in hidden]
        if single:
            x, hidden = x[None], [h[:, None] for h in hidden]
        elif not self.batch_first:
            x = _swapped(x)
        y, *hidden = self._run(x, hidden=hidden, masks=[mask])
        if single:
            return y[0], [h[:, 0] for h in hidden]
        return (y if self.batch_first else _swapped(y)), hidden

    def forward(self, input, hx=None, *, mask=None):
        """The states of the last layer at every time, and those of all layers after the last.

        `mask [batch, time]` is true where there is something: elsewhere results are 0 and states stay, as of packed sequences.
        """
        y, (h,) = self._unroll(input, None if hx is None else [hx], mask)
        return y, h


class RNN(_Recurrent):
    __doc__ = _nn.RNN.__doc__
    _name = "RNN"

    def __init__(
        self, input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True, batch_first=False, dropout=0.0,
        bidirectional=False, *, key=None, device=None, dtype=None,
    ):  # fmt: skip
        options = {"nonlinearity": nonlinearity, "bias": bias, "dropout": dropout, "bidirectional": bidirectional}
        self._make((input_size, hidden_size, num_layers), options, batch_first, key, device, dtype)


class GRU(_Recurrent):
    __doc__ = _nn.GRU.__doc__
    _name = "GRU"

    def __init__(
        self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False, *, key=None,
        device=None, dtype=None,
    ):  # fmt: skip
        options = {"bias": bias, "dropout": dropout, "bidirectional": bidirectional}
        self._make((input_size, hidden_size, num_layers), options, batch_first, key, device, dtype)


class LSTM(_Recurrent):
    __doc__ = _nn.LSTM.__doc__
    _name = "LSTM"
    __init__ = GRU.__init__

    def forward(self, input, hx=None, *, mask=None):
        """The states of the last layer at every time, and `(h, c)`: states and memories of all layers after the last.

        `mask [batch, time]` is true where there is something: elsewhere results are 0 and states stay, as of packed sequences.
        """
        y, (h, c) = self._unroll(input, hx, mask)
        return y, (h, c)


class _Cell(_Layer):
    def __init__(self, input_size, hidden_size, bias=True, *, key=None, device=None, dtype=None):
        made = _made(self._name, input_size, hidden_size, 1, bias=bias, key=key)
        self._begin(made, dtype, device)
        self.__dict__["_parameters"] = {name.removesuffix("_l0"): p for name, p in self._parameters.items()}
        self._tell({"input_size": input_size, "hidden_size": hidden_size, "bias": bias})

    def _step(self, x, hidden):
        x = _core.asarray(x)
        at = (None,) * (3 - x.ndim)
        hidden = [_core.asarray(h)[at] if x.ndim == 1 else _core.asarray(h)[None] for h in hidden]
        _, *hidden = self._run(x[:, None] if x.ndim == 2 else x[None, None], hidden=hidden)
        return [h[0] if x.ndim == 2 else h[0, 0] for h in hidden]

    def forward(self, input, hx=None):
        """The state after one step, from `[batch, features]` or `[features]` and the state before, which is 0 if it is not given."""
        return self._step(input, [] if hx is None else [hx])[0]


class GRUCell(_Cell):
    """One step of gated recurrent units."""

    _name = "GRU"


class LSTMCell(_Cell):
    """One step of long short-term memory."""

    _name = "LSTM"

    def forward(self, input, hx=None):
        """`(h, c)` after one step, from `[batch, features]` or `[features]` and those before, which are 0 if they are not given."""
        return tuple(self._step(input, () if hx is None else hx))


class RNNCell(_Cell):
    """One step of the plain recurrence, with `nonlinearity` "tanh" or "relu"."""

    _name = "RNN"

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh", *, key=None, device=None, dtype=None):
        made = _made(self._name, input_size, hidden_size, 1, bias=bias, nonlinearity=nonlinearity, key=key)
        self._begin(made, dtype, device)
        self.__dict__["_parameters"] = {name.removesuffix("_l0"): p for name, p in self._parameters.items()}
        self._tell({"input_size": input_size, "hidden_size": hidden_size, "bias": bias, "nonlinearity": nonlinearity})


def clip_grad_norm_(parameters, max_norm):
    """Scales the gradients of leaves down, all by the same factor, so that their joint norm is at most `max_norm`; gives it."""
    leaves = [p for p in parameters if p.grad is not None]
    clipped, norm = _core._optim.clip_grad_norm([p.grad for p in leaves], max_norm)
    for p, g in zip(leaves, clipped):
        p.grad = g
    return norm


def clip_grad_value_(parameters, clip_value):
    """Moves every element of the gradients of leaves into `-clip_value..=clip_value`."""
    leaves = [p for p in parameters if p.grad is not None]
    for p, g in zip(leaves, _core._optim.clip_grad_value([p.grad for p in leaves], clip_value)):
        p.grad = g


__all__ = sorted(
    {name for name, value in globals().items() if isinstance(value, type) and not name.startswith("_")}
    | {"clip_grad_norm_", "clip_grad_value_", "functional", "keyed"}
)
