"""Layers, a GPT and AdamW by PyTorch, in f64: writes layers.json for the tests of covector-nn."""

import json
import math
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

VOCABULARY, BLOCK, LAYERS, HEADS, WIDTH = 7, 5, 2, 2, 4


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c_attn = nn.Linear(WIDTH, 3 * WIDTH)
        self.c_proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, _ = x.shape
        q, k, v = (
            y.view(batch, time, HEADS, WIDTH // HEADS).transpose(1, 2) for y in self.c_attn(x).split(WIDTH, dim=2)
        )
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(batch, time, WIDTH))


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c_fc = nn.Linear(WIDTH, 4 * WIDTH)
        self.c_proj = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(functional.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(WIDTH), Attention()
        self.ln_2, self.mlp = nn.LayerNorm(WIDTH), Mlp()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Gpt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(BLOCK, WIDTH)
        self.h = nn.ModuleList(Block() for _ in range(LAYERS))
        self.ln_f = nn.LayerNorm(WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        return self.ln_f(x) @ self.wte.weight.T


def array(x: Tensor) -> dict:
    return {"shape": list(x.shape), "values": x.detach().flatten().tolist()}


def named(parameters: dict[str, Tensor]) -> dict:
    return {name: array(p) for name, p in parameters.items()}


def scatter(module: nn.Module) -> None:
    """Every parameter away from its initial value, so that none is a constant."""
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn_like(p) * 0.5 + (1.0 if p.ndim == 1 else 0.0))


def gpt() -> dict:
    model = Gpt()
    scatter(model)
    tokens = torch.tensor([[0, 3, 6, 2], [5, 5, 1, 4]])
    targets = torch.tensor([[3, 6, 2, 1], [5, 1, 4, 0]])
    logits = model(tokens)
    loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()
    parameters = dict(model.named_parameters())
    return {
        "config": {"vocabulary": VOCABULARY, "block": BLOCK, "layers": LAYERS, "heads": HEADS, "width": WIDTH},
        "parameters": named(parameters),
        "tokens": tokens.tolist(),
        "targets": targets.tolist(),
        "logits": array(logits),
        "loss": loss.item(),
        "gradients": named({name: p.grad for name, p in parameters.items()}),
    }


def attention() -> dict:
    layer = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    scatter(layer)
    query, key, value = (torch.randn(2, n, WIDTH) for n in (3, 5, 5))
    allowed = torch.rand(3, 5) < 0.7
    allowed[:, 0] = True
    result, _ = layer(query, key, value, attn_mask=~allowed)
    return {
        "parameters": named(dict(layer.named_parameters())),
        "query": array(query),
        "key": array(key),
        "value": array(value),
        "allowed": allowed.tolist(),
        "result": array(result),
    }


def adamw() -> dict:
    """Two parameters, one of which decays; loss sum(sin(3 p) + p^2), gradient clipped, rate changing."""
    decaying, other = nn.Parameter(torch.randn(2, 3)), nn.Parameter(torch.randn(3))
    start = [array(decaying), array(other)]
    groups = [{"params": [decaying], "weight_decay": 0.1}, {"params": [other], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.99), eps=1e-8)
    rates, norms, values = [], [], []
    for step in range(8):
        rates.append(0.05 * (1 + math.cos(step)))
        for group in optimizer.param_groups:
            group["lr"] = rates[-1]
        optimizer.zero_grad()
        sum((torch.sin(3 * p) + p * p).sum() for p in (decaying, other)).backward()
        norms.append(nn.utils.clip_grad_norm_([decaying, other], 2.5).item())
        optimizer.step()
        values.append([array(decaying), array(other)])
    return {"start": start, "rates": rates, "clip": 2.5, "norms": norms, "values": values}


def main() -> None:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    data = {"source": f"torch {version('torch')}", "gpt": gpt(), "multihead_attention": attention(), "adamw": adamw()}
    Path(__file__).with_name("layers.json").write_text(json.dumps(data) + "\n")


if __name__ == "__main__":
    main()
