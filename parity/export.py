#!/usr/bin/env python3
"""Makes the golden files that Glassformer's parity tests compare with: those of GPT-2.

A tiny model with seeded random weights is built with `transformers`. Its Sites are computed a second time, from the
checkpoint's tensors alone, with the equations written out; that second computation is checked against transformers
before anything is written. README.md in this folder says what each file holds. `decoders.py` does the same for other
families, with the functions here that know no family.

    python parity/export.py            write parity/golden/
    python parity/export.py --check    make everything again elsewhere and compare with parity/golden/

Dimension key: B batch, T query position, S key position, D d_model, H heads, E d_head, F d_ff, V vocab.
"""

import argparse
import copy
import json
import math
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel
from transformers.utils import logging

GOLDEN = Path(__file__).resolve().parent / "golden"
TOLERANCE = 1e-5
STEPS = 10
LEARNING_RATE = 1e-3
GENERATED = 12


@dataclass(frozen=True)
class Family:
    """One folder of golden files: the model's config and the lengths of the sequences it is run on."""

    name: str
    seed: int
    batch: int
    sites_len: int
    train_len: int
    prompt_len: int
    config: dict


# Sizes are odd or prime and differ from each other, so that a swapped axis cannot pass.
FAMILIES = [
    Family(
        name="gpt2-tiny",
        seed=40,
        batch=5,
        sites_len=17,
        train_len=13,
        prompt_len=7,
        config=dict(n_layer=3, n_head=3, n_embd=33, n_positions=29, vocab_size=101, activation_function="gelu_new"),
    ),
    Family(
        name="gpt2-relu-odd",
        seed=23,
        batch=3,
        sites_len=11,
        train_len=19,  # the whole context
        prompt_len=7,
        config=dict(
            n_layer=2, n_head=2, n_embd=26, n_inner=37, n_positions=19, vocab_size=53, activation_function="relu"
        ),
    ),
]


def make_model(family: Family) -> GPT2LMHeadModel:
    """The family's model, every parameter drawn anew: nothing stays at a value (0, 1) that could hide an error."""
    end = family.config["vocab_size"] - 1
    config = GPT2Config(
        **family.config, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=end, eos_token_id=end
    )
    # "eager" is the attention that can also return its pattern.
    model = GPT2LMHeadModel._from_config(config, attn_implementation="eager").eval()
    draws = torch.Generator().manual_seed(family.seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=draws)
            if "ln_" in name:
                parameter.copy_(noise * 0.2 + (1.0 if name.endswith("weight") else 0.0))
            elif parameter.dim() == 1:
                parameter.copy_(noise * 0.2)
            elif name.endswith(("wte.weight", "wpe.weight")):  # places weigh more, else greedy text is a loop
                parameter.copy_(noise * (0.8 if "wpe" in name else 0.4))
            else:  # a projection, stored [in, out]: keep its outputs about as large as its inputs
                parameter.copy_(noise * 1.2 / math.sqrt(parameter.shape[0]))
    return model


# --- The Sites, from the checkpoint's tensors and the equations alone -------------------------------------------------


def layer_norm(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float) -> torch.Tensor:
    centred = x - x.mean(-1, keepdim=True)
    variance = (centred * centred).mean(-1, keepdim=True)
    return centred / torch.sqrt(variance + eps) * weight + bias


def activation(x: torch.Tensor, name: str) -> torch.Tensor:
    if name == "relu":
        return torch.maximum(x, torch.zeros_like(x))
    assert name == "gelu_new", name  # the tanh form
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))


def softmax(x: torch.Tensor) -> torch.Tensor:
    powers = torch.exp(x - x.max(-1, keepdim=True).values)
    return powers / powers.sum(-1, keepdim=True)


def block_sites(w: dict, config: GPT2Config, x_td: torch.Tensor) -> dict:
    """The Sites of one block; `w` holds its parameters, `x_td` is the residual that enters it."""
    t, d = x_td.shape
    h, eps = config.n_head, config.layer_norm_epsilon
    e = d // h
    s = {"resid_pre": x_td}
    s["ln1"] = layer_norm(x_td, w["ln_1.weight"], w["ln_1.bias"], eps)
    qkv = s["ln1"] @ w["attn.c_attn.weight"] + w["attn.c_attn.bias"]  # [T, 3D]
    s["q"], s["k"], s["v"] = (part.reshape(t, h, e) for part in qkv.split(d, dim=-1))
    scores_hts = torch.einsum("the,she->hts", s["q"], s["k"]) / math.sqrt(e)
    later = torch.ones(t, t, dtype=torch.bool).triu(1)
    s["scores"] = scores_hts.masked_fill(later, -math.inf)
    s["pattern"] = softmax(s["scores"])
    s["z"] = torch.einsum("hts,she->the", s["pattern"], s["v"])
    s["attn_out"] = s["z"].reshape(t, d) @ w["attn.c_proj.weight"] + w["attn.c_proj.bias"]
    s["resid_mid"] = x_td + s["attn_out"]
    s["ln2"] = layer_norm(s["resid_mid"], w["ln_2.weight"], w["ln_2.bias"], eps)
    s["mlp_pre"] = s["ln2"] @ w["mlp.c_fc.weight"] + w["mlp.c_fc.bias"]
    s["mlp_post"] = activation(s["mlp_pre"], config.activation_function)
    s["mlp_out"] = s["mlp_post"] @ w["mlp.c_proj.weight"] + w["mlp.c_proj.bias"]
    s["resid_post"] = s["resid_mid"] + s["mlp_out"]
    return s


