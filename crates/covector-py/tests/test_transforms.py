"""Derivatives, batching, recomputation and compilation of functions of Python."""

import collections
import dataclasses

import numpy as np
import pytest

import covector as cv

X = cv.asarray([0.5, -1.0, 2.0], dtype=cv.float64)


def close(a, b):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-10, atol=1e-12)


def loss(x):
    return (x.tanh() ** 2).sum()


def test_gradients_and_values():
    t = np.tanh(np.asarray(X))
    close(cv.grad(loss)(X), 2 * t * (1 - t**2))
    value, gradient = cv.value_and_grad(loss)(X)
    close(value, (t**2).sum())
    close(gradient, cv.grad(loss)(X))
    assert cv.grad(lambda x: x * x)(3.0).item() == 6.0


def test_argnums_and_aux():
    f = lambda x, y, scale=1.0: (scale * x * y).sum()  # noqa: E731
    a, b = cv.grad(f, argnums=(0, 1))(X, 2 * X, scale=3.0)
    close(a, 6 * np.asarray(X))
    close(b, 3 * np.asarray(X))
    close(cv.grad(f, argnums=1)(X, X), X)
    (value, aux), gradient = cv.value_and_grad(lambda x: (x.sum(), {"n": x.size}), has_aux=True)(X)
    assert aux == {"n": 3} and gradient.tolist() == [1.0] * 3 and value.item() == 1.5
    with pytest.raises(TypeError, match="argument 3"):
        cv.grad(f, argnums=3)(X, X)


Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Layer:
    w: object
    b: object
    name: str = "layer"


def test_gradients_have_the_type_of_their_arguments():
    tree = {"p": Point(X, [X, 2.0]), "layer": Layer(X, None), "k": (X,)}

    def f(t):
        return (t["p"].x * t["p"].y[0]).sum() * t["p"].y[1] + t["layer"].w.sum() + (t["k"][0] ** 2).sum()

    g = cv.grad(f)(tree)
    assert isinstance(g["p"], Point) and isinstance(g["layer"], Layer) and g["layer"].name == "layer"
    close(g["p"].x, 2 * np.asarray(X))
    close(g["k"][0], 2 * np.asarray(X))
    assert g["p"].y[1].item() == pytest.approx(float((np.asarray(X) ** 2).sum()))
    assert tree["layer"].w is X


def test_both_modes_agree_to_second_order():
    f = lambda x: (x.sin() * x.exp()).sum()  # noqa: E731
    h = cv.hessian(f)(X)
    close(h, cv.jacfwd(cv.grad(f))(X))
    close(h, cv.jacrev(cv.jacfwd(f))(X))
    v = cv.asarray([1.0, 2.0, -1.0], dtype=cv.float64)
    _, hv = cv.jvp(cv.grad(f), (X,), (v,))
    close(hv, h @ v)
    y, pullback = cv.vjp(lambda x: x.exp(), X)
    close(pullback(v)[0], np.asarray(v) * np.exp(np.asarray(X)))
    y, linear = cv.linearize(lambda x: x.exp(), X)
    close(linear(v), np.asarray(v) * np.asarray(y))


def test_vmap_is_a_loop():
    batch = cv.asarray(np.arange(6.0).reshape(2, 3))
    f = lambda x, y: (x * y).sum()  # noqa: E731
    close(cv.vmap(f, in_axes=(0, None))(batch, X), [float(f(row, X)) for row in batch])
    close(cv.vmap(cv.grad(loss))(batch), [cv.grad(loss)(row).tolist() for row in batch])
    assert cv.vmap(lambda x: x, in_axes=1, out_axes=1)(batch).shape == (2, 3)
    assert cv.vmap(lambda d: {"s": d["x"].sum()}, in_axes=0)({"x": batch})["s"].shape == (2,)
    with pytest.raises(ValueError, match="examples"):
        cv.vmap(f)(batch, X)


def test_checkpoint_and_compile_change_nothing():
    calls = []

    def f(x, y):
        calls.append(1)
        return (x.tanh() * y).sum()

    close(cv.grad(cv.checkpoint(f))(X, X), cv.grad(f)(X, X))
    compiled = cv.compile(f)
    n = len(calls)
    for scale in (1.0, 2.0, 3.0):
        close(compiled(scale * X, X), (np.tanh(scale * np.asarray(X)) * np.asarray(X)).sum())
    assert len(calls) == n + 1
    step = cv.jit(cv.value_and_grad(f))
    close(step(X, X)[1], cv.grad(f)(X, X))
    assert cv.jit(lambda x, flag: x + 1 if flag else x - 1)(X, True).tolist() == (X + 1).tolist()


