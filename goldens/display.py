"""What PyTorch prints for small tensors: python goldens/display.py > goldens/display.txt

Dtypes, truth values and shapes are respelled as covector spells them; everything else is PyTorch's own text.
"""

import re

import torch

INF, NAN = float("inf"), float("nan")
T = torch.tensor

CASES = {
    "whole floats": T([[1., 2.], [3., 4.]]),
    "fractions": T([[1.0, 10.5], [-2.25, 3.0]]),
    "integers": T([[1, -20], [300, 4]]),
    "bools": T([True, False, True]),
    "scalar": T(3.5),
    "whole scalar": T(3.),
    "int scalar": T(7),
    "bool scalar": T(True),
    "f64": T([1.5, 2.5], dtype=torch.float64),
    "i32": T([1, 2], dtype=torch.int32),
    "f16": T([0.1, 2.], dtype=torch.float16),
    "bf16": T([0.1, 2.], dtype=torch.bfloat16),
    "u8": T([1, 255], dtype=torch.uint8),
    "small": T([1e-5, 1.0]),
    "large": T([1e9, 2e9]),
    "ratio": T([0.5, 1000.]),
    "at the limit": T([1., 1000.]),
    "whole beyond": T([1., 1001.]),
    "nonfinite": T([1.5, NAN, INF, -INF]),
    "zeros": torch.zeros(2, 2),
    "all nan": T([NAN, NAN]),
    "empty": torch.zeros(0),
    "empty matrix": torch.zeros(0, 3),
    "empty ints": torch.zeros(0, dtype=torch.int64),
    "empty f64 matrix": torch.zeros(2, 0, dtype=torch.float64),
    "three axes": torch.arange(12).reshape(2, 3, 2),
    "four axes": torch.arange(8.).reshape(2, 1, 2, 2),
    "long line": torch.arange(30),
    "long line of fractions": torch.arange(15) / 8,
    "summarised": torch.arange(2000),
    "summarised matrix": torch.arange(2000).reshape(40, 50),
    "summarised narrow": torch.arange(1200.).reshape(400, 3),
    "summarised three axes": torch.arange(2000).reshape(10, 10, 20),
    "tie": T([0.03125, 0.5]),
    "deep": torch.zeros(1, 1, 1, 1, 1),
    "f64 long": torch.arange(16, dtype=torch.float64) + 0.5,
    "f64 exactly": torch.arange(8, dtype=torch.float64) + 100000.5,
}

NAMES = {
    "torch.float64": "f64",
    "torch.float16": "f16",
    "torch.bfloat16": "bf16",
    "torch.int32": "i32",
    "torch.int64": "i64",
    "torch.uint8": "u8",
    "True": "true",
    "False": "false",
}

for name, tensor in CASES.items():
    text = str(tensor)
    for theirs, ours in NAMES.items():
        text = text.replace(theirs, ours)
    text = re.sub(r"size=\((.*?)\)", r"shape=[\1]", text)
    print(f"## {name}\n{text}")
