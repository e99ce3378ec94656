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


def mlp():
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    for (_, p), (name, shape) in zip(model.named_parameters(), protocol.MLP.items()):
        p[...] = protocol.parameter(name, shape)
    x, y = cv.array(fill((128, 784), 3)), cv.array(labels((128,), 4, 10))
    adam = optim.AdamW(lr=3e-4, weight_decay=0.0)
    state = adam.init(model)

    def run():
        nonlocal model, state
        loss, model, state = adam.minimize(lambda model: cv.cross_entropy(model(x), y), model, state)
        return float(loss)

    return run, [run() for _ in range(3)]


def prepare(row):
    rows = {"add1": add1, "chain16": chain16, "mlp": mlp}
    return rows[row]() if row in rows else None


protocol.serve(f"covector from Python {cv.__version__}", prepare)
