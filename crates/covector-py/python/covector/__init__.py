"""Arrays that differentiate: the Array API on a Rust engine, with grad, vmap and compile.

Functions are those of the Array API standard; a few answer to the names NumPy and PyTorch give them, too. Arrays are
values: an op makes a new one, and its numbers are computed when they are read.
"""

import math as _math
import os as _os

from covector import _core
from covector._core import *  # noqa: F403
from covector._core import __version__
from covector._habits import (
    __array_namespace_info__,
    tensor,
)

__array_api_version__ = "2025.12"

newaxis = None
pi = _math.pi
e = _math.e
inf = _math.inf
nan = _math.nan

# Names that PyTorch's and NumPy's users type.
Tensor = _core.Array
ndarray = _core.Array
cat = concatenate = _core.concat
manual_seed = _core._random.manual_seed
from_numpy = as_tensor = _core.asarray
acos, asin, atan = _core.acos, _core.asin, _core.atan

from covector import _numpy, fft, linalg, nn, optim, random, scalar  # noqa: E402

kron = _core._linalg.kron

_numpy.install()

if hasattr(_os, "register_at_fork"):
    # The threads of the pool stay behind in the parent.
    _os.register_at_fork(after_in_child=_core._after_fork)

__all__ = sorted(name for name in globals() if not name.startswith("_"))


def __dir__():
    return sorted([*__all__, "__array_api_version__", "__array_namespace_info__", "__version__"])
