"""What Hugging Face's `generate` makes of prompts, with small random models that have tokenizers of their own.

    python goldens/generate.py

needs `torch`, `transformers` and `tokenizers`. Writes models/gpt2_text (bytes as tokens, one file) and models/llama_text (pieces
with bytes to fall back on, grouped queries, several files and an index) beside itself, and generate.json with tokens and texts.
"""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers.generation.logits_process import (RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper,
                                                    TopPLogitsWarper)

here = Path(__file__).parent
TEXT = "the cat sat on the mat, and the dog ran to the hill. " * 4
PROMPTS = ["the cat", "Grüße, 日本!", "a 🦀 ran"]


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=270, special_tokens=["<|endoftext|>"], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([TEXT], trainer)
    return tokenizer


def pieces():
    alphabet = sorted(set(TEXT.replace(" ", "▁")))
    merges = [("t", "h"), ("th", "e"), ("▁", "the"), ("a", "t"), ("▁", "c"), ("▁c", "at")]
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + alphabet + [a + b for a, b in merges]
    vocabulary = {name: i for i, name in enumerate(dict.fromkeys(names))}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def shake(model):
    """Weights large enough for likeliest tokens that stand out."""
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return model.eval()


def continued(model, tokenizer, more):
    found = []
    for prompt in PROMPTS:
        ids = tokenizer.encode(prompt).ids
        room = model.config.max_position_embeddings - len(ids)
        for penalty in [1.0, 1.4]:
            out = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=min(24, room), repetition_penalty=penalty,
                                 pad_token_id=0, **more)
            new = out[0, len(ids):].tolist()
            found.append({"prompt": prompt, "ids": ids, "penalty": penalty, "new": new})
    return found


torch.manual_seed(3)
golden = {}
tokenizer = byte_level()
gpt = shake(GPT2LMHeadModel(GPT2Config(vocab_size=tokenizer.get_vocab_size(), n_positions=48, n_embd=12, n_layer=2, n_head=3,
                                       bos_token_id=0, eos_token_id=0)))
gpt.save_pretrained(here / "models/gpt2_text")
tokenizer.save(str(here / "models/gpt2_text/tokenizer.json"))
golden["gpt2_text"] = continued(gpt, tokenizer, {"eos_token_id": None})

tokenizer = pieces()
llama = shake(LlamaForCausalLM(LlamaConfig(vocab_size=tokenizer.get_vocab_size(), hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                                           num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
                                           bos_token_id=1, eos_token_id=2)))
llama.save_pretrained(here / "models/llama_text", max_shard_size="24KB")
tokenizer.save(str(here / "models/llama_text/tokenizer.json"))
golden["llama_text"] = continued(llama, tokenizer, {"eos_token_id": None})

logits = torch.randn(1, 40) * 2
seen = torch.tensor([[3, 7, 7, 21]])
kept = []
for temperature, k, p, penalty in [(1.0, None, 0.5, 1.0), (0.7, None, 0.9, 1.0), (1.3, 10, 0.8, 1.0), (1.0, 5, None, 1.0), (0.8, None, 0.95, 1.5)]:
    x = RepetitionPenaltyLogitsProcessor(penalty)(seen, logits.clone())
    x = TemperatureLogitsWarper(temperature)(None, x)
    x = TopKLogitsWarper(k)(None, x) if k else x
    x = TopPLogitsWarper(p)(None, x) if p else x
    probabilities = [round(v, 6) for v in x.softmax(-1)[0].tolist()]
    kept.append({"temperature": temperature, "top_k": k, "top_p": p, "penalty": penalty, "probabilities": probabilities})
golden["sampling"] = {"logits": logits[0].tolist(), "seen": seen[0].tolist(), "cases": kept}
(here / "generate.json").write_text(json.dumps(golden, ensure_ascii=False, indent=1))
