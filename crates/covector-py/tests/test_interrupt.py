"""Ctrl-C ends a computation, and leaves everything as it was."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import covector as cv

CASES = {
    "many large steps": """
        x = cv.asarray(np.random.default_rng(0).normal(size=(800, 800)) / 30)
        y = x
        for _ in range(20_000):
            y = y @ x
    """,
    "many small steps": """
        x = cv.asarray(np.random.default_rng(0).normal(size=(30, 30)))
        y = x
        for _ in range(30_000):
            y = cv.linalg.svd(y)[0] @ x
    """,
    "a compiled function": """
        x = cv.asarray(np.random.default_rng(0).normal(size=(800, 800)) / 30)

        def f(x):
            y = x
            for _ in range(20_000):
                y = y @ x
            return y

        f = cv.compile(f)
        class y:
            block_until_ready = staticmethod(lambda: f(x))
    """,
    "the planning of many nodes": """
        x = y = cv.asarray(np.ones((3, 3)))
        for _ in range(400_000):
            y = cv.sin(y) * 0.5 + x
    """,
    "one step, a batch of factorisations": """
        x = cv.asarray(np.random.default_rng(0).normal(size=(4_000, 60, 60)))
        y = cv.linalg.svd(x)[1]
    """,
    "a backward pass": """
        x = cv.asarray(np.random.default_rng(0).normal(size=(800, 800)) / 30).requires_grad_()
        z = x
        for _ in range(10_000):
            z = z @ x
        z = z.sum()
        class y:
            block_until_ready = z.backward
    """,
}
PROGRAM = """
import sys, time
import numpy as np
import covector as cv
{graph}
print("ready", flush=True)
begun = time.monotonic()
try:
    y.block_until_ready()
except KeyboardInterrupt:
    print(f"interrupted after {{time.monotonic() - begun:.2f}}", flush=True)
    z = (x.detach()[:3, :3] + 1).sum()
    print("alive", float(z) == float(z), flush=True)
    sys.exit(7)
print("done", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("threads", ["2", "1"])
@pytest.mark.parametrize("name", list(CASES))
def test_ctrl_c_ends_a_long_computation(name, threads):
    program = PROGRAM.format(graph=textwrap.dedent(CASES[name]))
    environment = {**os.environ, "COVECTOR_THREADS": threads}
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.7)
        assert child.poll() is None, "it was over too soon"
        child.send_signal(signal.SIGINT)
        sent = time.monotonic()
        said = child.communicate(timeout=30)[0]
        assert time.monotonic() - sent < 10, said
        assert child.returncode == 7 and "interrupted" in said and "alive True" in said, said
    finally:
        child.kill()


def test_handlers_that_return_let_the_computation_go_on():
    x, calls = cv.asarray(np.random.default_rng(0).normal(size=(600, 600)) / 25), []
    before = signal.signal(signal.SIGUSR1, lambda *_: calls.append(1))
    try:
        timer = threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        timer.start()
        y = x
        for _ in range(300):
            y = y @ x
        got = np.asarray(y)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert calls and np.isfinite(got).all()


def test_an_interrupted_graph_is_computed_again():
    class Stop(Exception):
        pass

    def stop(*_):
        raise Stop

    x = cv.asarray(np.random.default_rng(0).normal(size=(500, 500)) / 23)
    y = x
    for _ in range(600):
        y = y @ x
    other, failures = [], []

    def work():
        try:
            z = x
            for _ in range(300):
                z = z @ x
            other.append(np.asarray(z))
        except BaseException as e:  # noqa: BLE001
            failures.append(e)

    before = signal.signal(signal.SIGUSR1, stop)
    thread = threading.Thread(target=work)
    try:
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
        thread.start()
        with pytest.raises(Stop):
            y.block_until_ready()
            time.sleep(1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    thread.join()
    assert not failures and np.isfinite(other[0]).all()
    assert np.isfinite(np.asarray(y)).all()
