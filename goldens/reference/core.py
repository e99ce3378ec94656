"""The bridge between JSON and torch, and the few rules that all families share."""

import math
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import torch
from torch import Tensor

DTYPES = {
    "bool": torch.bool,
    "u8": torch.uint8, "u16": torch.uint16, "u32": torch.uint32, "u64": torch.uint64,
    "i8": torch.int8, "i16": torch.int16, "i32": torch.int32, "i64": torch.int64,
    "f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32, "f64": torch.float64,
    "c64": torch.complex64, "c128": torch.complex128,
}  # fmt: skip
NAMES = {dtype: name for name, dtype in DTYPES.items()}


class Axes(NamedTuple):
    """Axes of a reduction; `axes` is None for all of them."""

    axes: list[int] | None
    keepdims: bool = False


def decode(tensor: dict[str, Any]) -> Tensor:
    """A tensor from its JSON form; non-finite numbers are strings there, complex ones their two parts."""
    dtype = DTYPES[tensor["dtype"]]
    data = [float(x) if isinstance(x, str) else x for x in tensor["data"]]
    if dtype.is_complex:
        parts = torch.tensor(data, dtype=dtype.to_real()).reshape([*tensor["shape"], 2])
        return torch.view_as_complex(parts)
    return torch.tensor(data, dtype=dtype).reshape(tensor["shape"])


def encode(x: Tensor) -> dict[str, Any]:
    """The JSON form of a tensor: flat, row-major, bools as 0 and 1, complex numbers as their two parts."""
    flat = x.detach().reshape(-1)
    if x.is_complex():
        flat = torch.view_as_real(flat.resolve_conj().resolve_neg()).reshape(-1)
    if x.dtype == torch.bool:
        flat = flat.to(torch.uint8)
    data = [v if math.isfinite(v) else str(v) for v in flat.tolist()]
    return {"dtype": NAMES[x.dtype], "shape": list(x.shape), "data": data}


def decode_argument(argument: dict[str, Any]) -> Any:
    """An argument from its tagged JSON form, for example `{"int": -1}`."""
    ((kind, value),) = argument.items()
    match kind:
        case "tensor":
            return decode(value)
        case "tensors":
            return [decode(t) for t in value]
        case "axes":
            return Axes(value["axes"], value.get("keepdims", False))
        case "float":
            return float(value)
        case "complex":
            return complex(float(value[0]), float(value[1]))
        case "none":
            return None
        case "int" | "ints" | "bool" | "str" | "dtype":
            return value
    raise ValueError(f"unknown kind of argument: {kind}")


def using(library: str) -> Callable[[Callable], Callable]:
    """Notes that a reference takes its figures from `library` and not from torch."""

    def mark(function: Callable) -> Callable:
        function.library = library
        return function

    return mark


def source(function: Callable) -> str:
    """The library behind a reference, with its version."""
    library = getattr(function, "library", "torch")
    return f"{library} {version(library).split('+')[0]}"


def real(x: Tensor) -> Tensor:
    """Floats and complex numbers as they are, integers and bool as f32: our promotion for functions of numbers."""
    return x if inexact(x) else x.to(torch.float32)


def inexact(x: Tensor) -> bool:
    """True for what has derivatives: floats and complex numbers."""
    return x.is_floating_point() or x.is_complex()


def numeric(x: Tensor) -> Tensor:
    """Numbers as they are; bool counts in i64."""
    return x.to(torch.int64) if x.dtype == torch.bool else x


def promoted(*operands: Tensor | float) -> list[Tensor]:
    """Operands in their common dtype; plain numbers adapt to the tensors (torch would also let 0-d tensors do so)."""
    dtypes = [x.dtype for x in operands if isinstance(x, Tensor)]
    dtype = dtypes[0]
    for other in dtypes[1:]:
        dtype = torch.promote_types(dtype, other)
    for x in operands:
        if isinstance(x, float) and not (dtype.is_floating_point or dtype.is_complex):
            dtype = torch.float32
        elif isinstance(x, int) and dtype == torch.bool and not isinstance(x, bool):
            dtype = torch.int64
    return [x.to(dtype) if isinstance(x, Tensor) else torch.tensor(x, dtype=dtype) for x in operands]


def axes_of(axes: Axes | Sequence[int] | int | None, ndim: int) -> list[int]:
    """The axes as non-negative numbers, in the order given."""
    if isinstance(axes, Axes):
        axes = axes.axes
    if axes is None:
        return list(range(ndim))
    return [a % ndim if ndim else a for a in ([axes] if isinstance(axes, int) else axes)]


def each(values: Sequence[int] | int | None, n: int, default: Sequence[int] | int) -> list[int]:
    """One number per spatial axis: one given stands for all, none given for the default."""
    if values is None or values == []:
        values = default
    values = [values] if isinstance(values, int) else list(values)
    return values * n if len(values) == 1 else values
