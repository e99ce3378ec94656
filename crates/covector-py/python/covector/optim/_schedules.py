"""Schedules: learning rates by the number of the step.

Each has two uses. `StepLR(0.1, step_size=30)` is a function from the number of a step to a rate, which may be the `lr` of an
optimiser. `StepLR(optimizer, step_size=30)` sets the rates of an optimiser's groups, and `step()` moves on, as in PyTorch.
"""

import inspect

from covector._core import _optim


class LRScheduler:
    """The base of schedules."""

    def __init__(self, optimizer, make):
        self.last_epoch = 0
        if hasattr(optimizer, "param_groups"):
            self.optimizer = optimizer
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", group["lr"])
            self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        elif callable(optimizer):
            self.optimizer, self.base_lrs = None, [optimizer]
        else:
            self.optimizer, self.base_lrs = None, [float(optimizer)]
        self._schedules = [make(rate) for rate in self.base_lrs]
        self._set()

    def _set(self):
        if self.optimizer is not None:
            for group, schedule in zip(self.optimizer.param_groups, self._schedules):
                group["lr"] = schedule(self.last_epoch)

    def __call__(self, step):
        return self._schedules[0](step)

    def step(self):
        """Moves on to the next step, and sets the rates of the optimiser."""
        self.last_epoch += 1
        self._set()

    def get_last_lr(self):
        """The rates now, one for each group."""
        return [schedule(self.last_epoch) for schedule in self._schedules]

    def state_dict(self):
        """The number of the step: the rest is told when it is made."""
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state):
        """Goes on from a step."""
        self.last_epoch = state["last_epoch"]
        self._set()


def _schedule(name, first="optimizer"):
    """The class of a schedule, from its constructor in Rust, whose first parameter is the rate."""
    make = getattr(_optim, name)
    kinds = inspect.Parameter
    _, *options = inspect.signature(make).parameters.values()
    parameters = [kinds("self", kinds.POSITIONAL_OR_KEYWORD), kinds(first, kinds.POSITIONAL_OR_KEYWORD), *options]
    signature = inspect.Signature(parameters)

    def __init__(self, *args, **kwargs):
        given = signature.bind(self, *args, **kwargs)
        given.apply_defaults()
        of, *options = list(given.arguments.values())[1:]
        LRScheduler.__init__(self, of, lambda rate: make(rate, *options))

    __init__.__signature__ = signature
    return type(name, (LRScheduler,), {"__init__": __init__, "__doc__": make.__doc__, "__module__": "covector.optim"})


ConstantRate = _schedule("ConstantRate")
StepLR = _schedule("StepLR")
MultiStepLR = _schedule("MultiStepLR")
ExponentialLR = _schedule("ExponentialLR")
CosineAnnealingLR = _schedule("CosineAnnealingLR")
CosineAnnealingWarmRestarts = _schedule("CosineAnnealingWarmRestarts")
LinearLR = _schedule("LinearLR")
PolynomialLR = _schedule("PolynomialLR")
WarmupCosineLR = _schedule("WarmupCosineLR")


class OneCycleLR(LRScheduler):
    __doc__ = _optim.OneCycleLR.__doc__

    def __init__(
        self, optimizer, max_lr, total_steps, pct_start=0.3, anneal_strategy="cos", div_factor=25.0, final_div_factor=1e4,
        three_phase=False,
    ):  # fmt: skip
        options = (total_steps, pct_start, anneal_strategy, div_factor, final_div_factor, three_phase)
        of = 0.0 if optimizer is None else optimizer
        LRScheduler.__init__(self, of, lambda _: _optim.OneCycleLR(max_lr, *options))


class LambdaLR(LRScheduler):
    """The first rate times a function of the number of the step."""

    def __init__(self, optimizer, lr_lambda):
        LRScheduler.__init__(self, optimizer, lambda rate: lambda step: rate * lr_lambda(step))


class Warmup:
    __doc__ = _optim.Warmup.__doc__

    def __init__(self, then, warmup, start_factor=0.0):
        schedule = then._schedules[0] if isinstance(then, LRScheduler) else _optim.ConstantRate(float(then))
        self._schedule = _optim.Warmup(schedule, warmup, start_factor)

    def __call__(self, step):
        return self._schedule(step)


class ReduceLROnPlateau:
    __doc__ = _optim.Plateau.__doc__

    def __init__(
        self, optimizer, mode="min", factor=0.1, patience=10, threshold=1e-4, threshold_mode="rel", cooldown=0, min_lr=0.0,
        eps=1e-8,
    ):  # fmt: skip
        self.optimizer = optimizer
        self._plateau = _optim.Plateau(mode, factor, patience, threshold, threshold_mode, cooldown, min_lr, eps)
        self._states = [self._plateau.start(group["lr"]) for group in optimizer.param_groups]

    def step(self, metrics):
        """Sets the rates of the optimiser after one more measure."""
        self._states = [self._plateau.seen(state, float(metrics)) for state in self._states]
        for group, state in zip(self.optimizer.param_groups, self._states):
            group["lr"] = state[0]

    def get_last_lr(self):
        """The rates now, one for each group."""
        return [state[0] for state in self._states]

    def state_dict(self):
        """What it remembers."""
        return {"states": [list(state) for state in self._states]}

    def load_state_dict(self, state):
        """Goes on from there."""
        self._states = [list(one) for one in state["states"]]
