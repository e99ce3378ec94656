"""What NumPy's functions do with our arrays: the function of the same name here, where there is one.

Where there is none, the numbers go to NumPy, and so does the result. Nothing here computes.
"""

import sys

from covector import _core

Array = _core.Array


def plain(x):
    """Our arrays as NumPy's, inside lists and dicts, too."""
    if isinstance(x, Array):
        return x.__array__()
    if isinstance(x, list | tuple):
        return type(x)(plain(item) for item in x)
    if isinstance(x, dict):
        return {key: plain(item) for key, item in x.items()}
    return x


def array_ufunc(self, ufunc, method, *inputs, **kwargs):
    """NumPy's protocol for elementwise functions."""
    function = getattr(_core, ufunc.__name__, None)
    if method == "__call__" and function is not None and not kwargs:
        return function(*inputs)
    if "out" in kwargs and any(isinstance(out, Array) for out in kwargs["out"]):
        return NotImplemented
    return getattr(ufunc, method)(*plain(inputs), **plain(kwargs))


def array_function(self, function, types, args, kwargs):
    """NumPy's protocol for other functions."""
    ours = {"numpy": "covector", "numpy.linalg": "covector.linalg", "numpy.fft": "covector.fft"}.get(function.__module__)
    home = sys.modules.get(ours)
    ours = getattr(home, function.__name__, None) if home is not None else None
    if ours is not None:
        try:
            return ours(*args, **kwargs)
        except TypeError:
            pass  # called with something only NumPy's function takes
    return function(*plain(args), **plain(kwargs))


def install():
    """Teaches the class both protocols."""
    Array.__array_ufunc__ = array_ufunc
    Array.__array_function__ = array_function
