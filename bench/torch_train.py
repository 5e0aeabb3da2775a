#!/usr/bin/env python3
"""One optimiser step of a GPT-2-shaped model in PyTorch: forward, backward, clipping to 1, fused AdamW.

The same work as `glassformer bench train`: random tokens, no dropout, tied unembedding, weight decay on matrices.
"""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

import rounds

# Layers, heads, width, context, batch, vocabulary: as the presets of `glassformer bench`.
PRESETS = {
    "nano": (4, 4, 128, 64, 12, 65),
    "baby": (6, 6, 384, 256, 12, 65),
    "gpt2": (12, 12, 768, 1024, 1, 50304),
}
MODES = ["f32", "f32-compiled", "bf16", "bf16-compiled"]


class Block(nn.Module):
    def __init__(self, heads, width):
        super().__init__()
        self.heads = heads
        self.norm_1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.norm_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )

    def attention(self, x):
        split = self.qkv(x).unflatten(-1, (3, self.heads, -1))
        q, k, v = (part.transpose(1, 2) for part in split.unbind(2))
        z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.attention_out(z.transpose(1, 2).flatten(2))

    def forward(self, x):
        x = x + self.attention(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))


class Gpt2(nn.Module):
    def __init__(self, layers, heads, width, context, vocab):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.positions = nn.Parameter(torch.zeros(context, width))
        self.blocks = nn.Sequential(*(Block(heads, width) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, x, y):
        hidden = self.norm(self.blocks(self.embed(x) + self.positions))
        logits = F.linear(hidden, self.embed.weight)
        return F.cross_entropy(logits.flatten(0, 1), y.flatten())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default="nano")
    rounds.add_flags(parser, MODES)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1337)
    layers, heads, width, context, batch, vocab = PRESETS[args.preset]
    model = Gpt2(layers, heads, width, context, vocab)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)
    loss_of = torch.compile(model) if args.mode.endswith("compiled") else model

    def step(x, y):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.mode.startswith("bf16")):
            loss = loss_of(x, y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    rounds.serve(args, torch.__version__, lambda: torch.randint(vocab, (2, batch, context)), step)


if __name__ == "__main__":
    main()