def test_rules_of_ones_own():
    clipped = cv.custom_vjp(lambda x: x.exp())
    clipped.defvjp(lambda x: (x.exp(), x), lambda x, ct: (ct * 2,))
    close(cv.grad(lambda x: clipped(x).sum())(X), [2.0] * 3)
    with pytest.raises(TypeError, match="defvjp"):
        cv.custom_vjp(lambda x: x)(X)


class Odd(Exception):
    pass


@pytest.mark.parametrize(
    "transform", [cv.grad, cv.value_and_grad, cv.jacrev, cv.jacfwd, cv.hessian, cv.vmap, cv.checkpoint, cv.compile]
)
def test_exceptions_pass_through_unharmed(transform, capfd):
    error = Odd("mine")

    def f(x):
        raise error

    with pytest.raises(Odd) as caught:
        transform(f)(X)
    assert caught.value is error
    assert "test_transforms.py" in str(caught.traceback[-1].path)
    assert capfd.readouterr().err == ""
    assert cv.grad(loss)(X).shape == (3,)


def test_mistakes_are_errors_at_the_users_line():
    with pytest.raises(ValueError, match="scalar"):
        cv.grad(lambda x: x * 2)(X)
    with pytest.raises(TypeError, match="no function"):
        cv.grad(3)
    with pytest.raises(TypeError, match="must return an array"):
        cv.grad(lambda x: "text")(X)
    with pytest.raises(ValueError, match=r"at .*test_transforms\.py:\d+"):
        cv.grad(lambda x: (x @ cv.ones(5, dtype=cv.float64)).sum())(X)


def test_the_habits_of_pytorch():
    w = cv.tensor([1.0, 2.0], requires_grad=True)
    assert w.requires_grad and w.is_leaf and w.grad is None
    y = (w * w).sum()
    y.backward()
    assert w.grad.tolist() == [2.0, 4.0]
    (3 * w).sum().backward()
    assert w.grad.tolist() == [5.0, 7.0]
    with pytest.raises(ValueError, match="no_grad"):
        w -= 1
    with cv.no_grad():
        w -= 0.1 * w.grad
        assert not (w * 2).requires_grad
    assert w.requires_grad and w.tolist() == pytest.approx([0.5, 1.3])
    w.grad = None
    assert w.grad is None and not w.detach().requires_grad
    x = cv.asarray(np.arange(6.0)).view(2, 3)
    assert x.sum(dim=1, keepdim=True).shape == (2, 1)
    assert cv.cat([x, x], dim=0).shape == (4, 3)
    assert x.permute(1, 0).shape == x.t().shape == x.transpose(0, 1).shape == (3, 2)
    assert x.unsqueeze(0).expand(4, -1, 3).shape == (4, 2, 3)
    assert x.float().dtype is cv.float32 and x.to(cv.int32).dtype is cv.int32
    cv.manual_seed(0)
    a = cv.random.normal((3,))
    cv.manual_seed(0)
    assert a.tolist() == cv.random.normal((3,)).tolist()


def test_pictures_costs_and_reasons():
    f = lambda x: (x.exp() * 2).sum()  # noqa: E731
    assert "exp" in cv.graph(f, X).text and "<svg" in cv.graph(f, X)._repr_html_()
    assert "test_transforms.py" in repr(cv.trace(f, X))
    assert "exp" in repr(cv.cost(f, X))
    assert cv.why(f, X) is None
    assert "log" in repr(cv.why(lambda x: (x * x.log()).sum(), cv.asarray([1.0, 0.0])))


@pytest.mark.parametrize("ending", ["safetensors", "npz"])
def test_trees_go_to_files_and_back(ending, tmp_path):
    tree = {"w": X, "layers": [cv.asarray([1, 2]), cv.asarray([True])]}
    path = tmp_path / f"model.{ending}"
    cv.save(path, tree)
    found = cv.load(path)
    assert set(found) == {"w", "layers.0", "layers.1"}
    close(found["w"], X)
    assert found["layers.0"].dtype is cv.int64 and found["layers.1"].tolist() == [True]
    with pytest.raises(ValueError, match="safetensors"):
        cv.save(tmp_path / "model.txt", tree)
    with pytest.raises(OSError):
        cv.load(tmp_path / f"nothing.{ending}")
