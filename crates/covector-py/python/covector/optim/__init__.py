"""Optimisers and schedules with PyTorch's names, whose rules are those of the Rust crate `covector-nn`.

An optimiser that is given parameters works as PyTorch's: `loss.backward()`, `optimizer.step()`. One that is given none works
on trees: `state = optimizer.init(parameters)`, `parameters, state = optimizer.step(parameters, gradients, state)`.
"""

import inspect

from covector import _core
from covector._core import _optim
from covector.optim._schedules import (
    ConstantRate,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    StepLR,
    Warmup,
    WarmupCosineLR,
)

clip_grad_norm = _optim.clip_grad_norm
clip_grad_value = _optim.clip_grad_value


def _rate(lr, steps):
    """The learning rate of the next step: a number, or an array of 0 axes."""
    if not callable(lr):
        return lr if isinstance(lr, _core.Array) else float(lr)
    try:
        steps = int(steps)
    except ValueError as error:
        raise ValueError(
            "a schedule goes by the number of the step, which is not known while a step is compiled\n"
            "  hint: use `optimizer.compile(loss)`, or give the rate as an array: `optimizer.step(.., lr=rate)`"
        ) from error
    return float(lr(steps))


class Optimizer:
    """The base of optimisers. `lr` is a number, or a schedule: a function from the number of the step, from 0, to one."""

    def __init__(self, params, groups, **defaults):
        self._make(**{name: value for name, value in defaults.items() if name != "lr"})
        self.defaults = defaults
        self.groups = dict(groups or {})
        self.param_groups = []
        self._slots, self._steps, self._single = {}, 0, None
        if params is None:
            return
        if self.groups:
            raise ValueError('groups by path are for trees of parameters; give `params` as [{"params": [..], "lr": ..}, ..]')
        params = list(params)
        if not params:
            raise ValueError("an optimizer got an empty list of parameters")
        for group in params if isinstance(params[0], dict) else [{"params": params}]:
            self.add_param_group(group)

    def add_param_group(self, group):
        """More parameters, with options of their own: `{"params": [..], "lr": 0.1}`."""
        unknown = set(group) - set(self.defaults) - {"params"}
        if unknown:
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}: it has {', '.join(self.defaults)}")
        given = group["params"]
        given = [given] if isinstance(given, _core.Array) else list(given)
        given = [p[1] if isinstance(p, tuple) else p for p in given]
        for p in given:
            if not isinstance(p, _core.Array):
                raise TypeError(f"a parameter is an array, not {type(p).__name__}")
            if any(p is q for known in self.param_groups for q in known["params"]):
                raise ValueError("a parameter is in two groups")
            p.requires_grad_()
        self.param_groups.append({**self.defaults, **group, "params": given})

    def _groups(self, parameters):
        """The rules, and which of them each parameter of a tree follows; and the learning rates of the rules."""
        if not self.groups:
            if self._single is None:
                self._single = self._own(self.defaults)[0]
            return ([self._single], []), [self.defaults["lr"]]
        made, chosen = {}, []
        for path, _ in _optim.paths(parameters):
            pattern = next((pattern for pattern in self.groups if _optim.fits(pattern, path)), None)
            if pattern not in made:
                options = self.groups.get(pattern, {})
                if isinstance(options, Optimizer):
                    own = options._own(options.defaults)
                else:
                    own = self._own({**self.defaults, **options})
                made[pattern] = len(made), *own
            chosen.append(made[pattern][0])
        return ([rule for _, rule, _ in made.values()], chosen), [rate for _, _, rate in made.values()]

    def _own(self, options):
        unknown = set(options) - set(self.defaults)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}: it has {', '.join(self.defaults)}")
        return self._make(**{name: value for name, value in options.items() if name != "lr"}), options["lr"]

    def init(self, parameters):
        """The state before the first step of a tree of parameters: a dict of arrays, to be saved with them."""
        groups, _ = self._groups(parameters)
        return {"steps": _core.asarray(0), "slots": _optim.start(groups, parameters)}

    def step(self, parameters=None, gradients=None, state=None, *, lr=None):
        """Without arguments: the parameters this optimiser was given follow the gradients that `backward` has left.

        With them: `(parameters, state)` after a step of a tree. `lr` is a rate for this step alone.
        """
        if gradients is None:
            return self._step_leaves(parameters)
        if state is None:
            raise TypeError("the step of a tree needs its state: the first is `optimizer.init(parameters)`")
        groups, rates = self._groups(parameters)
        rates = self._rates(rates, state, lr)
        new, slots, steps = _optim.step(groups, rates, parameters, gradients, (state["steps"], state["slots"]))
        return new, {"steps": steps, "slots": slots}

    @staticmethod
    def _rates(rates, state, lr):
        return [_rate(rate if lr is None else lr, state["steps"]) for rate in rates]

    def minimize(self, loss, parameters, state, *args, lr=None, has_aux=False, **kwargs):
        """`(loss, parameters, state)` after a step down the gradient of `loss(parameters, *args, **kwargs)`, as one evaluation.

        It is `value_and_grad` and `step` in one, without the gradients being stored. With `has_aux=True` the function gives
        a pair, and so is the first result.
        """
        groups, rates = self._groups(parameters)
        rates = self._rates(rates, state, lr)
        return self._minimized(loss, (args, kwargs), has_aux, groups, rates, parameters, state)

    @staticmethod
    def _minimized(loss, arguments, has_aux, groups, rates, parameters, state):
        state = state["steps"], state["slots"]
        value, other, new, slots, steps = _optim.minimize(loss, arguments, has_aux, groups, rates, parameters, state)
        return (value, other) if has_aux else value, new, {"steps": steps, "slots": slots}

    def compile(self, loss, *, has_aux=False):
        """`minimize` for one loss, recorded and planned at the first call and then run without the interpreter.

        `step = optimizer.compile(loss)` makes a function: `loss, parameters, state = step(parameters, state, *args, **kwargs)`
        gives what `minimize(loss, parameters, state, *args, **kwargs)` gives, to the last bits of a division or two, in less
        time. The loss must get all that changes as arguments; what it captures is fixed when it is recorded. The number of the
        step and the learning rate are arguments of the plan: `lr` and schedules work as in `minimize` and cost no new plan.
        """

        def descend(parameters, state, rates, args, kwargs):
            groups, _ = self._groups(parameters)
            return self._minimized(loss, (args, kwargs), has_aux, groups, rates, parameters, state)

        compiled = _core.compile(descend)

        def step(parameters, state, *args, lr=None, **kwargs):
            _, rates = self._groups(parameters)
            rates = [_core.asarray(rate, dtype=_core.float64) for rate in self._rates(rates, state, lr)]
            return compiled(parameters, state, rates, args, kwargs)

        return step

    def _step_leaves(self, closure):
        if not self.param_groups:
            raise TypeError("this optimiser was given no parameters\n  hint: use `step(parameters, gradients, state)`")
        loss = closure() if closure is not None else None
        rules, rates, leaves = [], [], []
        index = 0
        for group in self.param_groups:
            rule, rate = self._own({name: value for name, value in group.items() if name in self.defaults})
            for p in group["params"]:
                path = str(index)
                index += 1
                if p.grad is None:
                    continue
                if path not in self._slots:
                    self._slots.update({path: _optim.start(([rule], []), p.detach())[""]})
                rules.append(rule)
                rates.append(_rate(rate, self._steps))
                leaves.append((path, p))
        groups = rules, list(range(len(rules)))
        self._slots.update(_optim.step_leaves(groups, rates, leaves, self._slots, self._steps))
        self._steps += 1
        return loss

    def zero_grad(self, set_to_none=True):
        """Forgets the gradients of the parameters."""
        for group in self.param_groups:
            for p in group["params"]:
                p.zero_grad()

    def state_dict(self):
        """What the optimiser remembers, and the options of its groups."""
        groups, index = [], 0
        for group in self.param_groups:
            n = len(group["params"])
            groups.append({**group, "params": list(range(index, index + n))})
            index += n
        state = {int(path): {**slots, "step": self._steps} for path, slots in self._slots.items()}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state):
        """Goes on from what another optimiser of the same parameters remembered."""
        counts = [len(group["params"]) for group in state["param_groups"]]
        if counts != [len(group["params"]) for group in self.param_groups]:
            raise ValueError(f"the state is of groups of {counts} parameters, others than these")
        known = {int(index): dict(slots) for index, slots in state["state"].items()}
        self._steps = max((int(slots.get("step", 0)) for slots in known.values()), default=0)
        self._slots = {
            str(index): {name: _core.asarray(t) for name, t in slots.items() if name != "step"} for index, slots in known.items()
        }
        for mine, theirs in zip(self.param_groups, state["param_groups"]):
            mine.update({name: value for name, value in theirs.items() if name in self.defaults})

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.defaults.items())})"


