"""What Python costs over Rust: the same rows by both drivers, in turn, with the minima of many rounds.

    cargo build --release -p covector-bench && pip install . && python bench/python.py

With `--check` it fails if a call on a tiny array costs more than 1 microsecond over Rust, or a long row more than 5 %.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROWS = {
    "add1": "add two 1-element arrays",
    "chain16": "16 elementwise ops on 1 M numbers, f32",
    "mlp_compiled": "MLP 784-512-512-10, batch 128, one compiled Adam step",
}
# What Rust runs beside a row of another name: a step that it records anew.
BESIDE = {"mlp_compiled": "mlp"}
# Shown, and not held to anything: the same recorded at every step, and where its arithmetic costs nothing.
SHOWN = {"mlp": "the same step, recorded anew (minimize)", "mlp_tiny": "that of an MLP 4-4-4-4, batch 2"}


class Driver:
    """A process that times rows."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, row, budget):
        """The least time of a run in seconds, and the figures it gave."""
        self.process.stdin.write(f"{row} {budget}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            sys.exit(f"{row}: {answer['error']}")
        return min(answer["seconds"]), answer["check"]


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--budget", type=float, default=0.3, help="seconds for a row in a round")
    options.add_argument("--driver", default=HERE.parent / "target" / "release" / "covector-bench")
    options.add_argument("--check", action="store_true")
    options.add_argument("--rows", nargs="*", choices=[*ROWS, *SHOWN], default=[*ROWS, *SHOWN])
    options = options.parse_args()
    rust, python = Driver([options.driver]), Driver([sys.executable, HERE / "python_driver.py"])
    late = []
    print(f"{'':55} {'Rust':>10} {'Python':>10} {'more':>10}")
    for row in options.rows:
        text = (ROWS | SHOWN)[row]
        least = [float("inf")] * 2
        for _ in range(options.rounds):
            answers = [rust.ask(BESIDE.get(row, row), options.budget), python.ask(row, options.budget)]
            least = [min(known, seconds) for known, (seconds, _) in zip(least, answers)]
        (_, a), (_, b) = answers
        if any(abs(x - y) > 1e-5 * max(abs(x), 1e-3) for x, y in zip(a, b)):
            sys.exit(f"{row}: the results differ: {a} and {b}")
        more = least[1] - least[0]
        tiny = least[0] < 1e-5
        shown = f"{more * 1e6:.2f} us" if tiny else f"{100 * more / least[0]:.1f} %"
        print(f"{text:55} {least[0] * 1e6:8.2f}us {least[1] * 1e6:8.2f}us {shown:>10}", flush=True)
        if row in ROWS and more > (1e-6 if tiny else 0.05 * least[0]):
            late.append(row)
    if options.check and late:
        sys.exit(f"too slow from Python: {', '.join(late)}")


if __name__ == "__main__":
    main()
