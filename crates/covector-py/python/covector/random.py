"""Random arrays: from explicit keys, or from the sequence that `manual_seed` starts."""

from covector._core import _random

key = _random.key
split = _random.split
fold_in = _random.fold_in
manual_seed = _random.manual_seed
uniform = _random.uniform
normal = _random.normal
randint = _random.randint
bernoulli = _random.bernoulli
permutation = _random.permutation
categorical = _random.categorical
dropout = _random.dropout

__all__ = [
    "bernoulli", "categorical", "dropout", "fold_in", "key", "manual_seed", "normal", "permutation", "randint", "split", "uniform",
]  # fmt: skip
