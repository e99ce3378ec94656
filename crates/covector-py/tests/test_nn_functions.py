"""Modules without parameters, losses and cells, with their gradients, are PyTorch's to 1e-10 (goldens/nn_functions.json)."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import covector as cv
from covector import nn

CASES = json.loads((Path(__file__).parents[3] / "goldens" / "nn_functions.json").read_text())["cases"]


def array(data):
    return cv.asarray(np.asarray(data["values"], dtype=data["dtype"]).reshape(data["shape"]))


def tuples(value):
    return tuple(map(tuples, value)) if isinstance(value, list) else value


def close(got, data, what):
    have, want = np.asarray(got), np.asarray(data["values"]).reshape(data["shape"])
    assert have.shape == want.shape and have.dtype == np.float64, (what, have.shape, have.dtype)
    np.testing.assert_allclose(have, want, rtol=1e-10, atol=1e-10, err_msg=what)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['module']}-{CASES.index(c)}")
def test_modules_and_their_gradients_are_those_of_pytorch(case):
    options = {name: tuples(value) for name, value in case["kwargs"].items()}
    weights = {name: array(value) for name, value in case["weights"].items()}
    module = getattr(nn, case["module"])(*map(tuples, case["args"]), **options, **weights).double()
    assert [name for name, _ in module.named_parameters()] == list(case["parameters"])
    module.load_state_dict({name: array(p) for name, p in case["parameters"].items()}, strict=False)
    inputs, cotangents = [array(x) for x in case["inputs"]], [array(c) for c in case["cotangents"]]
    places = [i for i, x in enumerate(inputs) if x.dtype == cv.float64]

    def outputs(module, floats):
        given = list(inputs)
        for i, x in zip(places, floats):
            given[i] = x
        y = module(*given) if case["module"] != "LSTMCell" or len(given) == 1 else module(given[0], tuple(given[1:]))
        return list(y) if isinstance(y, tuple) else [y]

    floats = [inputs[i] for i in places]
    for y, want in zip(outputs(module, floats), case["outputs"], strict=True):
        close(y, want, "output")
    loss = lambda module, floats: sum((y * c).sum() for y, c in zip(outputs(module, floats), cotangents))
    by_module, by_inputs = cv.grad(loss, argnums=(0, 1))(module, floats)
    found = {**dict(by_module.named_parameters()), **dict(zip(map(str, places), by_inputs))}
    for name, want in case["gradients"].items():
        close(found[name], want, name)
    # Copies and pickles compute the same.
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        for y, want in zip(outputs(other, floats), case["outputs"], strict=True):
            close(y, want, "a copy")


def test_losses_are_finite_where_probabilities_are_0_and_1():
    x, t = cv.asarray([0.0, 1.0, 0.0, 1.0]), cv.asarray([0.0, 1.0, 1.0, 0.0])
    loss = nn.BCELoss(reduction="none")
    assert loss(x, t).tolist() == [0.0, 0.0, 100.0, 100.0]
    assert np.isfinite(np.asarray(cv.grad(lambda x: loss(x, t).sum())(x))).all()
    assert np.isnan(np.asarray(loss(cv.asarray([-0.5]), cv.asarray([1.0])))).all()
    zeros = cv.zeros((2, 3))
    for f in (nn.functional.normalize, lambda x: nn.functional.cosine_similarity(x, x + 1.0)):
        assert np.isfinite(np.asarray(cv.grad(lambda x: f(x).sum())(zeros))).all()


def test_whole_channels_are_dropped():
    cv.manual_seed(0)
    layer, x = nn.Dropout2d(0.5), cv.ones((4, 8, 3, 5))
    y = np.asarray(layer(x)).reshape(32, 15)
    assert {*np.unique(y)} == {0.0, 2.0} and (y == y[:, :1]).all()
    assert (np.asarray(layer.eval()(x)) == 1.0).all()
    assert nn.Dropout1d(0.5)(cv.ones((8, 3))).shape == (8, 3)
    with nn.keyed(cv.random.key(3)):
        one = nn.Dropout3d()(cv.ones((1, 9, 1, 2, 1)))
    with nn.keyed(cv.random.key(3)):
        assert (np.asarray(one) == np.asarray(nn.Dropout3d()(cv.ones((1, 9, 1, 2, 1))))).all()


def test_parameters_are_held_in_lists_and_dicts():
    held = nn.ParameterList([cv.ones(2), nn.Parameter(cv.zeros(3))]).append(cv.ones(1))
    assert [name for name, _ in held.named_parameters()] == ["0", "1", "2"] and len(held) == 3 and held[1].shape == (3,)
    named = nn.ParameterDict({"a": cv.ones(2)})
    named["b"] = cv.zeros(3)
    assert list(named) == ["a", "b"] and named["b"].shape == (3,) and list(dict(named.named_parameters())) == ["a", "b"]
    g = cv.grad(lambda m: (m[0] * 3.0).sum() + m[2].sum())(held)
    assert g[0].tolist() == [3.0, 3.0] and g[1].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.Conv2d(1, 2, [3, 3], padding="same"), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(50, 3)),
        lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1, batch_first=True),
        lambda: nn.MultiheadAttention(4, 2, kv_heads=1, positions="rotary", batch_first=True),
        lambda: nn.LSTM(4, 3, 2, bidirectional=True, batch_first=True),
        lambda: nn.Embedding(5, 3, padding_idx=-1),
    ],
)
def test_models_are_copied_and_pickled(make):
    model = make().eval()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), copy.copy(model)):
        assert repr(other) == repr(model) and not other.training
        for (name, p), (same, q) in zip(model.state_dict().items(), other.state_dict().items(), strict=True):
            assert name == same and (np.asarray(p) == np.asarray(q)).all()
    deep = copy.deepcopy(model)
    first = next(deep.parameters())
    first[...] = 0.0
    assert np.asarray(next(model.parameters())).any()
    x = {"Sequential": cv.ones((1, 1, 5, 5)), "Embedding": cv.asarray([1, 4])}.get(type(model).__name__, cv.ones((1, 3, 4)))
    inputs = (x, x, x) if isinstance(model, nn.MultiheadAttention) else (x,)
    one, two = (m(*inputs) for m in (model, pickle.loads(pickle.dumps(model))))
    one, two = (y[0] if isinstance(y, tuple) else y for y in (one, two))
    assert (np.asarray(one) == np.asarray(two)).all()


def test_wrong_options_are_refused():
    for wrong, error in (
        (lambda: nn.GLU()(cv.ones(3)), "no halves"),
        (lambda: nn.ZeroPad2d((1, 2)), "4 integers"),
        (lambda: nn.Dropout2d(1.5), "between 0 and 1"),
        (lambda: nn.Dropout2d()(cv.ones(3)), "channels of 2 axes"),
        (lambda: nn.PixelShuffle(2)(cv.ones((3, 2, 2))), "do not divide"),
        (lambda: nn.PReLU(3)(cv.ones((2, 4))), "one slope per channel"),
        (lambda: nn.functional.pad(cv.ones(3), (1, 1, 1, 1)), "up to 1 axes"),
        (lambda: nn.functional.interpolate(cv.ones((1, 1, 2))), "either `size` or"),
        (lambda: nn.BCELoss(reduction="most")(cv.ones(2), cv.ones(2)), "no reduction"),
        (lambda: nn.CosineEmbeddingLoss()(cv.ones((2, 3)), cv.ones((2, 3)), cv.ones(3)), "the target must be"),
    ):
        with pytest.raises(ValueError, match=error):
            wrong()


def test_pools_step_by_their_kernel_unless_told():
    x = cv.reshape(cv.arange(36.0), (1, 1, 6, 6))
    for pool in (cv.max_pool2d, cv.avg_pool2d):
        assert pool(x, 2).shape == pool(x, 2, None).shape == (1, 1, 3, 3)
        assert pool(x, 2, 1).shape == (1, 1, 5, 5)
    assert cv.conv2d(x, cv.ones((1, 1, 2, 2))).shape == (1, 1, 5, 5)
