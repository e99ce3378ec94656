"""Creation: constants, ranges, grids."""

from collections.abc import Callable

import torch

from .core import DTYPES

TABLE: dict[str, Callable] = {
    "full": lambda shape, value, dtype: torch.full(shape, value, dtype=DTYPES[dtype]),
    "zeros": lambda shape, dtype: torch.zeros(shape, dtype=DTYPES[dtype]),
    "ones": lambda shape, dtype: torch.ones(shape, dtype=DTYPES[dtype]),
    "full_like": lambda x, value: torch.full_like(x, value),
    "zeros_like": lambda x: torch.zeros_like(x),
    "ones_like": lambda x: torch.ones_like(x),
    "arange": lambda start, stop, step, dtype: torch.arange(start, stop, step, dtype=DTYPES[dtype])
    if (stop - start) * step > 0
    else torch.zeros(0, dtype=DTYPES[dtype]),
    "linspace": lambda start, stop, n, dtype: torch.linspace(start, stop, n, dtype=DTYPES[dtype]),
    "eye": lambda n, dtype: torch.eye(n, dtype=DTYPES[dtype]),
    "meshgrid": lambda tensors, indexing: torch.meshgrid(tensors, indexing=indexing),
}
