"""Complex numbers and their Fourier transforms.

Torch's gradients have our convention: what pulls back through a holomorphic function is multiplied by the conjugate of its
derivative.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .core import DTYPES, Axes

FFT = torch.fft


def along(function: Callable) -> Callable:
    """A transform along one axis."""
    return lambda x, n, axis, norm: function(x, n=n, dim=axis, norm=norm)


def several(function: Callable) -> Callable:
    """A transform along several axes; no sizes and no axes stand for all."""
    return lambda x, s, axes, norm: function(x, s=s or None, dim=listed(axes), norm=norm)


def listed(axes: Axes | list[int] | int) -> list[int] | int | None:
    return axes.axes if isinstance(axes, Axes) else axes


def shifted(function: Callable) -> Callable:
    return lambda x, axes: function(x, dim=listed(axes))


def parts(re: Tensor, im: Tensor) -> Tensor:
    return torch.complex(*torch.broadcast_tensors(re, im))


TABLE: dict[str, Callable] = {
    "conj": lambda x: torch.conj(x),
    "real": lambda x: torch.real(x),
    "imag": lambda x: x.imag,
    "complex": parts,
    "view_as_real": lambda x: torch.view_as_real(x.resolve_conj()),
    "view_as_complex": lambda x: torch.view_as_complex(x),
    "isreal": lambda x: torch.isreal(x),
    **{name: along(getattr(FFT, name)) for name in ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]},
    **{name: several(getattr(FFT, name)) for name in ["fftn", "ifftn", "rfftn", "irfftn"]},
    "fftfreq": lambda n, d, dtype: FFT.fftfreq(n, d, dtype=DTYPES[dtype]),
    "rfftfreq": lambda n, d, dtype: FFT.rfftfreq(n, d, dtype=DTYPES[dtype]),
    "fftshift": shifted(FFT.fftshift),
    "ifftshift": shifted(FFT.ifftshift),
}
