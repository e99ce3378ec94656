"""Works out the golden figures: reads cases.json, asks the reference of each op, writes values.json.

Every case names an op, its arguments and a cotangent for each float output; the answer holds the outputs and the
vector-Jacobian products for all float tensors among the arguments. Ops without a reference, and cases that theirs
refuses, are listed at the end and make the exit status 1; the other figures are written all the same.
"""

import argparse
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reference import TABLE
from reference.core import decode, decode_argument, encode, inexact, source

HERE = Path(__file__).parent


def float_leaves(args: dict[str, Any]) -> Iterator[Tensor]:
    """The tensors of floats and complex numbers among the arguments, in order."""
    for value in args.values():
        for tensor in value if isinstance(value, list) else [value]:
            if isinstance(tensor, Tensor) and inexact(tensor):
                yield tensor


def pull_back(outputs: list[Tensor], cotangents: list[Tensor], leaves: list[Tensor]) -> dict[int, Tensor]:
    """The gradient of each leaf, by identity; zero where no path leads to it."""
    floats = [y for y in outputs if inexact(y)]
    if len(floats) != len(cotangents):
        raise ValueError(f"{len(floats)} float outputs, but {len(cotangents)} cotangents")
    paths = [(y, c.to(y.dtype).reshape(y.shape)) for y, c in zip(floats, cotangents) if y.requires_grad]
    if not paths:
        return {id(x): torch.zeros_like(x) for x in leaves}
    ys, cs = zip(*paths)
    grads = torch.autograd.grad(ys, leaves, cs, allow_unused=True, materialize_grads=True)
    return {id(x): g for x, g in zip(leaves, grads)}


def answer(case: dict[str, Any]) -> dict[str, Any]:
    """Outputs and gradients of one case."""
    function = TABLE[case["op"]]
    absent = dict.fromkeys(inspect.signature(function).parameters)  # trailing options may be left out
    args = absent | {name: decode_argument(argument) for name, argument in case["args"].items()}
    leaves = list(float_leaves(args))
    for leaf in leaves:
        leaf.requires_grad_()
    result = function(**args)
    outputs = [result] if isinstance(result, Tensor) else list(result)
    value: dict[str, Any] = {"source": source(function), "outputs": [encode(y) for y in outputs], "grads": {}}
    cotangents = [decode(c) for c in case.get("cotangents", [])]
    if not cotangents:
        return value
    grads = pull_back(outputs, cotangents, leaves)
    for name, arg in args.items():
        if isinstance(arg, Tensor) and id(arg) in grads:
            value["grads"][name] = encode(grads[id(arg)])
        elif isinstance(arg, list) and any(id(t) in grads for t in arg):
            value["grads"][name] = [encode(grads[id(t)]) for t in arg if id(t) in grads]
    return value


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def main() -> int:
    parser = argparse.ArgumentParser(description="Works out goldens/values.json from goldens/cases.json.")
    parser.add_argument("--cases", type=Path, default=HERE / "cases.json")
    parser.add_argument("--values", type=Path, default=HERE / "values.json")
    options = parser.parse_args()
    torch.set_num_threads(1)

    lines: list[str] = []
    unknown: dict[str, int] = {}
    refused: list[str] = []
    for case in json.loads(options.cases.read_text()):
        key = f"{case['op']}/{case['case']}"
        if case["op"] not in TABLE:
            unknown[case["op"]] = unknown.get(case["op"], 0) + 1
            continue
        try:
            lines.append(f"{compact(key)}:{compact(answer(case))}")
        except Exception as error:  # whatever a reference raises concerns its own case only
            refused.append(f"{key}: {type(error).__name__}: {error}")
    options.values.write_text("{\n" + ",\n".join(lines) + "\n}\n")

    print(f"{len(lines)} cases written to {options.values}")
    for name, count in sorted(unknown.items()):
        print(f"no reference for {name} ({count} cases)", file=sys.stderr)
    for line in refused:
        print(f"refused: {line}", file=sys.stderr)
    return 1 if unknown or refused else 0


if __name__ == "__main__":
    sys.exit(main())
