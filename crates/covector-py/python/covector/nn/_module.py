"""Modules: objects that hold parameters by name, as PyTorch's do, and that transformations take as trees of arrays.

Nothing here computes.
"""

import contextlib
import threading

from covector import _core

Array = _core.Array
_keys = threading.local()


class Parameter:
    """Marks an array that a module assigns to one of its attributes as a parameter: `self.w = Parameter(cv.ones(3))`."""

    __slots__ = ("data",)

    def __init__(self, data):
        self.data = data if isinstance(data, Array) else _core.asarray(data)

    def __repr__(self):
        return f"Parameter containing:\n{self.data!r}"


@contextlib.contextmanager
def keyed(key):
    """Inside, what layers drop in training is drawn by this key, and not by the sequence that `manual_seed` starts.

    A compiled function should take the key as an argument: else it drops the same at every call.
    """
    outer = getattr(_keys, "given", None)
    _keys.given = [key, 0]
    try:
        yield
    finally:
        _keys.given = outer


def next_key():
    """The next key inside `keyed`; outside None, which stands for that of `manual_seed`."""
    given = getattr(_keys, "given", None)
    if given is None:
        return None
    given[1] += 1
    return _core._random.fold_in(given[0], given[1])


# No function here refers to itself by a closure: such cycles would keep parameters until they are collected.
def _collect(module, path, found):
    """Notes a module and all inside by what they are, each with its first path."""
    if id(module) not in found:
        found[id(module)] = path, module
        for name, child in module._modules.items():
            _collect(child, f"{path}.{name}" if path else name, found)


