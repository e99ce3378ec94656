"""Layers: values and gradients are PyTorch's (goldens/nn_layers.json), and modules are what its users and JAX's expect."""

import json
from pathlib import Path

import numpy as np
import pytest

import covector as cv
from covector import nn

GOLDENS = json.loads((Path(__file__).parents[3] / "goldens" / "nn_layers.json").read_text())["cases"]


def numbers(case):
    return np.asarray(case["values"], dtype=np.float64).reshape(case["shape"])


def array(case):
    return cv.asarray(numbers(case))


def allowed(options):
    """A mask of the goldens, which is true where a query may attend, as PyTorch has it."""
    if options["kind"] is None:
        return None
    mask = array(options["mask"])
    return mask == 0 if options["kind"] == "bool" else mask


def built(case):
    """The layer of a case, and how it is called."""
    o, kind = dict(case["options"]), case["layer"]
    plain = lambda layer, *x: [layer(*x)]
    d = o.pop("d", None)
    if kind == "Linear":
        return nn.Linear(o["inputs"], o["outputs"], o["bias"]), plain
    if kind == "Bilinear":
        return nn.Bilinear(o["inputs"], o["inputs2"], o["outputs"], o["bias"]), plain
    if kind == "Embedding":
        tokens = cv.asarray(numbers(case["indices"][0]).astype(np.int64))
        padding = None if o["padding"] < 0 else o["padding"]
        return nn.Embedding(o["entries"], o["width"], padding), lambda layer: [layer(tokens)]
    if kind in ("Conv", "ConvTranspose"):
        sizes = o.pop("inputs"), o.pop("outputs"), o.pop("kernel")
        return getattr(nn, f"{kind}{d}d")(*sizes, **o), plain
    if kind in ("MaxPool", "AvgPool"):
        return getattr(nn, f"{kind}{d}d")(o.pop("kernel"), **o), plain
    if kind.startswith("Adaptive"):
        return getattr(nn, f"{kind}{d}d")(o["output"]), plain
    if kind == "LayerNorm":
        return nn.LayerNorm(o["sizes"], bias=o["bias"]), plain
    if kind == "RMSNorm":
        return nn.RMSNorm(o["sizes"], o["eps"]), plain
    if kind == "GroupNorm":
        return nn.GroupNorm(o["groups"], o["channels"], affine=o["affine"]), plain
    if kind == "BatchNorm":
        return nn.BatchNorm1d(o["channels"], momentum=o["momentum"], affine=o["affine"]).train(o["training"]), plain
    if kind in ("RNN", "LSTM", "GRU"):
        lengths = o.pop("lengths", None)
        sizes = o.pop("inputs"), o.pop("hidden"), o.pop("layers")
        o.pop("state")
        mask = None if lengths is None else cv.asarray(np.arange(max(lengths)) < np.asarray(lengths)[:, None])

        def run(layer, x, *start):
            given = None if not start else tuple(start) if kind == "LSTM" else start[0]
            y, last = layer(x, given, mask=mask)
            return [y, *last] if kind == "LSTM" else [y, last]

        return getattr(nn, kind)(*sizes, **o, batch_first=True), run
    if kind == "MultiheadAttention":
        mask = allowed(o)
        return nn.MultiheadAttention(o["width"], o["heads"], bias=o["bias"], batch_first=True), lambda layer, *x: [
            layer(*x, attn_mask=mask)[0]
        ]
    if kind == "AttentionWeights":
        mask = allowed(o)
        layer = nn.MultiheadAttention(o["width"], o["heads"], bias=o["bias"], batch_first=True)
        return layer, lambda layer, *x: layer(*x, attn_mask=mask, average_attn_weights=o["average"])
    if kind == "GroupedAttention":
        positions = None if o["positions"] == "none" else o["positions"]
        layer = nn.MultiheadAttention(
            o["width"], o["heads"], bias=o["bias"], kv_heads=o["kv_heads"], positions=positions, batch_first=True
        )
        return layer, lambda layer, x: [layer(x, x, x, is_causal=o["causal"])[0]]
    if kind.startswith("Transformer"):
        more = {
            "dim_feedforward": o["feedforward"], "dropout": 0.0, "activation": o["activation"], "batch_first": True,
            "norm_first": o["norm_first"], "bias": o["bias"],
        }  # fmt: skip
        part = "Encoder" if "Encoder" in kind else "Decoder"
        layer = getattr(nn, f"Transformer{part}Layer")(o["width"], o["heads"], **more)
        if not kind.endswith("Layer"):
            norm = nn.LayerNorm(o["width"], bias=o["bias"]) if o["norm_first"] else None
            layer = getattr(nn, kind)(layer, 2, norm)
        causal = cv.triu(cv.ones((3, 3), dtype=cv.bool), k=1)
        return layer, plain if part == "Encoder" else lambda layer, x, memory: [layer(x, memory, tgt_mask=causal)]
    assert kind == "Sequential"
    parts = nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(6, 2)
    return nn.Sequential(*parts), plain


