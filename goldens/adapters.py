"""What PEFT makes of small models with low-rank adapters, and what it reads of ours.

    python goldens/adapters.py [FOLDER ADAPTERS]

needs `torch`, `transformers` and `peft`. Writes models/peft_gpt2 and models/peft_llama beside itself: adapters for models/gpt2_text and
models/llama_text, as PEFT saves them, with the logits of some tokens. With a model and adapters that
`covector export MODEL --merge FILE --format peft --out ADAPTERS` wrote, prints the logits that PEFT gets from both for tokens 1 to 12.
"""

import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

here = Path(__file__).parent / "models"

if len(sys.argv) == 3:
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(sys.argv[1]), sys.argv[2]).eval()
    with torch.no_grad():
        print(json.dumps(model(torch.arange(1, 13)[None]).logits[0].tolist()))
    sys.exit()

torch.manual_seed(11)
for name, targets, scaled in [("gpt2", ["c_attn", "attn.c_proj"], False), ("llama", ["q_proj", "o_proj"], True)]:
    base = AutoModelForCausalLM.from_pretrained(here / f"{name}_text")
    config = LoraConfig(r=3, lora_alpha=5, target_modules=targets, use_rslora=scaled, task_type="CAUSAL_LM",
                        fan_in_fan_out=name == "gpt2")
    model = get_peft_model(base, config).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_" in key:
                parameter.copy_(0.5 * torch.randn_like(parameter))
        tokens = torch.randint(0, 200, (2, 9))
        logits = model(tokens).logits
    folder = here / f"peft_{name}"
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    said = json.loads(path.read_text())
    said["base_model_name_or_path"] = None
    said["target_modules"] = sorted(said["target_modules"])
    path.write_text(json.dumps(said, indent=2) + "\n")
    save_file({"tokens": tokens, "logits": logits.contiguous()}, folder / "expected.safetensors")
