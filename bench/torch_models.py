"""The networks of the comparison in PyTorch, and how they are filled and trained."""

import torch
import torch.nn.functional as F
from torch import nn

import protocol


def t(array):
    return torch.from_numpy(array)


def linear(width_in, width_out):
    return nn.Linear(width_in, width_out, bias=False)


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, None, 1e-5)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.c_attn, self.c_proj, self.heads = linear(width, 3 * width), linear(width, width), heads

    def forward(self, x):
        b, n, width = x.shape
        parts = self.c_attn(x).split(width, dim=2)
        q, k, v = (p.view(b, n, self.heads, width // self.heads).transpose(1, 2) for p in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(b, n, width))


class Feed(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.c_fc, self.c_proj = linear(width, 4 * width), linear(4 * width, width)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.attn, self.ln_2, self.mlp = Norm(width), Attention(width, heads), Norm(width), Feed(width)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Gpt(nn.Module):
    def __init__(self, layers, heads, width, block, vocabulary=65):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(block, width)
        self.h = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_f = Norm(width)

    def forward(self, tokens, targets):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.view(-1))

    def decode(self, token, position, caches):
        """The logits after one token, whose keys and values are written into the caches."""
        x = self.wte(token) + self.wpe.weight[position]
        for block, (keys, values) in zip(self.h, caches):
            heads, _, size = keys.shape
            q, k, v = block.attn.c_attn(block.ln_1(x)).view(3, heads, 1, size)
            keys[:, position : position + 1], values[:, position : position + 1] = k, v
            seen = keys[None, :, : position + 1], values[None, :, : position + 1]
            y = F.scaled_dot_product_attention(q[None], *seen)
            x = x + block.attn.c_proj(y.view(1, heads * size))
            x = x + block.mlp(block.ln_2(x))
        return F.linear(self.ln_f(x), self.wte.weight)


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [(3, 16, 1), (16, 32, 2), (32, 64, 2)]
        self.conv = nn.ModuleList(nn.Conv2d(i, o, 3, stride=s, padding=1) for i, o, s in sizes)
        self.head = nn.Linear(64, 10)

    def forward(self, x, y):
        for conv in self.conv:
            x = F.relu(conv(x))
        return F.cross_entropy(self.head(x.mean((2, 3))), y)


class Mlp(nn.ModuleList):
    def __init__(self):
        super().__init__([nn.Linear(784, 512), nn.Linear(512, 512), nn.Linear(512, 10)])

    def forward(self, x, y):
        x = F.relu(self[1](F.relu(self[0](x))))
        return F.cross_entropy(self[2](x), y)


class Lookup(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(50257, 768)

    def forward(self, tokens, cotangent):
        return (self.wte(tokens) * cotangent).sum()


def filled(model):
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(t(protocol.parameter(name, tuple(p.shape))))
    return model


def adam(model, **rest):
    decays = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": decays}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=3e-4, fused=True, **rest)