def close(got, want, what):
    have = np.asarray(got)
    assert have.shape == want.shape, (what, have.shape, want.shape)
    np.testing.assert_allclose(have, want, rtol=1e-10, atol=1e-10, err_msg=what)


@pytest.mark.parametrize("case", GOLDENS, ids=lambda c: f"{c['layer']}-{GOLDENS.index(c)}")
def test_layers_and_their_gradients_are_those_of_pytorch(case):
    layer, run = built(case)
    layer = layer.double()
    assert [name for name, _ in layer.named_parameters()] == list(case["parameters"])
    state = {name: numbers(x) for name, x in {**case["parameters"], **case["buffers"]}.items()}
    assert layer.load_state_dict(state) == ([], [])
    inputs, cotangents = [array(x) for x in case["inputs"]], [array(c) for c in case["cotangents"]]
    outputs = run(layer, *inputs)
    for got, want in zip(outputs, case["outputs"], strict=True):
        close(got, numbers(want), "output")
    for name, want in case["buffers_after"].items():
        close(dict(layer.named_buffers())[name], numbers(want), name)
    layer.load_state_dict(state)

    def loss(layer, inputs):
        return sum((y * c).sum() for y, c in zip(run(layer, *inputs), cotangents))

    # As a tree.
    by_layer, by_input = cv.grad(loss, argnums=(0, 1))(layer, inputs)
    for name, want in case["gradients"].items():
        close(dict(by_layer.named_parameters())[name], numbers(want), name)
    for got, want in zip(by_input, case["input_gradients"], strict=True):
        close(got, numbers(want), "input")
    # As PyTorch does it.
    layer.load_state_dict(state)
    if case["parameters"]:
        layer.requires_grad_()
        loss(layer, inputs).backward()
        for name, p in layer.named_parameters():
            close(p.grad, numbers(case["gradients"][name]), name)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        self.head = nn.Linear(4, 4, bias=False)
        self.scale = nn.Parameter(cv.ones(4))
        self.register_buffer("seen", cv.asarray(0.0))
        self.power = 2

    def forward(self, x):
        return self.head(self.body(x)) * self.scale**self.power


def test_modules_hold_what_pytorchs_hold():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == ["scale", "body.0.weight", "body.0.bias", "head.weight"]
    assert list(net.state_dict()) == ["scale", "seen", "body.0.weight", "body.0.bias", "head.weight"]
    assert [type(m).__name__ for m in net.modules()] == ["Net", "Sequential", "Linear", "Tanh", "Linear"]
    assert net.body[0].in_features == 3 and net.body[-1] is list(net.body)[1] and len(net.body) == 2
    assert "(0): Linear(in_features=3, out_features=4, bias=True)" in repr(net)
    net.eval()
    assert not net.body[1].training and net.train().body.training
    net.head.weight = net.body[0].weight[:, :1] * cv.ones((4, 4))
    assert net.head.weight.shape == (4, 4)
    assert net.double().head.weight.dtype == cv.float64 and net.seen.dtype == cv.float64
    with pytest.raises(TypeError, match="cannot become"):
        net.scale = "text"
    with pytest.raises(AttributeError, match="no attribute 'tail'"):
        net.tail

    class Hasty(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(cv.ones(2))

    with pytest.raises(AttributeError, match="super"):
        Hasty()


def test_a_state_that_does_not_fit_changes_nothing():
    net, state = nn.Linear(2, 3), nn.Linear(2, 3).state_dict()
    before = np.asarray(net.weight).copy()
    for wrong in ({"weight": state["weight"]}, {**state, "more": cv.ones(2)}, {**state, "bias": cv.ones(4)}):
        with pytest.raises(ValueError, match="does not fit Linear"):
            net.load_state_dict(wrong)
    assert (np.asarray(net.weight) == before).all()
    assert net.load_state_dict({"weight": np.ones((3, 2)), "more": 1}, strict=False) == (["bias"], ["more"])
    assert (np.asarray(net.weight) == 1).all() and net.weight.dtype == cv.float32


def test_models_are_saved_and_loaded(tmp_path):
    model, other = (nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2)) for _ in range(2))
    model(cv.random.normal((4, 1, 9)))
    for path in (tmp_path / "model.safetensors", tmp_path / "model.npz"):
        cv.save(path, model)
        assert set(cv.load(path)) == set(model.state_dict())
        other.load_state_dict(cv.load(path))
        x = cv.random.normal((2, 1, 9))
        assert (np.asarray(other.eval()(x)) == np.asarray(model.eval()(x))).all()


