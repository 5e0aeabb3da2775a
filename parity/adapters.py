#!/usr/bin/env python3
"""Makes the golden files of adapters (LoRA) with PEFT, on the tiny models that export.py, decoders.py and encoders.py made.

    python parity/adapters.py            write parity/golden/*-lora
    python parity/adapters.py --check    make everything again elsewhere and compare

A folder holds the adapter as PEFT saves it, and `expected.safetensors`: ids `x` and `y` [B, T], the `logits` of base and
adapter, for decoders also the mean `loss` and `grad.<tensor>` of each tensor of the adapter, without dropout.
"""

import json
import sys
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from export import GOLDEN, main
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

# What of a linear layer may be adapted differs: some of a fused row q·k·v, both kinds of storage, other ranks for some.
ADAPTERS = {
    "llama-lora": ("llama-tiny", dict(r=3, lora_alpha=5, target_modules=["q_proj", "v_proj", "up_proj", "o_proj"])),
    "qwen3-lora": ("qwen3-tiny", dict(r=2, lora_alpha=3, target_modules="all-linear", use_rslora=True)),
    "gpt2-lora": (
        "gpt2-tiny",
        dict(
            r=4,
            lora_alpha=4,
            target_modules=["c_attn", "c_proj", "c_fc"],
            rank_pattern={"mlp.c_proj": 2},
            alpha_pattern={"c_fc": 7},
            fan_in_fan_out=True,
        ),
    ),
    "bert-lora": ("bert-tiny", dict(r=3, lora_alpha=6, target_modules=["query", "value", "dense"])),
}
BATCH, LENGTH = 3, 11


def export(base: str, config: dict, folder: Path) -> None:
    torch.manual_seed(17)
    is_encoder = base.startswith("bert")
    kind = AutoModelForMaskedLM if is_encoder else AutoModelForCausalLM
    model = kind.from_pretrained(GOLDEN / base, attn_implementation="eager", dtype=torch.float32)
    model.eval()
    model = get_peft_model(model, LoraConfig(lora_dropout=0.0, **config))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # which begins at 0
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    for other in ["README.md"]:
        (folder / other).unlink(missing_ok=True)
    clean(folder / "adapter_config.json", base)
    vocab = model.config.vocab_size
    ids = torch.randint(1, vocab, (BATCH, LENGTH + 1))
    x, y = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    logits = model(input_ids=x).logits
    tensors = {"x": x.int(), "y": y.int(), "logits": logits.detach().clone()}
    if not is_encoder:
        loss = F.cross_entropy(logits.reshape(-1, vocab), y.reshape(-1))
        loss.backward()
        tensors["loss"] = loss.detach().clone()
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        values = {name: p for name, p in model.named_parameters()}
        for saved, value in get_peft_model_state_dict(model).items():
            name = next(name for name in gradients if values[name].data_ptr() == value.data_ptr())
            tensors[f"grad.{saved}"] = gradients[name].clone()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "expected.safetensors")


def clean(path: Path, base: str) -> None:
    """Leaves nothing of this machine in the config, and lists in a set order."""
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = f"../{base}"
    if isinstance(config["target_modules"], list):
        config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    folders = {name: partial(export, base, config) for name, (base, config) in ADAPTERS.items()}
    sys.exit(main("adapters.py", folders))
