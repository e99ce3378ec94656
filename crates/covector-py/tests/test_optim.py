"""Optimisers walk where PyTorch's walk over 100 steps (goldens/nn_optim.json), in both manners; schedules give its rates."""

import copy
import inspect
import json
from pathlib import Path

import numpy as np
import pytest

import covector as cv
from covector import nn, optim

GOLDENS = json.loads((Path(__file__).parents[3] / "goldens" / "nn_optim.json").read_text())
CASES = GOLDENS["optimizers"]


def arrays(pair):
    return [cv.asarray(np.asarray(p["values"]).reshape(p["shape"])) for p in pair]


def waves(p, w):
    return sum((cv.sin(p * 3.0) + p * p + p * w).sum() for p, w in zip(p, w))


def made(case, *params):
    options = dict(case["options"])
    if "beta1" in options or "beta2" in options:
        second = 0.99 if case["optimizer"] == "Lion" else 0.999
        options["betas"] = options.pop("beta1", 0.9), options.pop("beta2", second)
    if "eps1" in options:
        options["eps"] = options.pop("eps1"), options.pop("eps2")
    if case["optimizer"] == "Muon":
        options["dtype"] = cv.float64
    kind = getattr(optim, {"Lamb": "LAMB"}.get(case["optimizer"], case["optimizer"]))
    return kind(*params, lr=case["rate"], **options)


def close(p, want, tolerance=1e-12):
    for got, wanted in zip(p, arrays(want), strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['optimizer']}-{CASES.index(c)}")
def test_trees_walk_where_pytorchs_parameters_walk(case):
    optimizer, p, w = made(case), arrays(case["start"]), arrays(case["weights"])
    state, f = optimizer.init(p), cv.value_and_grad(lambda p: waves(p, w))
    for step in range(1, 101):
        _, g = f(p)
        p, state = optimizer.step(p, g, state)
        if str(step) in case["values"]:
            close(p, case["values"][str(step)])
    assert int(state["steps"]) == 100


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['optimizer']}-{CASES.index(c)}")
def test_leaves_walk_where_pytorchs_parameters_walk(case, tmp_path):
    p, w = arrays(case["start"]), arrays(case["weights"])
    optimizer = made(case, p)
    for step in range(1, 101):
        optimizer.zero_grad()
        waves(p, w).backward()
        optimizer.step()
        assert all(x.is_leaf and x.requires_grad and x.grad is not None for x in p)
        if str(step) in case["values"]:
            close(p, case["values"][str(step)])
        if step == 50:
            # Another one goes on from there.
            state = optimizer.state_dict()
            p = [cv.asarray(np.asarray(x)) for x in p]
            optimizer = made(case, p)
            optimizer.load_state_dict(state)


