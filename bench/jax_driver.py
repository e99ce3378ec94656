"""JAX's driver of `cargo xtask bench`: everything under jit. Option: --threads N."""

import argparse
import functools
import os
import time

options = argparse.ArgumentParser()
options.add_argument("--threads", type=int, default=2)
options = options.parse_args()
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_ENABLE_X64"] = "1"
# XLA has no option for it: where the machine has more, the caller's affinity mask decides.
os.environ["OMP_NUM_THREADS"] = os.environ["PARALLELISM"] = str(options.threads)

import jax
import jax.numpy as jnp
import numpy as np

import protocol
from protocol import check, fill, labels


def value(f, *inputs):
    f = jax.jit(f)
    inputs = [jnp.asarray(x) for x in inputs]
    return (lambda: jax.block_until_ready(f(*inputs))), check(*jax.tree.leaves(f(*inputs)))


def gelu(x):
    return 0.5 * x * (1.0 + jnp.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def chain2(x):
    return x * jax.nn.sigmoid(x) + jnp.exp(-x * x) * 0.5 - jnp.log1p(jnp.abs(x))


def batch_norm(x, weight, bias):
    axes = (0, 2, 3)
    centred = x - x.mean(axes, keepdims=True)
    y = centred * jax.lax.rsqrt((centred * centred).mean(axes, keepdims=True) + 1e-5)
    return y * weight[:, None, None] + bias[:, None, None]


def gradients(loss, count, *inputs):
    """The loss and its gradients with respect to the first `count` inputs."""
    run, _ = value(jax.value_and_grad(loss, argnums=tuple(range(count))), *inputs)
    return run, check(*run()[1])


def layer_norm(x, weight, bias=None):
    centred = x - x.mean(-1, keepdims=True)
    y = centred * jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5) * weight
    return y if bias is None else y + bias


def cross_entropy(logits, targets):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), targets[:, None], axis=1).mean()


def parameters(shapes):
    return {name: jnp.asarray(protocol.parameter(name, shape)) for name, shape in shapes.items()}


