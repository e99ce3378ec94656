"""Small models with random weights by their reference implementations: folders, and what comes out of them.

    python goldens/models.py

needs `torch`, `transformers` and `safetensors`. Writes models/NAME/{config.json, model.safetensors, expected.safetensors}
beside itself; `expected` holds the inputs and the outputs, for GPT-2 and ResNet also gradients and the loss after ten
steps of AdamW.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (BertConfig, BertModel, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, ResNetConfig,
                          ResNetForImageClassification, ViTConfig, ViTForImageClassification)

here = Path(__file__).parent / "models"


def save(name, model, expected):
    folder = here / name
    model.save_pretrained(folder, safe_serialization=True)
    (folder / "generation_config.json").unlink(missing_ok=True)
    save_file({k: v.detach().contiguous().clone() for k, v in expected.items()}, folder / "expected.safetensors")


def shake(model):
    """Norms and biases that are not all one and zero."""
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return model


def trained(model, loss):
    """Gradients of the loss, and the loss after ten steps of AdamW."""
    loss(model).backward()
    found = {"grad." + name: p.grad.clone() for name, p in model.named_parameters()}
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    for _ in range(10):
        adam.zero_grad()
        loss(model).backward()
        adam.step()
    found["loss_after_ten"] = loss(model)
    return found


torch.manual_seed(0)
bert = shake(BertModel(BertConfig(vocab_size=50, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
                                  max_position_embeddings=16))).eval()
tokens = torch.randint(0, 50, (3, 11))
present = torch.ones(3, 11, dtype=torch.long)
present[1, 7:] = 0
out = bert(tokens, attention_mask=present)
save("bert", bert, {"tokens": tokens, "present": present, "hidden": out.last_hidden_state, "pooled": out.pooler_output})

gpt = shake(GPT2LMHeadModel(GPT2Config(vocab_size=50, n_positions=16, n_embd=24, n_layer=2, n_head=3, resid_pdrop=0.0, embd_pdrop=0.0,
                                       attn_pdrop=0.0))).eval()
tokens = torch.randint(0, 50, (3, 12))
targets = torch.randint(0, 50, (3, 12))
logits = gpt(tokens).logits


def gpt_loss(model):
    return torch.nn.functional.cross_entropy(model(tokens).logits.reshape(-1, 50), targets.reshape(-1))


expected = {"tokens": tokens, "targets": targets, "logits": logits, "loss": gpt_loss(gpt)}
folder_model = GPT2LMHeadModel(gpt.config)
folder_model.load_state_dict(gpt.state_dict())
expected |= trained(gpt, gpt_loss)
save("gpt2", folder_model, expected)

llama = shake(LlamaForCausalLM(LlamaConfig(vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                                           num_key_value_heads=2, max_position_embeddings=32, rope_theta=10000.0))).eval()
tokens = torch.randint(0, 50, (2, 13))
save("llama", llama, {"tokens": tokens, "logits": llama(tokens).logits})

vit = shake(ViTForImageClassification(ViTConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, image_size=16,
                                                patch_size=4, num_channels=3, num_labels=7))).eval()
image = torch.randn(2, 3, 16, 16)
save("vit", vit, {"image": image, "logits": vit(image).logits})

resnet = shake(ResNetForImageClassification(ResNetConfig(num_channels=3, embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[2, 2, 2, 2],
                                                         layer_type="basic", num_labels=5))).eval()
with torch.no_grad():
    for name, buffer in resnet.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(0.1 * torch.randn_like(buffer))
        elif name.endswith("running_var"):
            buffer.copy_(1.0 + 0.2 * torch.rand_like(buffer))
image = torch.randn(4, 3, 40, 40)
labels = torch.tensor([0, 3, 1, 4])


def resnet_loss(model):
    return torch.nn.functional.cross_entropy(model(image).logits, labels)


expected = {"image": image, "labels": labels, "logits": resnet(image).logits, "loss": resnet_loss(resnet)}
folder_model = ResNetForImageClassification(resnet.config)
folder_model.load_state_dict(resnet.state_dict())
expected |= trained(resnet, resnet_loss)
save("resnet18", folder_model, expected)