def test_groups_clipped_by_value_and_averaged_walk_where_pytorchs_walk():
    case = GOLDENS["groups"]
    p, w = arrays(case["start"]), arrays(case["weights"])
    optimizer = optim.RMSprop(lr=0.01, groups={"1": {"alpha": 0.9, "weight_decay": 0.1, "lr": 0.02}})
    ema, average, state = optim.Ema(0.9), p, optimizer.init(p)
    for _ in range(100):
        g = optim.clip_grad_value(cv.grad(lambda p: waves(p, w))(p), 1.5)
        p, state = optimizer.step(p, g, state)
        average = ema.update(average, p)
    close(p, case["values"])
    close(average, case["average"])
    # The same in PyTorch's manner.
    p = arrays(case["start"])
    optimizer = optim.RMSprop([{"params": [p[0]]}, {"params": p[1], "alpha": 0.9, "weight_decay": 0.1, "lr": 0.02}], lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        waves(p, w).backward()
        nn.clip_grad_value_(p, 1.5)
        optimizer.step()
    close(p, case["values"])


@pytest.mark.parametrize("case", GOLDENS["lbfgs"], ids=lambda c: str(GOLDENS["lbfgs"].index(c)))
def test_lbfgs_walks_where_pytorchs_walks(case):
    names = {"rate": "lr", "history": "history_size"}
    options = {names.get(name, name): value for name, value in case["options"].items() if name != "strong_wolfe"}
    if case["options"].get("strong_wolfe"):
        options["line_search_fn"] = "strong_wolfe"
    w = arrays(case["weights"])

    def loss(p):
        if case["loss"] != "valley":
            return waves(p, w)
        x = cv.concat([cv.reshape(p[0], (4,)), p[1]])
        return ((x[1:] - x[:-1] ** 2) ** 2 * 10.0 + (1.0 - x[:-1]) ** 2).sum()

    p, state, method = arrays(case["start"]), None, optim.LBFGS(**options)
    leaves = arrays(case["start"])
    torchs = optim.LBFGS(leaves, **options)

    def closure():
        torchs.zero_grad()
        y = loss(leaves)
        y.backward()
        return y

    for call, wanted in enumerate(case["losses"], 1):
        p, state, before = method.step(p, loss, state)
        assert before == pytest.approx(wanted, rel=1e-12, abs=1e-12)
        assert float(torchs.step(closure)) == pytest.approx(wanted, rel=1e-6, abs=1e-6)
        if str(call) in case["values"]:
            close(p, case["values"][str(call)])
            close(leaves, case["values"][str(call)])


SCHEDULES = {
    "step": lambda of: optim.StepLR(of, 7, gamma=0.7),
    "multi_step": lambda of: optim.MultiStepLR(of, [10, 30, 31], 0.3),
    "exponential": lambda of: optim.ExponentialLR(of, gamma=0.97),
    "cosine": lambda of: optim.CosineAnnealingLR(of, 40, eta_min=0.01),
    "restarts": lambda of: optim.CosineAnnealingWarmRestarts(of, 9, 2, 0.02),
    "restarts_even": lambda of: optim.CosineAnnealingWarmRestarts(of, T_0=15),
    "linear": lambda of: optim.LinearLR(of, 0.2, 0.9, 33),
    "polynomial": lambda of: optim.PolynomialLR(of, 60, 2.5),
    "one_cycle": lambda of: optim.OneCycleLR(of, 0.5, 101),
    "one_cycle_linear": lambda of: optim.OneCycleLR(of, 0.5, 101, 0.4, "linear", 10.0, 100.0),
    "one_cycle_three": lambda of: optim.OneCycleLR(of, 0.5, 101, three_phase=True),
}


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_schedules_give_pytorchs_rates(name):
    wanted, make = GOLDENS["schedules"][name], SCHEDULES[name]
    schedule = make(0.3)
    assert [schedule(i) for i in range(101)] == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    optimizer = optim.SGD([cv.ones(2)], lr=0.3)
    schedule, rates = make(optimizer), []
    for _ in range(101):
        rates.append(optimizer.param_groups[0]["lr"])
        schedule.step()
    assert rates == pytest.approx(wanted, rel=1e-12, abs=1e-12)


def test_schedules_are_rates_of_optimisers():
    warm = optim.Warmup(optim.CosineAnnealingLR(0.3, 80), 12, 0.1)
    assert [warm(i) for i in range(101)] == pytest.approx(GOLDENS["schedules"]["warmup"], rel=1e-12, abs=1e-12)
    p, sgd = cv.asarray([1.0]), optim.SGD(lr=optim.StepLR(0.5, 1, 0.5))
    state = sgd.init(p)
    for wanted in (0.5, 0.25, 0.125):
        p, state = sgd.step(p, cv.ones(1), state)
        assert float(p[0]) == pytest.approx(wanted)
    p, _ = sgd.step(p, cv.ones(1), state, lr=0.125)
    assert float(p[0]) == 0.0


@pytest.mark.parametrize(("name", "options"), [
    ("plateau", {"patience": 3, "factor": 0.5}),
    ("plateau_rising", {"mode": "max", "patience": 5, "threshold": 0.01, "threshold_mode": "abs", "cooldown": 4, "min_lr": 0.02}),
])  # fmt: skip
def test_plateaus_are_found_where_pytorch_finds_them(name, options):
    optimizer = optim.SGD([cv.ones(2)], lr=0.3)
    schedule, rates = optim.ReduceLROnPlateau(optimizer, **options), []
    for measure in GOLDENS["schedules"]["measures"]:
        schedule.step(measure)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx(GOLDENS["schedules"][name], abs=1e-12)


def spirals():
    r = np.random.default_rng(0)
    t, label = r.uniform(0.5, 3, 200), r.integers(0, 2, 200)
    x = np.stack([t * np.cos(2 * t + np.pi * label), t * np.sin(2 * t + np.pi * label)], 1)
    return cv.asarray(x.astype(np.float32)), cv.asarray(label)


def test_both_manners_train_alike():
    x, label = spirals()
    make = lambda: nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2))
    a, b = make(), make()
    b.load_state_dict(a.state_dict())
    loss = lambda model: cv.cross_entropy(model(x), label)
    adam = optim.Adam(a.parameters(), lr=0.01)
    schedule = optim.CosineAnnealingLR(adam, 150)
    trees = optim.Adam(lr=optim.CosineAnnealingLR(0.01, 150))
    state, step = trees.init(b), cv.value_and_grad(loss)
    for _ in range(150):
        adam.zero_grad()
        one = loss(a)
        one.backward()
        adam.step()
        schedule.step()
        two, g = step(b)
        b, state = trees.step(b, g, state)
    assert float(one) == pytest.approx(float(two), rel=1e-3) and float(two) < 0.1
    assert (np.asarray(b(x)).argmax(1) == np.asarray(label)).mean() > 0.97