def all_sites(weights: dict, config: GPT2Config, ids: torch.Tensor) -> dict:
    """Every Site by name, for the sequence `ids` [T]."""
    wte = weights["transformer.wte.weight"]
    sites = {
        "tokens": ids.to(torch.int32),
        "embed": wte[ids],
        "pos_embed": weights["transformer.wpe.weight"][: len(ids)],
    }
    x_td = sites["embed"] + sites["pos_embed"]
    for layer in range(config.n_layer):
        prefix = f"transformer.h.{layer}."
        w = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        for name, value in block_sites(w, config, x_td).items():
            sites[f"blocks.{layer}.{name}"] = value
        x_td = sites[f"blocks.{layer}.resid_post"]
    ln_f = (weights["transformer.ln_f.weight"], weights["transformer.ln_f.bias"])
    sites["ln_final"] = layer_norm(x_td, *ln_f, config.layer_norm_epsilon)
    sites["logits"] = sites["ln_final"] @ wte.T  # W_U is tied to W_E
    sites["probs"] = softmax(sites["logits"])
    return sites


def assert_near(ours: torch.Tensor, theirs: torch.Tensor, what: str) -> None:
    torch.testing.assert_close(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE, msg=lambda text: f"{what}: {text}")


@torch.no_grad()
def check_sites(sites: dict, model: PreTrainedModel, ids: torch.Tensor) -> None:
    """The second computation must agree with transformers in everything that transformers can return."""
    theirs = model(ids[None], output_hidden_states=True, output_attentions=True)
    layers = model.config.num_hidden_layers
    residuals = [f"blocks.{layer}.resid_pre" for layer in range(layers)] + ["ln_final"]
    for site, hidden in zip(residuals, theirs.hidden_states, strict=True):
        assert_near(sites[site], hidden[0], site)
    for layer, pattern in enumerate(theirs.attentions):
        assert_near(sites[f"blocks.{layer}.pattern"], pattern[0], f"blocks.{layer}.pattern")
    assert_near(sites["logits"], theirs.logits[0], "logits")


# --- Training and generation, by PyTorch and transformers -------------------------------------------------------------


def train(model: PreTrainedModel, x: torch.Tensor, y: torch.Tensor) -> dict:
    """Ten steps of AdamW on the batches `x`, `y` [steps, B, T]: losses, norms, the first gradients, the last weights."""
    out = {"x": x.to(torch.int32), "y": y.to(torch.int32)}
    parameters = dict(model.named_parameters())  # the tied wte once
    groups = [
        {"params": [p for p in parameters.values() if p.dim() >= 2], "weight_decay": 0.1},
        {"params": [p for p in parameters.values() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.95), eps=1e-8)
    losses, norms = [], []
    for step in range(len(x)):
        logits_btv = model(x[step]).logits
        loss = torch.nn.functional.cross_entropy(logits_btv.flatten(0, 1), y[step].flatten())
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            out["logits"], out["loss"] = logits_btv, loss
            out |= {f"grad.{name}": p.grad.clone() for name, p in parameters.items()}
        norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0))
        losses.append(loss)
        optimizer.step()
    out["losses"], out["grad_norms"] = torch.stack(losses), torch.stack(norms)
    out |= {f"final.{name}": p for name, p in parameters.items()}
    return {name: tensor.detach().clone().contiguous() for name, tensor in out.items()}


def key_bias(tensor: torch.Tensor) -> slice:
    """The part of a c_attn bias that belongs to the keys: its true gradient is zero (see README.md)."""
    d = len(tensor) // 3
    return slice(d, 2 * d)


def trained(model: PreTrainedModel, x: torch.Tensor, y: torch.Tensor) -> dict:
    """`train` in f32, checked against f64: a seed where rounding decides what is learned would make a useless test."""
    exact = train(copy.deepcopy(model).double(), x, y)
    out = train(model, x, y)
    for name, tensor in out.items():
        ours, theirs = tensor.double(), exact[name].double()
        if name.startswith("final.") and name.endswith("attn.c_attn.bias"):
            ours[key_bias(ours)], theirs[key_bias(theirs)] = 0.0, 0.0
        assert_near(ours, theirs, f"{name} in f32 and in f64 (choose another seed)")
    return out


@torch.no_grad()
def greedy(model: PreTrainedModel, prompt: torch.Tensor) -> list[int]:
    """The twelve ids that follow `prompt` when the likeliest is always taken."""
    out = model.generate(
        prompt[None],
        attention_mask=torch.ones_like(prompt[None]),
        max_new_tokens=GENERATED,
        do_sample=False,
        pad_token_id=model.config.eos_token_id,
        output_logits=True,
        return_dict_in_generate=True,
    )
    ids = out.sequences[0, len(prompt) :].tolist()
    assert len(ids) == GENERATED, "the model met its end-of-text token: choose another seed"
    best_two = torch.stack(out.logits)[:, 0].topk(2).values
    assert (best_two[:, 0] - best_two[:, 1]).min() > 0.01, "a near tie among the best two: choose another seed"
    assert len(set(ids)) >= GENERATED // 2, "a loop of a few ids shows little: choose another seed"
    return ids


