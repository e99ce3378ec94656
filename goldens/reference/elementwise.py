"""Functions of one, two or three numbers, element by element."""

import math
from collections.abc import Callable

import mpmath
import numpy as np
import torch
import torch.nn.functional as F
from scipy import special
from torch import Tensor

from .core import DTYPES, numeric, promoted, real, using

mpmath.mp.dps = 40


def exact(value: Callable, slope: Callable, scipy_value: Callable, scipy_slope: Callable) -> Callable:
    """A function and its derivative, worked out by mpmath to 40 digits: torch gives fewer of these than f64 holds.

    SciPy answers where mpmath has no answer: at poles, outside the domain and for numbers that are not finite.
    """

    def at(function: Callable, fallback: Callable, x: float) -> float:
        try:
            if math.isfinite(x):
                return float(function(mpmath.mpf(x)))
        except (ValueError, ZeroDivisionError):
            pass
        with np.errstate(all="ignore"):
            return float(fallback(np.float64(x)))

    def mapped(function: Callable, fallback: Callable, x: Tensor) -> Tensor:
        flat = [at(function, fallback, v) for v in x.reshape(-1).tolist()]
        return torch.tensor(flat, dtype=x.dtype).reshape(x.shape)

    class Exact(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return mapped(value, scipy_value, x)

        @staticmethod
        def backward(ctx, cotangent: Tensor) -> Tensor:
            (x,) = ctx.saved_tensors
            return cotangent * mapped(slope, scipy_slope, x)

    return using("mpmath")(lambda x: Exact.apply(real(x)))


def bell(x: mpmath.mpf) -> mpmath.mpf:
    """The derivative of erf."""
    return 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-x * x)


def root(x: mpmath.mpf) -> mpmath.mpf:
    """The real cube root."""
    return mpmath.sign(x) * mpmath.cbrt(abs(x))


def erfinv(x: mpmath.mpf) -> mpmath.mpf:
    if abs(x) >= 1:
        raise ValueError("erfinv is finite on the open interval (-1, 1) only")
    return mpmath.erfinv(x)


# the last function of each is asked at poles, at infinities and outside the domain only
EXACT = {
    "cbrt": exact(root, lambda x: 1 / (3 * root(x) ** 2), special.cbrt, lambda x: 1 / (3 * special.cbrt(x) ** 2)),
    "erf": exact(mpmath.erf, bell, special.erf, lambda x: np.exp(-x * x)),
    "erfc": exact(mpmath.erfc, lambda x: -bell(x), special.erfc, lambda x: -np.exp(-x * x)),
    "erfinv": exact(erfinv, lambda x: 1 / bell(erfinv(x)), special.erfinv, lambda x: np.exp(special.erfinv(x) ** 2)),
    "lgamma": exact(lambda x: mpmath.log(abs(mpmath.gamma(x))), mpmath.digamma, special.gammaln, special.digamma),
    "digamma": exact(
        mpmath.digamma, lambda x: mpmath.polygamma(1, x), special.digamma, lambda x: special.polygamma(1, x)
    ),
}


def of_real(function: Callable) -> Callable:
    return lambda x: function(real(x))


def of_number(function: Callable) -> Callable:
    return lambda x: function(numeric(x))


def of_pair(function: Callable) -> Callable:
    """A function of two operands after promotion; torch broadcasts them."""
    return lambda x1, x2: function(*promoted(x1, x2))


def of_numbers(function: Callable) -> Callable:
    """A function of two operands, bool counted in i64."""
    return lambda x1, x2: function(*(numeric(x) for x in promoted(x1, x2)))


def of_reals(function: Callable) -> Callable:
    """A function of two operands, integers and bool counted in f32."""
    return lambda x1, x2: function(*(real(x) for x in promoted(x1, x2)))


def promoted_reals(x1: Tensor, x2: Tensor | float) -> tuple[Tensor, Tensor]:
    """Both in the dtype of the first, which is a float."""
    return x1, torch.as_tensor(x2, dtype=x1.dtype).to(x1.dtype)


def nextafter(x1: Tensor, x2: Tensor) -> Tensor:
    """Moves by a step that does not depend on `x1`, as far as derivatives are concerned."""
    x1, x2 = torch.broadcast_tensors(x1, x2)
    return x1 + (torch.nextafter(x1.detach(), x2.detach()) - x1.detach()) + 0 * x2


def clip(x: Tensor, min: float | None, max: float | None) -> Tensor:
    """Maximum, then minimum: at a bound the derivative is one half (torch's clamp has another rule there)."""
    if min is not None:
        x = torch.maximum(*promoted(x, min))
    return x if max is None else torch.minimum(*promoted(x, max))


def where(condition: Tensor, x1: Tensor | float, x2: Tensor | float) -> Tensor:
    both_plain = not isinstance(x1, Tensor) and not isinstance(x2, Tensor)
    a, b = promoted(torch.tensor(x1), x2) if both_plain else promoted(x1, x2)
    return torch.where(condition.bool(), a, b)


def tie_share(x1: Tensor, x2: Tensor, t: Tensor) -> Tensor:
    """1, one half, 0 times `t` for greater, equal, less; a step function of the first two."""
    return ((x1 > x2).to(t.dtype) + 0.5 * (x1 == x2).to(t.dtype)) * t