def test_minimize_is_a_gradient_and_a_step():
    x, label = spirals()
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.BatchNorm1d(8), nn.Linear(8, 2))
    loss = lambda model, x, label: cv.cross_entropy(model(x), label)
    adam = optim.Adam(lr=0.01, groups={"0.*": {"lr": 0.1}})
    one, two = model, model
    first = second = adam.init(model)
    for _ in range(3):
        value, g = cv.value_and_grad(loss)(one, x, label)
        one, first = adam.step(one, g, first)
        both, two, second = adam.minimize(loss, two, second, x, label=label)
        assert float(value) == float(both)
    for p, q in zip(one.parameters(), two.parameters(), strict=True):
        assert (np.asarray(p) == np.asarray(q)).all()
    assert int(second["steps"]) == 3
    sgd = optim.SGD(lr=0.1)
    (value, other), w, _ = sgd.minimize(lambda w: ((w * w).sum(), "more"), cv.ones(2), sgd.init(cv.ones(2)), has_aux=True)
    assert (float(value), other) == (2.0, "more") and np.asarray(w) == pytest.approx([0.8, 0.8])
    with pytest.raises(ValueError, match="scalar"):
        sgd.minimize(lambda w: w * w, cv.ones(2), sgd.init(cv.ones(2)))


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['optimizer']}-{CASES.index(c)}")
def test_compiled_steps_walk_where_pytorchs_parameters_walk(case):
    optimizer, p, w = made(case), arrays(case["start"]), arrays(case["weights"])
    recorded = []

    def loss(p, w):
        recorded.append(1)
        return waves(p, w)

    step, state = optimizer.compile(loss), optimizer.init(p)
    for i in range(1, 101):
        _, p, state = step(p, state, w)
        if str(i) in case["values"]:
            close(p, case["values"][str(i)])
    assert int(state["steps"]) == 100 and len(recorded) == 1


