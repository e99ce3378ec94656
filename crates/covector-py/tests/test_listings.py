"""The lesson's two listings, as a beginner types them."""

import subprocess
import sys

ARRAYS = """
import covector as np

X = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
b = np.array([10.0, 20.0, 30.0])
print((X + b).shape)
print((X @ X.T).shape)
print(X.sum(axis=0).shape, X.sum(axis=1).shape, X.sum().shape)
print((X + b).tolist())
"""

VALUES = """
from covector.scalar import Value

x, w, b = Value(2.0), Value(-3.0), Value(0.5)
y = (x * w + b).tanh()
y.backward()
print(y.data, x.grad, w.grad, b.grad)
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_listing_of_arrays():
    assert run(ARRAYS) == [
        "(2, 3)", "(2, 2)", "(3,) (2,) ()", "[[11.0, 22.0, 33.0], [14.0, 25.0, 36.0]]",
    ]  # fmt: skip


def test_the_listing_of_values():
    import math

    y, dx, dw, db = map(float, run(VALUES)[0].split())
    slope = 1 - math.tanh(-5.5) ** 2
    assert y == math.tanh(-5.5)
    for got, want in [(dx, -3 * slope), (dw, 2 * slope), (db, slope)]:
        assert math.isclose(got, want, rel_tol=1e-9)
