#!/usr/bin/env python3
"""Causal attention of GPT-2's size in PyTorch, forward and backward: 12 heads, 1,024 positions, 64 wide."""

import argparse

import torch
from torch.nn import functional as F

import rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    rounds.add_flags(parser, ["f32", "bf16"])
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1337)
    dtype = torch.bfloat16 if args.mode == "bf16" else torch.float32
    inputs = [torch.randn(1, 12, 1024, 64, dtype=dtype, requires_grad=True) for _ in range(3)]
    d_output = torch.randn(1, 12, 1024, 64, dtype=dtype)

    def both_ways():
        output = F.scaled_dot_product_attention(*inputs, is_causal=True)
        torch.autograd.grad(output, inputs, d_output)

    rounds.serve(args, torch.__version__, lambda: (), both_ways)


if __name__ == "__main__":
    main()
