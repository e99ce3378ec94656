"""Writes the type stubs of the compiled module, and of the modules whose classes are made of it (`nn`, `optim`).

Run it after a build: `python crates/covector-py/stubs.py`. With `--check` it only says whether they are up to date.
"""

import inspect
import sys
from pathlib import Path

import covector as cv
from covector import _core

HERE = Path(__file__).parent / "python" / "covector"
HEAD = '''"""Types of the compiled module; written by crates/covector-py/stubs.py, not by hand."""

from typing import Any, final

'''
DTYPES = {name for name in dir(_core) if isinstance(getattr(_core, name), _core.dtype)}
#: Functions whose results are no arrays.
RESULTS = {
    "grad": "Any", "value_and_grad": "Any", "jacrev": "Any", "jacfwd": "Any", "hessian": "Any", "vmap": "Any", "checkpoint": "Any",
    "compile": "Any", "jit": "Any", "vjp": "Any", "jvp": "Any", "linearize": "Any", "graph": "Any", "trace": "Any", "cost": "Any",
    "why": "Any", "save": "None", "load": "dict[str, Array]", "result_type": "dtype", "can_cast": "_bool", "isdtype": "_bool",
    "finfo": "Any", "iinfo": "Any", "broadcast_shapes": "tuple[int, ...]", "broadcast_arrays": "tuple[Array, ...]",
    "meshgrid": "tuple[Array, ...]", "unstack": "tuple[Array, ...]", "unbind": "tuple[Array, ...]", "nonzero": "tuple[Array, ...]",
    "split": "tuple[Array, ...]", "chunk": "tuple[Array, ...]", "unique_all": "Any", "unique_counts": "Any", "unique_inverse": "Any",
    "topk": "Any", "_bytes_alive": "tuple[int, int]", "_after_fork": "None",
}  # fmt: skip


def shown(signature):
    """A signature as a stub has it: every parameter may be anything, and has a default or not."""
    parts, seen_star = [], False
    parameters = list(signature.parameters.values())
    for i, p in enumerate(parameters):
        if p.kind == p.VAR_POSITIONAL:
            parts.append(f"*{p.name}: Any")
            seen_star = True
            continue
        if p.kind == p.VAR_KEYWORD:
            parts.append(f"**{p.name}: Any")
            continue
        if p.kind == p.KEYWORD_ONLY and not seen_star:
            parts.append("*")
            seen_star = True
        bare = p.name if p.name in ("self", "cls") else f"{p.name}: Any"
        parts.append(bare if p.default is p.empty else f"{bare} = ...")
        last = i + 1 == len(parameters) or parameters[i + 1].kind != p.POSITIONAL_ONLY
        if p.kind == p.POSITIONAL_ONLY and last:
            parts.append("/")
    return ", ".join(parts)


def function(name, object, indent=""):
    """One function."""
    result = RESULTS.get(name, "Array")
    try:
        return f"{indent}def {name}({shown(inspect.signature(object))}) -> {result}: ...\n"
    except ValueError:
        return f"{indent}def {name}(*args: Any, **kwargs: Any) -> {result}: ...\n"


def described(cls):
    """One class."""
    lines = [f"@final\nclass {cls.__name__}:\n"]
    for name, object in sorted(vars(cls).items()):
        if name in ("__doc__", "__module__", "__weakref__", "__dict__", "__new__"):
            continue
        if name in ("__array_ufunc__", "__array_function__", "__pow__", "__ipow__", "__rpow__"):
            lines.append(f"    {name}: Any\n")
        elif inspect.isgetsetdescriptor(object) or type(object).__name__ == "Method" or name == "__hash__":
            lines.append(f"    {name}: Any\n" if name != "__hash__" else "    __hash__: Any\n")
        elif callable(object):
            try:
                text = shown(inspect.signature(object))
            except ValueError:
                text = "self, *args: Any, **kwargs: Any"
            lines.append(f"    def {name}({text}) -> Any: ...\n")
    if cls in (_core.Value, _core.dtype, _core.custom_vjp, _core.no_grad):
        given = shown(inspect.signature(cls))
        lines.append(f"    def __new__(cls{', ' if given else ''}{given}) -> Any: ...\n")
    return "".join(lines) if len(lines) > 1 else lines[0].rstrip() + " ...\n"