class Module:
    """The base of layers and models: parameters, buffers and other modules are its attributes.

    `forward` says what a call computes. A module is a tree: `grad`, `value_and_grad`, `vmap` and `compile` take it as an
    argument, and its gradient is a module that holds the derivatives where the parameters were.
    """

    training = True
    #: True for classes that hold nothing but options: copies share them.
    _plain = False

    def __init__(self):
        for name in ("_parameters", "_buffers", "_modules"):
            self.__dict__.setdefault(name, {})

    def forward(self, *args, **kwargs):
        """What a call computes."""
        raise NotImplementedError(f"{type(self).__name__} has no `forward`")

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def _held(self, name):
        held = self.__dict__.get(name)
        if held is None:
            raise AttributeError(f"{type(self).__name__}.__init__ must call super().__init__() before it assigns parameters")
        return held

    def __setattr__(self, name, value):
        if isinstance(value, Parameter):
            self.register_parameter(name, value)
            return
        if isinstance(value, Module):
            self.add_module(name, value)
            return
        for held in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__.get(held, ()):
                if value is None:
                    del self.__dict__[held][name]
                elif held == "_modules" or not isinstance(value, Array):
                    kind = type(value).__name__
                    raise TypeError(f"`{name}` is {'a module' if held == '_modules' else 'an array'} and cannot become {kind}")
                else:
                    self.__dict__[held][name] = value
                    return
        object.__setattr__(self, name, value)

    def __getattr__(self, name):
        for held in ("_parameters", "_buffers", "_modules"):
            found = self.__dict__.get(held, {}).get(name)
            if found is not None:
                return found
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name):
        for held in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__.get(held, ()):
                del self.__dict__[held][name]
                return
        object.__delattr__(self, name)

    def __dir__(self):
        return [*super().__dir__(), *self._parameters, *self._buffers, *self._modules]

    def register_parameter(self, name, parameter):
        """Makes an array a parameter of this name."""
        data = parameter.data if isinstance(parameter, Parameter) else parameter
        self.__dict__.pop(name, None)
        self._held("_parameters")[name] = data

    def register_buffer(self, name, buffer):
        """Makes an array something that is saved with the parameters, and not trained."""
        self.__dict__.pop(name, None)
        self._held("_buffers")[name] = buffer

    def add_module(self, name, module):
        """Makes a module a part of this one."""
        self.__dict__.pop(name, None)
        self._held("_modules")[name] = module

    def named_children(self):
        """The parts by name."""
        return iter(self._modules.items())

    def children(self):
        """The parts."""
        return iter(self._modules.values())

    def named_modules(self, prefix=""):
        """This module and all inside, by path; each once."""
        found = {}
        _collect(self, prefix, found)
        return iter([(path, module) for path, module in found.values()])

    def modules(self):
        """This module and all inside; each once."""
        return (module for _, module in self.named_modules())

    def _named(self, held, prefix=""):
        seen = set()
        for path, module in self.named_modules(prefix):
            for name, x in module.__dict__[held].items():
                if id(x) not in seen:
                    seen.add(id(x))
                    yield f"{path}.{name}" if path else name, x

    def named_parameters(self, prefix=""):
        """The parameters by path; a shared one once."""
        return self._named("_parameters", prefix)

    def parameters(self):
        """The parameters; a shared one once."""
        return (x for _, x in self.named_parameters())

    def named_buffers(self, prefix=""):
        """What is saved and not trained, by path."""
        return self._named("_buffers", prefix)

    def buffers(self):
        """What is saved and not trained."""
        return (x for _, x in self.named_buffers())

    def state_dict(self):
        """Parameters and buffers by path, with PyTorch's names: to be written with `cv.save`."""
        paths = [p for p, _ in self.named_modules()]
        state = {}
        for path, module in zip(paths, self.modules()):
            for held in ("_parameters", "_buffers"):
                for name, x in module.__dict__[held].items():
                    state[f"{path}.{name}" if path else name] = x.detach()
        return state

    def load_state_dict(self, state, strict=True):
        """Takes parameters and buffers by path from arrays, of any library; nothing is taken if something does not fit.

        With `strict=False` what is missing on either side is left. Gives `(missing, unexpected)`.
        """
        places = {}
        for path, module in self.named_modules():
            for held in ("_parameters", "_buffers"):
                for name, x in module.__dict__[held].items():
                    places[f"{path}.{name}" if path else name] = x
        missing = [name for name in places if name not in state]
        unexpected = [name for name in state if name not in places]
        new = {name: _core.asarray(state[name]) for name in places if name in state}
        wrong = [f"`{name}` is {x.shape}, not {places[name].shape}" for name, x in new.items() if x.shape != places[name].shape]
        if strict:
            wrong += [f"`{name}` is missing" for name in missing] + [f"`{name}` belongs to nothing" for name in unexpected]
        if wrong:
            raise ValueError(f"the state does not fit {type(self).__name__}: {', '.join(wrong)}")
        with _core.no_grad():
            for name, x in new.items():
                places[name].copy_(x)
        return missing, unexpected

    def train(self, mode=True):
        """Lets layers behave as in training, or not: dropout, batch normalisation. Gives the module."""
        for module in self.modules():
            module.__dict__["training"] = bool(mode)
        return self

    def eval(self):
        """As outside training."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Turns all parameters into leaves that collect a gradient, or back."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self):
        """Forgets the gradients of all parameters."""
        for p in self.parameters():
            p.zero_grad()

    def apply(self, function):
        """Calls a function with every module inside, and with this one at the end."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def to(self, target):
        """All floats in another dtype; "cpu" is where they are."""
        if target == "cpu":
            return self
        new = {}
        for module in self.modules():
            for held in (module._parameters, module._buffers):
                for name, x in held.items():
                    if _core.isdtype(x.dtype, "real floating"):
                        held[name] = new.setdefault(id(x), (x, x.astype(target)))[1]
        return self

    def double(self):
        """All floats in float64."""
        return self.to(_core.float64)

    def float(self):
        """All floats in float32."""
        return self.to(_core.float32)

    def __tree__(self, buffers):
        """The leaves by path, for transformations: the parameters, and the buffers if they are wanted."""
        return _core._nn.module_leaves(self, buffers)

    def __with_tree__(self, leaves):
        """A copy of the module with other leaves; what is not among them is shared with this one."""
        return _core._nn.module_with(self, leaves)

    def __tree_key__(self):
        """All but the leaves as text, or None if text cannot tell: compiled functions are recorded anew if it changes."""
        return _core._nn.module_told(self)

    def extra_repr(self):
        """What is printed between the brackets."""
        return ""

    def __repr__(self):
        inside = [f"({name}): " + repr(child).replace("\n", "\n  ") for name, child in self._modules.items()]
        if not inside:
            return f"{type(self).__name__}({self.extra_repr()})"
        return f"{type(self).__name__}(\n  " + "\n  ".join(inside) + "\n)"