def gpt_loss(layers, heads, p, tokens, targets):
    linear = lambda x, name: x @ p[name + ".weight"].T  # noqa: E731
    x = p["wte.weight"][tokens] + p["wpe.weight"]
    b, n, width = x.shape
    for i in range(layers):
        h = layer_norm(x, p[f"h.{i}.ln_1.weight"])
        parts = jnp.split(linear(h, f"h.{i}.attn.c_attn"), 3, axis=2)
        q, k, v = (part.reshape(b, n, heads, width // heads) for part in parts)
        y = jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(b, n, width)
        x = x + linear(y, f"h.{i}.attn.c_proj")
        h = linear(layer_norm(x, p[f"h.{i}.ln_2.weight"]), f"h.{i}.mlp.c_fc")
        x = x + linear(jax.nn.gelu(h, approximate=False), f"h.{i}.mlp.c_proj")
    logits = layer_norm(x, p["ln_f.weight"]) @ p["wte.weight"].T
    return cross_entropy(logits.reshape(-1, 65), targets.reshape(-1))


def decode():
    layers, heads, width, vocabulary, block = protocol.DECODE
    position, size = protocol.CACHED, width // heads

    @functools.partial(jax.jit, donate_argnums=2)
    def step(p, token, caches):
        linear = lambda x, name: x @ p[name + ".weight"].T  # noqa: E731
        x = p["wte.weight"][token] + p["wpe.weight"][position]
        grown = []
        for i, (keys, values) in enumerate(caches):
            h = layer_norm(x, p[f"h.{i}.ln_1.weight"])
            q, k, v = linear(h, f"h.{i}.attn.c_attn").reshape(3, heads, 1, size)
            keys = jax.lax.dynamic_update_slice(keys, k, (0, position, 0))
            values = jax.lax.dynamic_update_slice(values, v, (0, position, 0))
            grown.append((keys, values))
            scores = jnp.einsum("hqd,hkd->hqk", q, keys[:, : position + 1]) / size**0.5
            y = jnp.einsum("hqk,hkd->hqd", jax.nn.softmax(scores), values[:, : position + 1])
            x = x + linear(y.reshape(1, width), f"h.{i}.attn.c_proj")
            h = linear(layer_norm(x, p[f"h.{i}.ln_2.weight"]), f"h.{i}.mlp.c_fc")
            x = x + linear(jax.nn.gelu(h, approximate=False), f"h.{i}.mlp.c_proj")
        return layer_norm(x, p["ln_f.weight"]) @ p["wte.weight"].T, grown

    p = parameters(protocol.gpt_shapes(layers, width, block, vocabulary))
    room = lambda x: jnp.asarray(np.pad(x, ((0, 0), (0, block - position), (0, 0))))  # noqa: E731
    caches = [tuple(room(x) for x in protocol.cache(layer, heads, width)) for layer in range(layers)]
    token = jnp.asarray([protocol.TOKEN])

    def run():
        nonlocal caches
        logits, caches = step(p, token, caches)
        return jax.block_until_ready(logits)

    return run, check(run())


def mlp_loss(p, x, y):
    for i in range(3):
        x = x @ p[f"{i}.weight"].T + p[f"{i}.bias"]
        x = jax.nn.relu(x) if i < 2 else x
    return cross_entropy(x, y)


def cnn_loss(p, x, y):
    for i, stride in enumerate((1, 2, 2)):
        x = jax.lax.conv_general_dilated(x, p[f"conv.{i}.weight"], (stride, stride), [(1, 1), (1, 1)])
        x = jax.nn.relu(x + p[f"conv.{i}.bias"][:, None, None])
    return cross_entropy(x.mean((2, 3)) @ p["head.weight"].T + p["head.bias"], y)


def adam(beta2, decay, p, g, m, v, t):
    first, second = 1 - 0.9**t, 1 - beta2**t

    def one(p, g, m, v):
        m, v = 0.9 * m + 0.1 * g, beta2 * v + (1 - beta2) * g * g
        kept = p * (1 - 3e-4 * decay) if p.ndim >= 2 else p
        return kept - 3e-4 * (m / first) / (jnp.sqrt(v / second) + 1e-8), m, v

    new = {name: one(p[name], g[name], m[name], v[name]) for name in p}
    return tuple({name: new[name][i] for name in p} for i in range(3))


def stepper(loss, p, beta2, decay, *batch):
    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(p, m, v, t, *batch):
        value, g = jax.value_and_grad(loss)(p, *batch)
        p, m, v = adam(beta2, decay, p, g, m, v, t)
        return value, p, m, v

    batch = [jnp.asarray(x) for x in batch]
    zeros = lambda: {name: jnp.zeros_like(x) for name, x in p.items()}  # noqa: E731
    state = [p, zeros(), zeros()]
    count = 0

    def run():
        nonlocal state, count
        count += 1
        value, *state = step(*state, np.float32(count), *batch)
        return float(value)

    return run


def steps(*parts):
    run = stepper(*parts)
    return run, [run() for _ in range(3)]


def gpt_stepper(row):
    layers, heads, width, block, batch = protocol.GPTS[row]
    tokens, targets = (labels((batch, block), seed, 65) for seed in (5, 6))
    p = parameters(protocol.gpt_shapes(layers, width, block))
    return stepper(functools.partial(gpt_loss, layers, heads), p, 0.99, 0.1, tokens, targets)


def sgd_steps(loss, p, *batch):
    @functools.partial(jax.jit, donate_argnums=0)
    def step(p, *batch):
        value, g = jax.value_and_grad(loss)(p, *batch)
        return value, jax.tree.map(lambda p, g: p - 0.01 * g, p, g)

    batch = [jnp.asarray(x) for x in batch]

    def run():
        nonlocal p
        value, p = step(p, *batch)
        return float(value)

    return run, [run() for _ in range(3)]


def tree(f, *inputs):
    f = jax.jit(f)
    result = f(*inputs)
    return (lambda: jax.block_until_ready(f(*inputs))), check(*(result[name] for name in protocol.MLP))


def prepare(row):
    jax.clear_caches()
    if row in protocol.MATMULS:
        n, dtype = protocol.MATMULS[row]
        return value(jnp.matmul, fill((n, n), 1, dtype), fill((n, n), 2, dtype))
    if row in protocol.GPTS:
        run = gpt_stepper(row)
        return run, [run() for _ in range(3)]
    big, wide = (lambda: fill((4096, 4096), 1)), (lambda: fill((4096, 1024), 1))
    match row:
        case "matmul_1024_bf16":
            return value(jnp.matmul, *(jnp.asarray(fill((1024, 1024), seed), jnp.bfloat16) for seed in (1, 2)))
        case "matmul_odd":
            return value(jnp.matmul, fill((1000, 997), 1), fill((997, 1003), 2))
        case "matmul_nt":
            return value(lambda x, w: x @ w.T, fill((2048, 384), 1), fill((1536, 384), 2))
        case "matmul_batched":
            return value(jnp.matmul, fill((96, 128, 64), 1), fill((96, 64, 128), 2))
        case "vecmat":
            return value(jnp.matmul, fill((1, 2048), 1), fill((2048, 8192), 2))
        case "gelu":
            return value(gelu, big())
        case "gelu_grad":
            return gradients(lambda x: gelu(x).sum(), 1, big())
        case "chain2":
            return value(chain2, big())
        case "chain2_grad":
            return gradients(lambda x: chain2(x).sum(), 1, big())
        case "softmax":
            return value(lambda x: jax.nn.softmax(x, -1), wide())
        case "layernorm":
            return value(layer_norm, wide(), fill((1024,), 2), fill((1024,), 3))
        case "layernorm_grad":
            loss = lambda x, w, b, c: (layer_norm(x, w, b) * c).sum()  # noqa: E731
            return gradients(loss, 3, wide(), fill((1024,), 2), fill((1024,), 3), fill((4096, 1024), 4))
        case "batchnorm_grad":
            loss = lambda x, w, b, c: (batch_norm(x, w, b) * c).sum()  # noqa: E731
            x, c = (fill((64, 64, 32, 32), seed) for seed in (1, 4))
            return gradients(loss, 3, x, fill((64,), 2), fill((64,), 3), c)
        case "sum_middle":
            return value(lambda x: x.sum(1), fill((64, 256, 1024), 1))
        case "cumsum_0":
            return value(lambda x: jnp.cumsum(x, 0), wide())
        case "cumsum_1":
            return value(lambda x: jnp.cumsum(x, 1), wide())
        case "add_t":
            return value(lambda x, y: x + y.T, big(), fill((4096, 4096), 2))
        case "sum_0":
            return value(lambda x: x.sum(0), big())
        case "sum_1":
            return value(lambda x: x.sum(1), big())
        case "mlp":
            return steps(mlp_loss, parameters(protocol.MLP), 0.999, 0.0, fill((128, 784), 3), labels((128,), 4, 10))
        case "mlp_f64":
            p = {name: x.astype(jnp.float64) for name, x in parameters(protocol.MLP).items()}
            x = fill((128, 784), 3).astype(np.float64)
            return steps(mlp_loss, p, 0.999, 0.0, x, labels((128,), 4, 10))
        case "embedding_grad":
            p = parameters({"wte.weight": (50257, 768)})
            loss = lambda p, tokens, c: (p["wte.weight"][tokens] * c).sum()  # noqa: E731
            return sgd_steps(loss, p, labels((768,), 5, 50257), fill((768, 768), 4))
        case "decode":
            return decode()
        case "gpt_first":
            run = gpt_stepper("gpt_small")
            start = time.perf_counter()
            loss = run()
            return time.perf_counter() - start, [loss]
        case "cnn":
            return sgd_steps(cnn_loss, parameters(protocol.CNN), fill((32, 3, 32, 32), 3), labels((32,), 4, 10))
        case "per_sample":
            f = jax.vmap(jax.grad(lambda p, x, y: mlp_loss(p, x[None], y[None])), in_axes=(None, 0, 0))
            return tree(f, parameters(protocol.MLP), jnp.asarray(fill((32, 784), 3)), jnp.asarray(labels((32,), 4, 10)))
        case "hvp":
            x, y = jnp.asarray(fill((128, 784), 3)), jnp.asarray(labels((128,), 4, 10))
            direction = {name: jnp.asarray(fill(shape, 7)) for name, shape in protocol.MLP.items()}
            f = lambda p, v, x, y: jax.jvp(jax.grad(lambda p: mlp_loss(p, x, y)), (p,), (v,))[1]  # noqa: E731
            return tree(f, parameters(protocol.MLP), direction, x, y)
        case "add1":
            return value(jnp.add, np.float32([1.5]), np.float32([2.0]))[0], [3.5]
        case "chain" | "chain_compiled":

            def chain(x):
                y = x
                for _ in range(333):
                    y = jnp.tanh(y * 0.99 + x)
                return y.sum()

            return gradients(chain, 1, fill((16,), 1))
    return None


if __name__ == "__main__":
    protocol.serve("JAX " + jax.__version__, prepare)