def test_modules_are_trees():
    net, x = Net().double(), cv.asarray(np.random.default_rng(0).normal(size=(5, 3)))
    loss = lambda net, x: net(x).square().sum()
    value, gradient = cv.value_and_grad(loss)(net, x)
    assert isinstance(gradient, Net) and gradient.power == 2 and gradient is not net
    # Along one direction, by differences.
    step = 1e-6
    moved = {name: p + step * g for (name, p), (_, g) in zip(net.named_parameters(), gradient.named_parameters())}
    other = Net().double()
    other.load_state_dict({**moved, "seen": net.seen})
    slope = sum(float((g * g).sum()) for g in gradient.parameters())
    assert abs((float(loss(other, x)) - float(value)) / step - slope) < 1e-4 * slope
    # The gradient of each example.
    each = cv.vmap(cv.grad(lambda net, x: net(x).square().sum()), in_axes=(None, 0))(net, x)
    np.testing.assert_allclose(np.asarray(each.head.weight).sum(0), np.asarray(gradient.head.weight), rtol=1e-12)
    # Compiled, with other parameters later, and recorded anew where an attribute differs.
    calls = []

    def counted(net, x):
        calls.append(1)
        return loss(net, x)

    f = cv.compile(counted)
    assert float(f(net, x)) == float(value) and float(f(other, x)) == float(loss(other, x)) and len(calls) == 1
    other.power = 3
    assert float(f(other, x)) == float(loss(other, x)) and len(calls) == 2


def test_shared_parameters_are_one():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
            self.head.weight = self.table.weight

        def forward(self, i):
            return self.head(self.table(i))

    model, i = Tied().double(), cv.asarray([1, 2])
    assert model.head.weight is model.table.weight and len(list(model.parameters())) == 1
    g = cv.grad(lambda m: m(i).square().sum())(model)
    w = np.asarray(model.table.weight)
    f = cv.grad(lambda w: (w[i] @ w.T).square().sum())(cv.asarray(w))
    np.testing.assert_allclose(np.asarray(g.table.weight), np.asarray(f), rtol=1e-12)
    assert len(model.state_dict()) == 2


def test_dropout_drops_in_training_alone_and_by_keys():
    x = cv.ones((100, 100))
    layer = nn.Dropout(0.25)
    y = np.asarray(layer(x))
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.75)} and 0.7 < (y > 0).mean() < 0.8
    assert (np.asarray(layer(x)) != y).any()
    cv.manual_seed(3)
    first = np.asarray(layer(x))
    cv.manual_seed(3)
    assert (np.asarray(layer(x)) == first).all()
    assert (np.asarray(layer.eval()(x)) == 1).all()
    layer.train()

    @cv.compile
    def f(x, key):
        with nn.keyed(key):
            return layer(x), layer(x)

    (a, b), (c, _) = f(x, cv.random.key(0)), f(x, cv.random.key(1))
    assert (np.asarray(a) != np.asarray(b)).any() and (np.asarray(a) != np.asarray(c)).any()
    assert (np.asarray(f(x, cv.random.key(0))[0]) == np.asarray(a)).all()
    with pytest.raises(ValueError, match="0 to 1"):
        nn.Dropout(1.5)


def test_layouts_and_masks_are_pytorchs():
    x = cv.random.normal((2, 5, 8), dtype=cv.float64)
    late = cv.random.normal((3, 2, 4), dtype=cv.float64)
    for make in (nn.GRU, nn.LSTM):
        time, batch = make(4, 3).double(), make(4, 3, batch_first=True).double()
        batch.load_state_dict(time.state_dict())
        a, b = time(late)[0], batch(cv.moveaxis(late, 0, 1))[0]
        np.testing.assert_array_equal(np.asarray(a), np.asarray(cv.moveaxis(b, 0, 1)))
        np.testing.assert_allclose(np.asarray(time(late[:, 0])[0]), np.asarray(a[:, 0]), rtol=1e-12)
    layer = nn.MultiheadAttention(8, 2, batch_first=True).double()
    padding = cv.asarray([[False, False, False, True, True], [False] * 5])
    whole = layer(x, x, x, key_padding_mask=padding)[0]
    short = layer(x[:1, :3], x[:1, :3], x[:1, :3])[0]
    np.testing.assert_allclose(np.asarray(whole)[0, :3], np.asarray(short)[0], rtol=1e-12)
    late_first = nn.MultiheadAttention(8, 2).double()
    late_first.load_state_dict(layer.state_dict())
    turned = late_first(*[cv.moveaxis(x, 0, 1)] * 3, key_padding_mask=padding)[0]
    np.testing.assert_allclose(np.asarray(cv.moveaxis(turned, 0, 1)), np.asarray(whole), rtol=1e-12)
    single = layer(x[0], x[0], x[0])[0]
    np.testing.assert_allclose(np.asarray(single), np.asarray(layer(x[:1], x[:1], x[:1])[0][0]), rtol=1e-12)
    future = cv.triu(cv.ones((5, 5), dtype=cv.bool), k=1)
    causal, masked = layer(x, x, x, is_causal=True)[0], layer(x, x, x, attn_mask=future)[0]
    np.testing.assert_allclose(np.asarray(causal), np.asarray(masked), rtol=1e-12)
    assert layer.out_proj.weight.shape == (8, 8)
    # The weights: none if they are not wanted, and zeros where a query sees nothing.
    assert layer(x, x, x, need_weights=False)[1] is None
    y, each = layer(x, x, x, attn_mask=cv.ones((5, 5), dtype=cv.bool), average_attn_weights=False)
    assert each.shape == (2, 2, 5, 5) and not np.asarray(each).any() and np.isfinite(np.asarray(y)).all()
    assert layer(x[0], x[0], x[0])[1].shape == (5, 5)
    np.testing.assert_allclose(np.asarray(late_first(*[cv.moveaxis(x, 0, 1)] * 3)[1]), np.asarray(layer(x, x, x)[1]), rtol=1e-12)
    dropping = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
    dropping.load_state_dict(layer.state_dict())
    some = np.asarray(dropping(x, x, x, average_attn_weights=False)[1])
    assert (some == 0.0).any() and np.isfinite(some).all()
    sums = np.asarray(dropping.eval()(x, x, x)[1]).sum(-1)
    np.testing.assert_allclose(sums, 1.0, rtol=1e-6)


