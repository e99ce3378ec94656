"""PyTorch's side of `cargo xtask bench --shakespeare`: the training of src/shakespeare.rs, step by step the same.

Options: --text FILE, --steps N, --threads N, --compile. Answers one line of JSON."""

import argparse
import json
import math
import sys
import time

import torch

import protocol
from torch_models import Gpt, adam, filled

LAYERS, HEADS, WIDTH, BLOCK, BATCH = 4, 4, 128, 64, 12
PEAK, FLOOR, WARMUP = 1e-3, 1e-4, 100


def rate(step, steps):
    if step < WARMUP:
        return PEAK * (step + 1) / (WARMUP + 1)
    done = (step - WARMUP) / (steps - WARMUP)
    return FLOOR + (PEAK - FLOOR) * 0.5 * (1 + math.cos(math.pi * done))


def pieces(tokens, starts):
    at = starts[:, None] + torch.arange(BLOCK)
    return tokens[at], tokens[at + 1]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--text", required=True)
    options.add_argument("--steps", type=int, default=2000)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--compile", action="store_true")
    options = options.parse_args()
    torch.set_num_threads(options.threads)

    with open(options.text, encoding="utf-8", newline="") as file:
        text = file.read()
    characters = sorted(set(text))
    number = {c: i for i, c in enumerate(characters)}
    tokens = torch.tensor([number[c] for c in text])
    learned, held_out = tokens.split([len(tokens) - len(tokens) // 10, len(tokens) // 10])

    model = filled(Gpt(LAYERS, HEADS, WIDTH, BLOCK, len(characters)))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("c_proj.weight"):
                p *= 1 / math.sqrt(2 * LAYERS)
    optimizer = adam(model, betas=(0.9, 0.99), weight_decay=0.1)
    loss_of = torch.compile(model, dynamic=False) if options.compile else model

    start = time.perf_counter()
    for step in range(options.steps):
        starts = torch.from_numpy(protocol.labels((BATCH,), 1000 + step, len(learned) - BLOCK))
        for group in optimizer.param_groups:
            group["lr"] = rate(step, options.steps)
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(*pieces(learned, starts))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        value = loss.item()
        if (step + 1) % 500 == 0:
            print(f"step {step + 1}: loss {value:.4f}", file=sys.stderr)
    trained = time.perf_counter() - start

    start = time.perf_counter()
    starts = torch.arange(0, (len(held_out) - 1) // BLOCK * BLOCK, BLOCK)
    total = 0.0
    with torch.no_grad():
        for some in starts.split(4 * BATCH):
            # Not the compiled one: the last group is smaller, and would be compiled for itself.
            total += model(*pieces(held_out, some)).item() * len(some)
    evaluated = time.perf_counter() - start
    print(json.dumps({"trained": trained, "evaluated": evaluated, "loss": total / len(starts)}))


if __name__ == "__main__":
    main()
