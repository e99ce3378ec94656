"""The driver that runs covector's rows from Python, for `bench/python.py`: the same work as the driver of Rust does."""

import covector as cv
from covector import nn, optim

import protocol
from protocol import check, fill, labels


def add1():
    a, b = cv.asarray([1.5], dtype=cv.float32), cv.asarray([2.0], dtype=cv.float32)

    def run():
        return (a + b).block_until_ready()

    return run, [float(run()[0])]


def chain16():
    x = cv.array(fill((1 << 20,), 1))

    def run():
        y = x
        for _ in range(4):
            y = cv.abs(cv.tanh(y * 0.99 + x))
        return y.block_until_ready()

    return run, check(run())


def network(a, b, c, d, batch):
    """An MLP with its input and its targets."""
    model = nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, c), nn.ReLU(), nn.Linear(c, d))
    for (_, p), name in zip(model.named_parameters(), protocol.MLP):
        p[...] = protocol.parameter(name, p.shape)
    return model, cv.array(fill((batch, a), 3)), cv.array(labels((batch,), 4, d))


def mlp(*sizes):
    model, x, y = network(*sizes)
    adam = optim.AdamW(lr=3e-4, weight_decay=0.0)
    state = adam.init(model)

    def run():
        nonlocal model, state
        loss, model, state = adam.minimize(lambda model: cv.cross_entropy(model(x), y), model, state)
        return float(loss)

    return run, [run() for _ in range(3)]


def mlp_compiled(*sizes):
    model, x, y = network(*sizes)
    adam = optim.AdamW(lr=3e-4, weight_decay=0.0)
    step, state = adam.compile(lambda model, x, y: cv.cross_entropy(model(x), y)), adam.init(model)

    def run():
        nonlocal model, state
        loss, model, state = step(model, state, x, y)
        return float(loss)

    return run, [run() for _ in range(3)]


def prepare(row):
    rows = {
        "add1": add1,
        "chain16": chain16,
        "mlp": lambda: mlp(784, 512, 512, 10, 128),
        "mlp_compiled": lambda: mlp_compiled(784, 512, 512, 10, 128),
        "mlp_tiny": lambda: mlp(4, 4, 4, 4, 2),
    }
    return rows[row]() if row in rows else None


protocol.serve(f"covector from Python {cv.__version__}", prepare)