def polygamma(n: Tensor | int, x: Tensor) -> Tensor:
    """Element by element, since the order may differ between elements."""
    orders, points = torch.broadcast_tensors(torch.as_tensor(n), x)
    orders = orders.reshape(-1).tolist()

    def at(order: int, point: Tensor) -> Tensor:
        return exact(
            lambda v: mpmath.polygamma(order, v),
            lambda v: mpmath.polygamma(order + 1, v),
            lambda v: special.polygamma(order, v),
            lambda v: special.polygamma(order + 1, v),
        )(point)

    flat = [at(int(order), point) for order, point in zip(orders, points.reshape(-1), strict=True)]
    return torch.stack(flat).reshape(points.shape)


def rounded(x: Tensor) -> Tensor:
    """Complex numbers part by part, which torch does not."""
    return torch.complex(x.real.round(), x.imag.round()) if x.is_complex() else torch.round(x)


def parts_differ(test: Callable) -> Callable:
    """A test of floats that holds for a complex number if it does for a part."""
    return lambda x: test(x.real) | test(x.imag) if x.is_complex() else test(x)


REAL = {
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "reciprocal": torch.reciprocal,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "expm1": torch.expm1,
    "log": torch.log,
    "log2": torch.log2,
    "log10": torch.log10,
    "log1p": torch.log1p,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "asin": torch.asin,
    "acos": torch.acos,
    "atan": torch.atan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "tanh": torch.tanh,
    "asinh": torch.asinh,
    "acosh": torch.acosh,
    "atanh": torch.atanh,
    "sigmoid": torch.sigmoid,
    "selu": F.selu,
    "silu": F.silu,
    "mish": F.mish,
    # torch's softplus turns linear at 20, which costs digits in f64; its gelu cancels for large negative x
    "softplus": lambda x: F.softplus(x, threshold=60.0),
    "gelu": lambda x: 0.5 * x * torch.erfc(-x / 2**0.5),
    "gelu_slope": lambda x: 0.5 * torch.erfc(-x / 2**0.5) + x * torch.exp(-0.5 * x * x) / (2 * math.pi) ** 0.5,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "angle": torch.angle,
    "isnan": parts_differ(torch.isnan),
    "isinf": parts_differ(torch.isinf),
    "isfinite": torch.isfinite,
}

NUMERIC = {
    "negative": torch.neg,
    "abs": torch.abs,
    "sign": lambda x: torch.sgn(x) if x.is_complex() else torch.sign(x),
    "square": lambda x: x * x,
    "relu": torch.relu,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round": rounded,
    "trunc": torch.trunc,
}

PAIRS_OF_NUMBERS = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "pow": torch.pow,
    "remainder": torch.remainder,
    "floor_divide": lambda a, b: torch.floor_divide(a.detach(), b.detach()),
    "maximum": torch.maximum,
    "minimum": torch.minimum,
}

PAIRS_OF_REALS = {
    "logaddexp": torch.logaddexp,
    "divide": torch.div,
    "atan2": torch.atan2,
    "hypot": torch.hypot,
}

PAIRS = {
    "equal": torch.eq,
    "not_equal": torch.ne,
    "less": torch.lt,
    "less_equal": torch.le,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "logical_and": torch.logical_and,
    "logical_or": torch.logical_or,
    "logical_xor": torch.logical_xor,
    "bitwise_and": torch.bitwise_and,
    "bitwise_or": torch.bitwise_or,
    "bitwise_xor": torch.bitwise_xor,
    "bitwise_left_shift": torch.bitwise_left_shift,
    "bitwise_right_shift": torch.bitwise_right_shift,
}

TABLE: dict[str, Callable] = {
    **{name: of_real(f) for name, f in REAL.items()},
    **{name: of_number(f) for name, f in NUMERIC.items()},
    **{name: of_numbers(f) for name, f in PAIRS_OF_NUMBERS.items()},
    **{name: of_reals(f) for name, f in PAIRS_OF_REALS.items()},
    **{name: of_pair(f) for name, f in PAIRS.items()},
    **EXACT,
    "log_sigmoid": lambda x: F.logsigmoid(real(x)),
    "glu": lambda x, axis: F.glu(real(x), axis),
    # Torch's own has a sixth in single precision for its derivative.
    "hardsigmoid": lambda x: F.relu6(real(x) + 3) / 6,
    "hardswish": lambda x: F.hardswish(real(x)),
    "hardshrink": lambda x, lambd: F.hardshrink(real(x), lambd),
    "softshrink": lambda x, lambd: F.softshrink(real(x), lambd),
    "tanhshrink": lambda x: F.tanhshrink(real(x)),
    "softsign": lambda x: F.softsign(real(x)),
    # Torch's own rounds alpha to single precision.
    "celu": lambda x, alpha: torch.where(real(x) > 0, real(x), alpha * torch.expm1(real(x).clamp(max=0) / alpha)),
    "threshold": lambda x, bound, value: F.threshold(real(x), bound, value),
    "prelu": lambda x, weight: F.prelu(real(x), weight),
    "leaky_relu": lambda x, slope: F.leaky_relu(real(x), slope),
    "elu": lambda x, alpha: F.elu(real(x), alpha),
    "logical_not": lambda x: torch.logical_not(x),
    "bitwise_invert": lambda x: torch.bitwise_not(x),
    "copysign": lambda x1, x2: torch.copysign(*promoted_reals(x1, x2)),
    "nextafter": lambda x1, x2: nextafter(*promoted_reals(x1, x2)),
    "signbit": lambda x: torch.signbit(x),
    "clip": clip,
    "tie_share": tie_share,
    "polygamma": polygamma,
    "where": where,
    "cast": lambda x, dtype: x.to(DTYPES[dtype]),
    "stop_gradient": lambda x: x.detach(),
}
