"""What every Python driver shares: the protocol, and inputs made by the same formulas as in src/fill.rs."""

import json
import math
import sys
import time

import numpy as np


def hashed(n, seed):
    with np.errstate(over="ignore"):
        h = (np.arange(n, dtype=np.uint32) + np.uint32(1)) * np.uint32(2654435761)
        h += np.uint32((seed * 0x9E3779B9) & 0xFFFFFFFF)
        h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        return h ^ (h >> np.uint32(16))


def unit(n, seed):
    return (hashed(n, seed) >> np.uint32(8)).astype(np.float64) / 8388608.0 - 1.0


def fill(shape, seed, dtype=np.float32, scale=1.0):
    numbers = unit(math.prod(shape), seed).astype(dtype) * dtype(scale)
    return numbers.reshape(shape)


def labels(shape, seed, classes):
    return ((hashed(math.prod(shape), seed) >> np.uint32(8)).astype(np.int64) % classes).reshape(shape)


def seed_of(name):
    h = 0x811C9DC5
    for b in name.encode():
        h = ((h ^ b) * 0x01000193) & 0xFFFFFFFF
    return h


def parameter(name, shape):
    if "ln_" in name:
        return np.ones(shape, np.float32)
    if len(shape) == 1:
        scale = 0.1
    elif name.startswith(("h.", "w")):
        scale = 0.04
    else:
        scale = 1.0 / math.sqrt(math.prod(shape[1:]))
    return fill(shape, seed_of(name), scale=scale)


MLP = {"0.weight": (512, 784), "0.bias": (512,), "1.weight": (512, 512), "1.bias": (512,), "2.weight": (10, 512), "2.bias": (10,)}

CNN = {
    "conv.0.weight": (16, 3, 3, 3), "conv.0.bias": (16,), "conv.1.weight": (32, 16, 3, 3), "conv.1.bias": (32,),
    "conv.2.weight": (64, 32, 3, 3), "conv.2.bias": (64,), "head.weight": (10, 64), "head.bias": (10,),
}

MATMULS = {f"matmul_{n}_{d}": (n, t) for n in (512, 1024, 2048) for d, t in (("f32", np.float32), ("f64", np.float64))}

# GPT-2 small: layers, heads, width, vocabulary, block; its head is the token embedding. How many tokens are cached,
# and the token that is decoded after them.
DECODE = (12, 12, 768, 50257, 1024)
CACHED, TOKEN = 128, 17

# layers, heads, width, block, batch
GPTS = {"gpt_small": (4, 4, 128, 64, 12), "gpt_large": (6, 6, 384, 256, 8)}

# The scalar network: inputs and outputs of its layers, and the number of examples.
SCALAR_LAYERS = [(2, 16), (16, 16), (16, 1)]
EXAMPLES = 100


def gpt_shapes(layers, width, block, vocabulary=65):
    shapes = {"wte.weight": (vocabulary, width), "wpe.weight": (block, width)}
    for i in range(layers):
        shapes |= {
            f"h.{i}.ln_1.weight": (width,), f"h.{i}.attn.c_attn.weight": (3 * width, width),
            f"h.{i}.attn.c_proj.weight": (width, width), f"h.{i}.ln_2.weight": (width,),
            f"h.{i}.mlp.c_fc.weight": (4 * width, width), f"h.{i}.mlp.c_proj.weight": (width, 4 * width),
        }
    return shapes | {"ln_f.weight": (width,)}


def cache(layer, heads, width):
    """Keys and values of the tokens decoded so far, [heads, tokens, width of a head] each."""
    shape = heads, CACHED, width // heads
    return fill(shape, 100 + 2 * layer), fill(shape, 101 + 2 * layer)


def check(*arrays):
    """The first and the last number and the mean of all magnitudes, of each array."""
    figures = []
    for a in arrays:
        a = np.asarray(a, dtype=np.float64).ravel()
        figures += [a[0], a[-1], np.abs(a).mean()]
    return figures


def memory(name):
    with open("/proc/self/status") as status:
        return next((int(line.split()[1]) / 1024 for line in status if line.startswith(name)), 0.0)


def seconds(run, times):
    start = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - start) / times


def measured(row, run, figures, budget, idle):
    if not callable(run):
        return answered(row, [run], figures, idle)
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        pass
    once = seconds(run, 1)
    group = min(max(int(1e-3 / max(once, 1e-9)), 1), 100_000)
    samples, start = [], time.perf_counter()
    while not samples or (time.perf_counter() - start < budget and len(samples) < 200):
        samples.append(seconds(run, group))
    return answered(row, samples, figures, idle)


def answered(row, samples, figures, idle):
    peak = max(memory("VmHWM:") - idle, 0.0)
    return {"row": row, "seconds": samples, "check": [float(x) for x in figures], "peak_mib": round(peak, 1)}


def serve(version, prepare):
    """Answers `version` with the given text and rows with their times; `prepare(row)` gives a function that runs the row
    and the check figures, or None; in place of the function the seconds of what happens only once."""
    idle = memory("VmRSS:")
    name, ready = None, None
    for line in sys.stdin:
        row, _, budget = line.strip().partition(" ")
        if row == "version":
            print(json.dumps({"row": row, "version": version}), flush=True)
            continue
        try:
            if name != row:
                name, ready = None, None
                ready = prepare(row)
                if ready and callable(ready[0]):
                    ready[0](), ready[0]()
                name = row
            answer = measured(row, *ready, float(budget or 0.3), idle) if ready else {"row": row, "error": "not supported"}
        except Exception as e:  # noqa: BLE001
            name, ready = None, None
            answer = {"row": row, "error": f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"}
        print(json.dumps(answer), flush=True)
