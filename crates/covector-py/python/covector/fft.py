"""Fourier transforms, as the Array API's extension names them: of any length, along any axes, with derivatives."""

from covector._core import _fft

__all__ = sorted(name for name in dir(_fft) if not name.startswith("_"))
globals().update({name: getattr(_fft, name) for name in __all__})