def test_a_compiled_step_is_minimize():
    x, label = spirals()
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.BatchNorm1d(8), nn.Linear(8, 2))
    recorded = []

    def loss(model, x, *, label):
        recorded.append(1)
        return cv.cross_entropy(model(x), label), dict(model.named_buffers())

    # The rates change at every step, and differ by groups.
    adam = optim.Adam(lr=optim.CosineAnnealingLR(0.1, 10), groups={"0.*": {"lr": lambda step: 0.3 / (step + 1)}})
    step = adam.compile(loss, has_aux=True)
    one, two = model, copy.deepcopy(model)
    first = second = adam.init(model)
    for i in range(5):
        lr = 0.01 if i == 3 else None
        (value, buffers), one, first = adam.minimize(loss, one, first, x, label=label, lr=lr, has_aux=True)
        one.load_state_dict(buffers, strict=False)
        (same, buffers), two, second = step(two, second, x, label=label, lr=lr)
        # What is no parameter has a value, too.
        assert np.isfinite(np.asarray(two[2].running_mean)).all()
        two.load_state_dict(buffers, strict=False)
        assert float(value) == pytest.approx(float(same), rel=1e-5)
    assert len(recorded) == 6
    for (name, p), (_, q) in zip(one.state_dict().items(), two.state_dict().items(), strict=True):
        np.testing.assert_allclose(np.asarray(p), np.asarray(q), rtol=1e-5, atol=1e-6, err_msg=name)
    assert type(two) is nn.Sequential and int(second["steps"]) == 5
    # Another batch size is another plan, and a loss that fails says so.
    step(two, second, x[:7], label=label[:7])
    assert len(recorded) == 7
    with pytest.raises(ValueError, match="scalar"):
        adam.compile(lambda model: model(x))(model, adam.init(model))


def test_compiled_functions_may_hold_whole_steps():
    sgd, w = optim.SGD(momentum=0.9), cv.asarray([1.0, 2.0])
    step = cv.compile(lambda w, state, rate: sgd.minimize(lambda w: (w * w).sum(), w, state, lr=rate))
    state, p, known = sgd.init(w), w, sgd.init(w)
    for i in range(4):
        _, w, state = step(w, state, cv.asarray(0.1 / (i + 1)))
        _, p, known = sgd.minimize(lambda w: (w * w).sum(), p, known, lr=0.1 / (i + 1))
    np.testing.assert_allclose(np.asarray(w), np.asarray(p), rtol=1e-6)
    falling = optim.SGD(lr=optim.StepLR(0.1, 2))
    with pytest.raises(ValueError, match="optimizer.compile"):
        cv.compile(lambda w, state: falling.minimize(lambda w: (w * w).sum(), w, state))(w, falling.init(w))
    with pytest.raises(ValueError, match="a learning rate is a number"):
        sgd.minimize(lambda w: (w * w).sum(), w, state, lr=cv.asarray([0.1, 0.2]))


def test_modules_leave_no_cycles_behind():
    import gc
    import weakref

    model, x = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)), cv.ones((4, 2))
    gc.collect()
    gc.disable()
    try:
        value, g = cv.value_and_grad(lambda m: m(x).sum())(model)
        gone = weakref.ref(g)
        del g, value
        assert gone() is None
        gone = weakref.ref(model)
        del model
        assert gone() is None
    finally:
        gc.enable()


def test_states_are_trees_and_are_saved(tmp_path):
    model, adam = nn.Linear(3, 2), optim.Adam(lr=0.1, groups={"*bias": {"weight_decay": 0.5}, "w*": optim.SGD(lr=0.2, momentum=0.9)})
    state = adam.init(model)
    assert set(state["slots"]["weight"]) == {"momentum_buffer"} and set(state["slots"]["bias"]) == {"exp_avg", "exp_avg_sq"}
    g = cv.grad(lambda m: m(cv.ones(3)).sum())(model)
    model, state = adam.step(model, g, state)
    cv.save(tmp_path / "state.safetensors", state)
    assert "slots.bias.exp_avg" in cv.load(tmp_path / "state.safetensors")