def core():
    """The stub of the compiled module."""
    text = [HEAD, "import builtins\n\n_bool = builtins.bool\n\n"]
    for name in sorted(vars(_core)):
        object = getattr(_core, name)
        if isinstance(object, type):
            text.append("\n" + (described(object) if not issubclass(object, Exception) else f"class {name}(ValueError): ...\n"))
    text.append("\n")
    for name in sorted(vars(_core)):
        object = getattr(_core, name)
        if name.startswith("__") or isinstance(object, type):
            continue
        if name in DTYPES:
            text.append(f"{name}: dtype\n")
        elif callable(object):
            text.append(function(name, object))
        else:
            text.append(f"{name}: Any\n")
    names = "".join(f'    "{name}",\n' for name in sorted(_core.__all__))
    text.append(f"__version__: str\n__all__ = [\n{names}]\n")
    return "".join(text)


#: Special methods that are told.
SPECIAL = {
    "__init__", "__call__", "__len__", "__iter__", "__getitem__", "__setitem__", "__getattr__", "__tree__", "__with_tree__", "__tree_key__",
}  # fmt: skip


def members(cls, public):
    """What a class has besides what its first public base has: its own, and that of bases that are not told."""
    found = {}
    for base in cls.__mro__:
        if base is object or (base is not cls and base in public):
            break
        for name, value in vars(base).items():
            if name in SPECIAL or not name.startswith("_"):
                found.setdefault(name, value)
    return found


def base_of(cls, public):
    """The first public base, as a stub has it."""
    name = next((base.__name__ for base in cls.__mro__[1:] if base in public), None)
    return f"({name})" if name else ""


def package(module):
    """The stub of a package of classes."""
    named = {name for name in module.__all__ if isinstance(getattr(module, name), type)}
    public = {getattr(module, name) for name in named}
    text = [HEAD.replace("compiled module", f"package {module.__name__}").replace(", final", ""), "\n"]
    order = sorted(named, key=lambda name: (len(getattr(module, name).__mro__), name))
    for name in order:
        cls = getattr(module, name)
        text.append(f"class {name}{base_of(cls, public)}:\n")
        lines = []
        for member, value in sorted(members(cls, public).items()):
            if inspect.isfunction(value):
                result = "None" if member == "__init__" else "Any"
                lines.append(f"    def {member}({shown(inspect.signature(value))}) -> {result}: ...\n")
            else:
                lines.append(f"    {member}: Any\n")
        text += lines or ["    ...\n"]
        text.append("\n")
    for name in sorted(set(module.__all__) - named):
        value = getattr(module, name)
        if inspect.ismodule(value):
            text.append(f"from {value.__name__.rpartition('.')[0]} import {name} as {name}\n")
        else:
            text.append(f"def {name}({shown(inspect.signature(value))}) -> Any: ...\n")
    names = "".join(f'    "{name}",\n' for name in module.__all__)
    return "".join(text) + f"__all__ = [\n{names}]\n"


def main():
    files = {
        HERE / "_core.pyi": core(),
        HERE / "nn" / "__init__.pyi": package(cv.nn),
        HERE / "optim" / "__init__.pyi": package(cv.optim),
    }
    for path, text in files.items():
        if "--check" not in sys.argv:
            path.write_text(text)
            print(f"{path}: {text.count('def ')} functions, of covector {cv.__version__}")
        elif not path.exists() or path.read_text() != text:
            sys.exit(f"{path} is out of date: run crates/covector-py/stubs.py")


if __name__ == "__main__":
    main()