# --- Files ------------------------------------------------------------------------------------------------------------


def export(family: Family, make_model: Callable, all_sites: Callable, folder: Path) -> tuple:
    """Writes the family's golden files into `folder`; the model before training, its Sites and their ids."""
    model = make_model(family)
    vocab = model.config.vocab_size
    draws = torch.Generator().manual_seed(1000 + family.seed)
    ids = torch.randint(vocab, (family.sites_len,), generator=draws)
    prompt = torch.randint(vocab, (family.prompt_len,), generator=draws)
    text = torch.randint(vocab, (STEPS, family.batch, family.train_len + 1), generator=draws)

    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)

    weights = load_file(folder / "model.safetensors")
    sites = all_sites(weights, model.config, ids)
    check_sites(sites, model, ids)
    exact = all_sites({name: weight.double() for name, weight in weights.items()}, model.config, ids)
    for name, site in sites.items():
        assert_near(site.double(), exact[name].double(), f"{name} in f32 and in f64")
    save_file({name: site.contiguous().clone() for name, site in sites.items()}, folder / "sites.safetensors")

    answer = {"prompt": prompt.tolist(), "generated": greedy(model, prompt)}
    (folder / "greedy.json").write_text(json.dumps(answer) + "\n")

    save_file(trained(copy.deepcopy(model), text[:, :, :-1], text[:, :, 1:]), folder / "train.safetensors")
    return model, sites, ids


def contents(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors or GGUF file; those of blocks as what they mean."""
    if path.suffix == ".safetensors":
        return load_file(path)
    tensors = GGUFReader(path).tensors
    return {t.name: torch.from_numpy(dequantize(t.data, t.tensor_type).copy()) for t in tensors}


def facts(path: Path) -> dict:
    """What a config.json or the metadata of a GGUF file says; not which version of transformers wrote it."""
    if path.suffix == ".json":
        found = json.loads(path.read_text())
    elif path.suffix == ".gguf":
        found = {key: field.contents() for key, field in GGUFReader(path).fields.items()}
    else:
        found = {}
    found.pop("transformers_version", None)
    return found


def differences(made: Path, committed: Path) -> list[str]:
    """What differs between two golden files, one line each."""
    if not committed.exists():
        return ["missing"]
    ours, theirs = facts(made), facts(committed)
    found = [f"{key}: differs" for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key)]
    if made.suffix == ".json":
        return found
    ours, theirs = contents(made), contents(committed)
    found += [f"{name}: in one of the two only" for name in sorted(ours.keys() ^ theirs.keys())]
    for name in sorted(ours.keys() & theirs.keys()):
        a, b = ours[name], theirs[name]
        if a.shape != b.shape or a.dtype != b.dtype:
            found.append(f"{name}: {list(a.shape)} {a.dtype} made, {list(b.shape)} {b.dtype} committed")
            continue
        if name.startswith("final.") and name.endswith("attn.c_attn.bias"):
            a[key_bias(a)], b[key_bias(b)] = 0.0, 0.0
        if not torch.allclose(a.double(), b.double(), rtol=TOLERANCE, atol=TOLERANCE):
            worst = (a.double() - b.double()).abs().nan_to_num(0.0).max().item()
            found.append(f"{name}: differs by up to {worst:.2e}")
    return found


def check(script: str, folders: dict[str, Callable[[Path], None]]) -> int:
    """Makes all golden files again and compares them with the committed ones; the exit status."""
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, write in folders.items():
            folder = Path(scratch) / name
            folder.mkdir()
            write(folder)
            for made in sorted(folder.iterdir()):
                for line in differences(made, GOLDEN / name / made.name):
                    print(f"parity/golden/{name}/{made.name}: {line}", file=sys.stderr)
                    failed += 1
    if failed:
        print(f"{failed} differences: run parity/{script} and look at what changed", file=sys.stderr)
    else:
        print(f"the golden files in {len(folders)} folders are as {script} makes them")
    return 1 if failed else 0


def main(script: str, folders: dict[str, Callable[[Path], None]]) -> int:
    """Writes, or checks, the folders of parity/golden that `script` makes, each with its function."""
    arguments = argparse.ArgumentParser(description="Makes Glassformer's golden files.")
    arguments.add_argument("--check", action="store_true", help="compare with the committed files, write nothing")
    logging.disable_progress_bar()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    if arguments.parse_args().check:
        return check(script, folders)
    for name, write in folders.items():
        (GOLDEN / name).mkdir(parents=True, exist_ok=True)
        write(GOLDEN / name)
        print(f"wrote {GOLDEN / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main("export.py", {family.name: partial(export, family, make_model, all_sites) for family in FAMILIES}))
