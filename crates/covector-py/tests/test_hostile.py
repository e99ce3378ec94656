"""Wrong use: the right exception, no crash, no leak."""

import gc
import os
import threading

import numpy as np
import pytest

import covector as cv
from covector import _core


def alive():
    gc.collect()
    return _core._bytes_alive()


def test_nothing_leaks():
    def work():
        x = cv.asarray(np.ones(64))
        y = cv.grad(lambda t: (t * t).sum())(x)
        np.asarray(y + 1)
        with pytest.raises(ValueError):
            x @ cv.ones((3, 3))
        x[0] = 2.0
        cv.from_dlpack(y.__dlpack__ and y, copy=True)

    for _ in range(50):
        work()
    before = alive()
    for _ in range(500):
        work()
    after = alive()
    assert after[1] <= before[1] + 5 and after[0] <= before[0] + 4096, (before, after)


def test_a_hundred_thousand_steps_do_not_leak():
    x = cv.zeros(4)
    float(x.sum())
    before = alive()
    for i in range(100_000):
        x = x + 1
        if i % 1000 == 0:
            x.block_until_ready()
    assert x[0].item() == 100_000
    after = alive()
    assert after[1] <= before[1] + 10, (before, after)


def test_a_million_nodes_from_a_loop():
    x = cv.asarray(0.0)
    for _ in range(1_000_000):
        x = x + 1.0
    assert x.item() == 1_000_000
    y = cv.asarray(0.0)
    for _ in range(100_000):
        y = y + 1.0
    del y


def test_long_expressions_of_values():
    from covector.scalar import Value

    x = Value(1.0)
    y = x
    for _ in range(100_000):
        y = y + x
    y.backward()
    assert (y.data, x.grad) == (100_001.0, 100_001.0)


@pytest.mark.parametrize("shape", [(2**62,), (2**40, 2**40), (-1,), (10**30,), ("a",), (2.5,), (None,)])
def test_huge_and_odd_shapes(shape):
    for make in (cv.zeros, cv.ones, cv.empty, lambda s: cv.full(s, 1)):
        with pytest.raises((ValueError, MemoryError, OverflowError, TypeError)):
            make(shape).tolist()


def test_threads_share_arrays():
    x = cv.asarray(np.random.default_rng(0).normal(size=(64, 64)))
    want = np.asarray(cv.grad(lambda t: (t @ t).tanh().sum())(x))
    failures = []

    def work():
        try:
            for _ in range(20):
                got = np.asarray(cv.grad(lambda t: (t @ t).tanh().sum())(x))
                assert (got == want).all()
        except BaseException as e:  # noqa: BLE001
            failures.append(e)

    threads = [threading.Thread(target=work) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not failures


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_computes():
    x = cv.asarray(np.ones((512, 512)))
    (x @ x).block_until_ready()
    pid = os.fork()
    if pid == 0:
        ok = False
        try:
            ok = (x @ x + 1).sum().item() == 512**2 * 513.0
        finally:
            os._exit(0 if ok else 1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_the_interpreter_is_released_while_computing():
    x = cv.asarray(np.random.default_rng(0).normal(size=(1500, 1500)))
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(1)
            done.wait(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    for _ in range(5):
        (x @ x).block_until_ready()
    done.set()
    thread.join()
    assert len(ticks) > 5


def test_arrays_that_are_not_there_yet_say_so():
    def f(x):
        float(x)
        return x

    with pytest.raises(ValueError, match="value"):
        cv.vmap(f)(cv.ones(3))


@pytest.mark.parametrize("odd", ["text", object(), {}, [None], b"\xff" * 3, float, 2**200, [[1], [1, 2]], lambda: 0])
def test_wrong_types_everywhere(odd):
    x = cv.ones((2, 2))
    for f in (cv.sin, cv.sum, cv.sort, cv.linalg.inv, cv.stack, cv.concat, cv.unique_all):
        if f is cv.concat and isinstance(odd, list) and odd != [None]:
            continue  # lists of different lengths can be joined
        with pytest.raises((TypeError, ValueError, OverflowError, IndexError)):
            np.asarray(f(odd))
            if isinstance(odd, bytes):
                raise TypeError("bytes are numbers")
    for f in (cv.add, cv.matmul, cv.take, cv.isin):
        with pytest.raises((TypeError, ValueError, OverflowError, IndexError)):
            np.asarray(f(x, odd))
            if isinstance(odd, bytes):
                raise TypeError("bytes are numbers")
    with pytest.raises((TypeError, ValueError, OverflowError, IndexError)):
        cv.sum(x, axis=odd)
        if isinstance(odd, (bytes, dict)):
            raise TypeError("a list of axes")


def test_errors_name_op_operands_line_and_help():
    with pytest.raises(ValueError) as e:
        cv.ones((2, 3)) @ cv.ones((4, 5))
    text = str(e.value)
    assert "matmul" in text and "f32[2, 3]" in text and "test_hostile.py" in text
    with pytest.raises(IndexError, match="axis 5"):
        cv.ones(3).sum(axis=5)
    with pytest.raises(TypeError, match="astype"):
        cv.bitwise_and(cv.ones(2), cv.ones(2))
    with pytest.raises(TypeError, match="unexpected keyword"):
        cv.sum(cv.ones(2), axes=0)
    with pytest.raises(TypeError, match="missing"):
        cv.matmul(cv.ones(2))
    with pytest.raises(IndexError, match="test_hostile.py"):
        cv.take(cv.ones(3), cv.asarray([7]), axis=0).tolist()
