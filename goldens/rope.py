"""What Llama models with scaled rotary positions give: small random ones.

    python goldens/rope.py

needs `torch` and `transformers`. Writes models/llama_linear (with its configuration as older files have it), models/llama_dynamic and
models/llama_llama3 beside itself, each with the logits of some tokens.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

here = Path(__file__).parent / "models"
torch.manual_seed(7)
torch.use_deterministic_algorithms(True)
KINDS = {
    "linear": {"rope_type": "linear", "factor": 4.0},
    "dynamic": {"rope_type": "dynamic", "factor": 2.0},
    # Pairs of features that keep their rate, that get an eighth of it, and one between.
    "llama3": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 64},
}

for kind, scaling in KINDS.items():
    config = LlamaConfig(vocab_size=30, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                         num_key_value_heads=1, max_position_embeddings=128, rope_parameters={"rope_theta": 10000.0, **scaling})
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    folder = here / f"llama_{kind}"
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    path = folder / "config.json"
    said = json.loads(path.read_text())
    if kind == "linear":
        del said["rope_parameters"]
        said |= {"rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 4.0}}
    path.write_text(json.dumps(said, indent=2) + "\n")
    tokens = torch.randint(0, 30, (2, 100))
    with torch.no_grad():
        logits = model(tokens).logits
    save_file({"tokens": tokens, "logits": logits.contiguous()}, folder / "expected.safetensors")
