"""The type stubs are those of the module as it is, and mypy's stubtest agrees."""

import subprocess
import sys
from pathlib import Path

CRATE = Path(__file__).parents[1]


def test_the_stubs_are_up_to_date():
    done = subprocess.run([sys.executable, CRATE / "stubs.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_stubtest_agrees(tmp_path):
    # Elsewhere than beside the sources, so that it is the installed package that is looked at.
    modules = ["covector._core", "covector.nn", "covector.optim"]
    command = [sys.executable, "-m", "mypy.stubtest", *modules, "--concise", "--ignore-disjoint-bases"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
