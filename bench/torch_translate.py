#!/usr/bin/env python3
"""Training the paper's Transformer on pairs in PyTorch: the recipe of `glassformer train --preset transformer-tiny`.

The same ids (from the run's tokenizer.json), the same batches (pairs of like length, up to --batch-tokens ids of both sides),
tables of tokens shared by encoder, decoder and logits, norms behind the sums, dropout, label smoothing, AdamW. Sentences of a
batch are padded to the longest, as is usual in PyTorch. A run is one optimiser step on the next batch of a shuffled epoch.
"""

import argparse
import itertools
import json
import math
import random
import time

import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional as F

import rounds

MODES = ["f32", "f32-compiled", "bf16", "bf16-compiled"]
LAYERS, HEADS, WIDTH, NEURONS, DROPOUT = 4, 4, 128, 256, 0.3


def sinusoids(length, width):
    angles = torch.arange(length)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x, memory, mask=None, is_causal=False):
        q, k, v = (
            layer(y).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for layer, y in ((self.q, x), (self.k, memory), (self.v, memory))
        )
        z = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=is_causal)
        return self.out(z.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, is_decoder):
        super().__init__()
        self.attention = Attention()
        self.cross = Attention() if is_decoder else None
        self.mlp = nn.Sequential(nn.Linear(WIDTH, NEURONS), nn.ReLU(), nn.Linear(NEURONS, WIDTH))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3 if is_decoder else 2))
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x, mask, memory=None):
        norms = iter(self.norms)
        # A decoder's target is padded behind its end, where the causal mask hides it already.
        own = self.attention(x, x, None if self.cross else mask, is_causal=self.cross is not None)
        x = next(norms)(x + self.dropout(own))
        if self.cross:
            x = next(norms)(x + self.dropout(self.cross(x, memory, mask)))
        return next(norms)(x + self.dropout(self.mlp(x)))


class Transformer(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.embed = nn.Embedding(vocab, WIDTH)
        self.bias = nn.Parameter(torch.zeros(vocab))
        self.register_buffer("positions", sinusoids(256, WIDTH))
        self.encoder = nn.ModuleList(Block(False) for _ in range(LAYERS))
        self.decoder = nn.ModuleList(Block(True) for _ in range(LAYERS))
        self.dropout = nn.Dropout(DROPOUT)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_normal_(parameter)
        nn.init.normal_(self.embed.weight, std=WIDTH**-0.5)

    def embedded(self, ids):
        return self.dropout(self.embed(ids) * math.sqrt(WIDTH) + self.positions[: ids.shape[1]])

    def forward(self, source, source_lengths, inputs, targets):
        mask = torch.arange(source.shape[1])[None, None, None, :] < source_lengths[:, None, None, None]
        memory, x = self.embedded(source), self.embedded(inputs)
        for block in self.encoder:
            memory = block(memory, mask)
        for block in self.decoder:
            x = block(x, mask, memory)
        # The logits of real places alone: padding would cost as much as they.
        x, targets = x[targets >= 0], targets[targets >= 0]
        logits = F.linear(x, self.embed.weight, self.bias)
        return F.cross_entropy(logits, targets, label_smoothing=0.1)


def batches_of(tokenizer, source, target, most):
    """Pairs of ids by length, as many as fit."""
    end = next(tokenizer.token_to_id(t) for t in ("</s>", "<|endoftext|>", "<eos>") if tokenizer.token_to_id(t) is not None)
    sides = []
    for path in (source, target):
        with open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
        sides.append([e.ids if e.ids and e.ids[-1] == end else e.ids + [end] for e in tokenizer.encode_batch(lines)])
    pairs = sorted(zip(*sides), key=lambda pair: len(pair[0]) + len(pair[1]))
    batches, tokens = [[]], 0
    for pair in pairs:
        tokens += len(pair[0]) + len(pair[1])
        if tokens > most and batches[-1]:
            batches.append([])
            tokens = len(pair[0]) + len(pair[1])
        batches[-1].append(pair)
    return [padded(batch, end) for batch in batches]


def padded(batch, end):
    def rows(sides, filler):
        longest = max(map(len, sides))
        return torch.tensor([side + [filler] * (longest - len(side)) for side in sides])

    sources, targets = zip(*batch)
    lengths = torch.tensor([len(source) for source in sources])
    inputs = [[end, *target[:-1]] for target in targets]
    return rows(sources, 0), lengths, rows(inputs, 0), rows(targets, -100)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", required=True, help="tokenizer.json of a run of ours on the same pairs")
    parser.add_argument("--source", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--batch-tokens", type=int, default=8192)
    parser.add_argument("--learn", type=int, metavar="STEPS", help="train by the recipe, telling losses, instead of timing")
    rounds.add_flags(parser, MODES)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1337)
    random.seed(1337)
    tokenizer = Tokenizer.from_file(args.tokenizer)
    batches = batches_of(tokenizer, args.source, args.target, args.batch_tokens)
    model = Transformer(tokenizer.get_vocab_size())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9, weight_decay=0.0, fused=True)
    loss_of = torch.compile(model, dynamic=True) if args.mode.endswith("compiled") else model

    def step(*batch):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.mode.startswith("bf16")):
            loss = loss_of(*batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss

    shuffled = itertools.chain.from_iterable(random.sample(batches, len(batches)) for _ in itertools.count())
    if args.learn:
        learn(args.learn, step, shuffled, optimizer)
    else:
        rounds.serve(args, torch.__version__, lambda: next(shuffled), step)


def learn(steps, step, batches, optimizer):
    begin, recent = time.perf_counter(), []
    for number, batch in zip(range(1, steps + 1), batches):
        for group in optimizer.param_groups:
            group["lr"] = 5e-3 * min(number / 2000, (2000 / number) ** 0.5)
        recent.append(step(*batch).item())
        if number % 20 == 0:
            loss = sum(recent) / len(recent)
            print(json.dumps({"step": number, "loss": loss, "s": time.perf_counter() - begin}), flush=True)
            recent = []


if __name__ == "__main__":
    main()