def _optimizer(name, lr):
    """The class of an optimiser, from the constructor of its rule in Rust."""
    make = getattr(_optim, name)
    kinds = inspect.Parameter
    rule = inspect.signature(make).parameters.values()
    parameters = [
        kinds("self", kinds.POSITIONAL_OR_KEYWORD),
        kinds("params", kinds.POSITIONAL_OR_KEYWORD, default=None),
        kinds("lr", kinds.POSITIONAL_OR_KEYWORD, default=lr),
        *rule,
        kinds("groups", kinds.KEYWORD_ONLY, default=None),
    ]
    signature = inspect.Signature(parameters)

    def __init__(self, *args, **kwargs):
        given = signature.bind(self, *args, **kwargs)
        given.apply_defaults()
        options = {key: value for key, value in given.arguments.items() if key not in ("self", "params", "groups")}
        Optimizer.__init__(self, given.arguments["params"], given.arguments["groups"], **options)

    __init__.__signature__ = signature
    doc = make.__doc__ + (
        "\n\n`groups` gives parameters of a tree options of their own, by patterns of their paths: "
        '`{"*.bias": {"lr": 0.01}}`; or another optimiser.'
    )
    return type(name, (Optimizer,), {"__init__": __init__, "_make": staticmethod(make), "__doc__": doc, "__module__": __name__})


