"""What documents say in Python runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BLOCKS = [
    pytest.param(block, id=f"{name}-{i}")
    for name in ("README.md", "docs/python.md")
    for i, block in enumerate(re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text(), re.M | re.S))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_it_runs(block, tmp_path):
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, cwd=tmp_path, env=os.environ)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    said = re.findall(r"# (\(.*\)|tensor\(.*\))$", block, re.M)
    assert done.stdout.splitlines()[: len(said)] == said


def test_there_are_blocks():
    assert len(BLOCKS) >= 3
