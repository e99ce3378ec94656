"""A GPT of `covector train`, exported as a folder, read by transformers: its tokens and logits.

    covector train --text TEXT --layers 2 --heads 2 --width 12 --block 16 --batch 16 --steps 2500 --lr 0.01 \\
        --out goldens/models/exported/gpt.safetensors
    covector export goldens/models/exported/gpt.safetensors --format huggingface --out goldens/models/exported/folder
    python goldens/exported.py

needs `torch` and `transformers`. Writes models/exported/expected.json.
"""

import json
from pathlib import Path

import torch
from transformers import AutoTokenizer, GPT2LMHeadModel

here = Path(__file__).parent / "models/exported"
model, tokenizer = GPT2LMHeadModel.from_pretrained(here / "folder").eval(), AutoTokenizer.from_pretrained(here / "folder")
text = "the 日本 🦀 cat"
tokens = tokenizer(text)["input_ids"]
assert tokenizer.decode(tokens) == text
logits = model(torch.tensor([tokens])).logits.reshape(-1)
expected = {"text": text, "tokens": tokens, "logits": [round(x, 7) for x in logits.tolist()]}
(here / "expected.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n")