SGD = _optimizer("SGD", 1e-3)
Adam = _optimizer("Adam", 1e-3)
AdamW = _optimizer("AdamW", 1e-3)
Adagrad = _optimizer("Adagrad", 1e-2)
RMSprop = _optimizer("RMSprop", 1e-2)
Adadelta = _optimizer("Adadelta", 1.0)
Lion = _optimizer("Lion", 1e-4)
LAMB = _optimizer("LAMB", 1e-3)
Adafactor = _optimizer("Adafactor", 1e-2)
Muon = _optimizer("Muon", 1e-3)


class LBFGS:
    """L-BFGS: directions from the last few steps and what they did to the gradient. For losses without noise.

    With parameters, `step(closure)` as in PyTorch; without, `parameters, state, loss = step(parameters, loss, state)`, where
    `loss` is a function of the parameters and the first state is None.
    """

    def __init__(
        self, params=None, lr=1.0, max_iter=20, max_eval=None, tolerance_grad=1e-7, tolerance_change=1e-9, history_size=100,
        line_search_fn=None,
    ):  # fmt: skip
        self._options = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_eval, "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change, "history_size": history_size, "line_search_fn": line_search_fn,
        }  # fmt: skip
        self._params = None if params is None else [p.requires_grad_() for p in params]
        self._state = None

    def zero_grad(self, set_to_none=True):
        """Forgets the gradients of the parameters."""
        for p in self._params or ():
            p.zero_grad()

    def step(self, parameters, loss=None, state=None):
        """A step of several directions: of a closure that computes the loss and calls `backward`, or of a tree."""
        if loss is not None:
            return _optim.lbfgs(_core.value_and_grad(loss), parameters, state, **self._options)
        if self._params is None:
            raise TypeError("this optimiser was given no parameters\n  hint: use `step(parameters, loss, state)`")
        closure = parameters

        def evaluate(values):
            self._put(values)
            self.zero_grad()
            y = closure()
            grads = [p.grad if p.grad is not None else _core.zeros_like(p) for p in self._params]
            return y.detach(), grads

        new, self._state, before = _optim.lbfgs(evaluate, [p.detach() for p in self._params], self._state, **self._options)
        self._put(new)
        return _core.asarray(before)

    def _put(self, values):
        with _core.no_grad():
            for p, value in zip(self._params, values):
                p.copy_(value)


class Ema:
    """The moving average of weights over steps: `average = ema.update(average, weights)`."""

    def __init__(self, decay=0.999):
        self.decay = decay

    def update(self, average, weights):
        """The average after one more value; it begins with the weights themselves."""
        return _optim.ema(average, weights, self.decay)


__all__ = [
    "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "ConstantRate", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "Ema",
    "ExponentialLR", "LAMB", "LBFGS", "LRScheduler", "LambdaLR", "LinearLR", "Lion", "MultiStepLR", "Muon", "OneCycleLR",
    "Optimizer", "PolynomialLR", "RMSprop", "ReduceLROnPlateau", "SGD", "StepLR", "Warmup", "WarmupCosineLR", "clip_grad_norm",
    "clip_grad_value",
]  # fmt: skip