class _Listed(Module):
    """What modules that hold others in order have in common; a slice of them is one of their kind."""

    def append(self, module):
        """One more at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules):
        """Several more at the end."""
        for module in modules:
            self.append(module)
        return self

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __getitem__(self, index):
        chosen = list(self._modules.values())[index]
        return type(self)._of(chosen) if isinstance(index, slice) else chosen


class Sequential(_Listed):
    """Modules one after the other, given one by one or as a dict with names."""

    def __init__(self, *modules):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], dict):
            named = modules[0].items()
        else:
            named = ((str(i), module) for i, module in enumerate(modules))
        for name, module in named:
            if not isinstance(module, Module):
                raise TypeError(f"Sequential takes modules, not {type(module).__name__}")
            self.add_module(name, module)

    @staticmethod
    def _of(modules):
        return Sequential(*modules)

    def forward(self, x):
        """The result of the last, of that of the one before, and so on."""
        for module in self._modules.values():
            x = module(x)
        return x


class ModuleList(_Listed):
    """Modules in a list, each a part of the module that holds the list."""

    def __init__(self, modules=()):
        super().__init__()
        self.extend(modules)

    @staticmethod
    def _of(modules):
        return ModuleList(modules)


class ParameterList(Module):
    """Parameters in a list, each a part of the module that holds the list."""

    def __init__(self, parameters=()):
        super().__init__()
        self.extend(parameters)

    def append(self, parameter):
        """One more at the end."""
        self.register_parameter(str(len(self)), parameter if isinstance(parameter, Parameter) else Parameter(parameter))
        return self

    def extend(self, parameters):
        """Several more at the end."""
        for parameter in parameters:
            self.append(parameter)
        return self

    def __len__(self):
        return len(self._parameters)

    def __iter__(self):
        return iter(self._parameters.values())

    def __getitem__(self, index):
        return list(self._parameters.values())[index]


class ParameterDict(Module):
    """Parameters by name, each a part of the module that holds the dict."""

    def __init__(self, parameters=None):
        super().__init__()
        for name, parameter in (parameters or {}).items():
            self[name] = parameter

    def __setitem__(self, name, parameter):
        self.register_parameter(name, parameter if isinstance(parameter, Parameter) else Parameter(parameter))

    def __getitem__(self, name):
        return self._parameters[name]

    def __len__(self):
        return len(self._parameters)

    def __iter__(self):
        return iter(self._parameters)

    def keys(self):
        """The names."""
        return self._parameters.keys()

    def values(self):
        """The parameters."""
        return self._parameters.values()

    def items(self):
        """Names and parameters."""
        return self._parameters.items()


class ModuleDict(Module):
    """Modules by name, each a part of the module that holds the dict."""

    def __init__(self, modules=None):
        super().__init__()
        for name, module in (modules or {}).items():
            self.add_module(name, module)

    def __getitem__(self, name):
        return self._modules[name]

    def __setitem__(self, name, module):
        self.add_module(name, module)

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def keys(self):
        """The names."""
        return self._modules.keys()

    def values(self):
        """The modules."""
        return self._modules.values()

    def items(self):
        """Names and modules."""
        return self._modules.items()