def test_losses_and_activations_are_functions_of_the_registry():
    x, t = cv.random.normal((4, 3)), cv.asarray([0, 2, 1, 1])
    assert float(nn.CrossEntropyLoss()(x, t)) == float(cv.cross_entropy(x, t))
    assert float(nn.MSELoss(reduction="sum")(x, x + 1)) == pytest.approx(12.0)
    assert (np.asarray(nn.LeakyReLU(0.5)(cv.asarray([-2.0]))) == -1).all()
    assert (np.asarray(nn.functional.relu6(cv.asarray([9.0]))) == 6).all()
    assert repr(nn.GELU(approximate="tanh")) == "GELU(approximate='tanh')"
    weighted = nn.CrossEntropyLoss(weight=cv.asarray([1.0, 2.0, 3.0]))
    assert "weight" in weighted.state_dict()
    assert float(weighted(x, t)) == pytest.approx(float(cv.cross_entropy(x, t, cv.asarray([1.0, 2.0, 3.0]))))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: nn.Linear(2),
        lambda: nn.Linear(-1, 2),
        lambda: nn.Linear("a", 2),
        lambda: nn.Conv2d(3, 4, (3, 3, 3)),
        lambda: nn.Conv2d(3, 4, 3, groups=2),
        lambda: nn.Conv2d(3, 4, 4, padding="same"),
        lambda: nn.Conv2d(3, 4, 3, padding_mode="odd"),
        lambda: nn.MultiheadAttention(5, 2),
        lambda: nn.RNN(2, 3, nonlinearity="odd"),
        lambda: nn.Embedding(3, 2, 7),
        lambda: nn.TransformerEncoderLayer(4, 2, activation="odd"),
        lambda: nn.Linear(2, 3, device="cuda"),
        lambda: nn.Linear(2, 3)(cv.ones((4, 5))),
        lambda: nn.BatchNorm1d(3)(cv.ones((1, 3))),
        lambda: nn.Sequential(1, 2),
        lambda: nn.Module()(1),
    ],
)
def test_wrong_use_is_refused(wrong):
    with pytest.raises((TypeError, ValueError, OverflowError, NotImplementedError)):
        wrong()


def test_layers_are_pytorchs_own():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(2, 3, 8, 8))
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.GELU(), torch.nn.AvgPool2d(2), torch.nn.Flatten(),
        torch.nn.LayerNorm(64), torch.nn.Linear(64, 5),
    ).double()  # fmt: skip
    ours = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.GELU(), nn.AvgPool2d(2), nn.Flatten(), nn.LayerNorm(64),
        nn.Linear(64, 5),
    ).double()  # fmt: skip
    ours.load_state_dict({name: p.detach().numpy() for name, p in theirs.state_dict().items()})
    y = theirs(torch.from_numpy(x))
    y.square().sum().backward()
    g = cv.grad(lambda m: m(cv.asarray(x)).square().sum())(ours)
    np.testing.assert_allclose(np.asarray(ours(cv.asarray(x))), y.detach().numpy(), rtol=1e-10, atol=1e-12)
    for (name, p), (same, q) in zip(g.named_parameters(), theirs.named_parameters()):
        assert name == same
        np.testing.assert_allclose(np.asarray(p), q.grad.numpy(), rtol=1e-9, atol=1e-10, err_msg=name)