def test_a_step_differentiates_and_batches():
    sgd, x = optim.SGD(lr=0.5), cv.asarray(np.asarray([1.0, 2.0]))
    inner = cv.grad(lambda w, a: (w * w * a).sum())

    def after(a, w):
        w, _ = sgd.step(w, inner(w, a), sgd.init(w))
        return (w * w).sum()

    # w - w a, squared: its derivative by a is -2 w² (1 - a).
    assert float(cv.grad(after)(cv.asarray(0.25), x)) == pytest.approx(-2 * 5 * 0.75)
    each = cv.vmap(after, in_axes=(0, None))(cv.asarray(np.asarray([0.0, 0.25])), x)
    np.testing.assert_allclose(np.asarray(each), [5.0, 5 * 0.75**2])


def test_statistics_follow_batches_without_a_chain_behind():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    sgd = optim.SGD(model.parameters(), lr=0.01)
    alive = cv._core._bytes_alive
    for i in range(60):
        sgd.zero_grad()
        model(cv.random.normal((16, 4))).square().mean().backward()
        sgd.step()
        if i == 10:
            before = alive()
    assert alive()[1] <= before[1] + 10, (before, alive())
    assert int(dict(model.named_buffers())["1.num_batches_tracked"]) == 60
    # As a tree, statistics come out beside the loss.
    model = nn.BatchNorm1d(2)

    def loss(model, x):
        y = model(x).sum()
        return y, dict(model.named_buffers())

    (_, buffers), _ = cv.value_and_grad(loss, has_aux=True)(model, cv.asarray([[1.0, 2.0], [3.0, 6.0]]))
    assert float(model.running_mean[0]) == 0.0
    model.load_state_dict(buffers, strict=False)
    assert np.asarray(model.running_mean) == pytest.approx([0.2, 0.4])


def test_gradients_of_leaves_are_clipped():
    w = cv.asarray([3.0, 4.0]).requires_grad_()
    (w * w).sum().backward()
    assert float(nn.clip_grad_norm_([w], 1.0)) == pytest.approx(10.0)
    assert np.asarray(w.grad) == pytest.approx([0.6, 0.8], rel=1e-5)
    w.grad = None
    assert w.grad is None
    with pytest.raises(ValueError, match="gradient of"):
        w.grad = cv.ones(3)
    with pytest.raises(ValueError, match="leaf"):
        cv.ones(2).grad = cv.ones(2)


@pytest.mark.parametrize("wrong", [
    lambda: optim.SGD([]),
    lambda: optim.SGD([1.0]),
    lambda: optim.SGD(lr=0.1, beta=2),
    lambda: optim.SGD(nesterov=True),
    lambda: optim.SGD(lr=0.1).step(),
    lambda: optim.SGD(lr=0.1).step(cv.ones(2), cv.ones(2)),
    lambda: optim.SGD(lr=0.1).step(cv.ones(2), cv.ones(3), optim.SGD().init(cv.ones(2))),
    lambda: optim.SGD(lr=0.1).step([cv.ones(2)], [cv.ones(2), cv.ones(2)], optim.SGD().init([cv.ones(2)])),
    lambda: optim.Adam(lr=0.1).step(cv.ones(2), cv.ones(2), optim.SGD().init(cv.ones(2))),
    lambda: optim.Adam(lr=0.1, groups={"*": {"momentum": 1}}).init(cv.ones(2)),
    lambda: optim.Muon().step(cv.ones(2), cv.ones(2), optim.Muon().init(cv.ones(2))),
    lambda: optim.SGD([{"params": [cv.ones(2)], "speed": 3}]),
    lambda: optim.SGD([cv.asarray([1, 2])]),
    lambda: optim.OneCycleLR(None, 0.5, 100, anneal_strategy="odd"),
])  # fmt: skip
def test_wrong_use_is_refused(wrong):
    with pytest.raises((TypeError, ValueError)):
        wrong()


def test_defaults_are_told():
    for home in (nn, optim):
        for name in home.__all__:
            thing = getattr(home, name)
            if isinstance(thing, type):
                assert ... not in [p.default for p in inspect.signature(thing).parameters.values()], name
                assert thing.__doc__, name
