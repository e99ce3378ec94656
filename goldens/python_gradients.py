"""Derivatives of the functions in crates/covector-py/tests/gradient_cases.py, by JAX in f64: writes python_gradients.json.

For each case the value, the vector-Jacobian products, the derivative along tangents, and the second derivative of
sum(y^2) along the same tangents.
"""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "crates" / "covector-py" / "tests"))
jax.config.update("jax_enable_x64", True)

from gradient_cases import cases, numbers  # noqa: E402


class Linalg:
    """JAX's linear algebra in one place."""

    def __getattr__(self, name):
        return getattr(jnp.linalg, name, None) or getattr(jax.scipy.linalg, name)


class Namespace:
    """JAX's functions in one place, under the names they have here."""

    linalg = Linalg()
    names = {
        "lgamma": jax.scipy.special.gammaln,
        "rsqrt": jax.lax.rsqrt,
        "gelu": lambda x: jax.nn.gelu(x, approximate=False),
        "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
        "softmax": jax.nn.softmax,
        "log_softmax": jax.nn.log_softmax,
    }

    def __getattr__(self, name):
        homes = [jnp, jax.nn, jax.scipy.special]
        return self.names.get(name) or next(getattr(home, name) for home in homes if hasattr(home, name))


XP = Namespace()


def plain(x):
    return np.asarray(x, dtype=np.float64).tolist()


def answer(function, arguments):
    x = [jnp.asarray(numbers(a, i), dtype=jnp.float64) for i, a in enumerate(arguments)]
    t = [jnp.asarray(np.asarray(numbers((a.shape, -1.0, 1.0), 7 + i)), dtype=jnp.float64) for i, a in enumerate(x)]
    f = lambda *x: function(XP, *x)  # noqa: E731
    y, pullback = jax.vjp(f, *x)
    cotangent = jnp.asarray(np.asarray(numbers((y.shape, -1.0, 1.0), 11)), dtype=y.dtype)
    _, tangent = jax.jvp(f, tuple(x), tuple(t))
    square = lambda *x: jnp.sum(f(*x) ** 2)  # noqa: E731
    _, second = jax.jvp(jax.grad(square, argnums=tuple(range(len(x)))), tuple(x), tuple(t))
    return {"y": plain(y), "vjp": [plain(g) for g in pullback(cotangent)], "jvp": plain(tangent), "second": [plain(h) for h in second]}


def main():
    found = {name: answer(function, arguments) for name, function, arguments in cases()}
    text = json.dumps({"source": f"jax {jax.__version__}", "cases": found}, indent=0)
    (HERE / "python_gradients.json").write_text(text + "\n")
    print(len(found), "cases")


if __name__ == "__main__":
    main()
