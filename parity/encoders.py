#!/usr/bin/env python3
"""Makes the golden files of encoders: tiny BERT and RoBERTa models with seeded random weights.

As in export.py, Sites are computed a second time from the checkpoint's tensors alone and checked against transformers.
README.md in this folder says what each file holds.

    python parity/encoders.py            write parity/golden/{bert-tiny,roberta-odd}/
    python parity/encoders.py --check    make everything again elsewhere and compare

Dimension key: B batch, T query position, S key position, D d_model, H heads, E d_head, F d_ff, V vocab.
"""

import copy
import json
import math
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from export import assert_near, layer_norm, main, softmax
from gguf import MODEL_ARCH, GGUFWriter, get_tensor_name_map
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM, BertConfig, PreTrainedConfig, PreTrainedModel, RobertaConfig

UNASKED = -100  # the label of a position that the loss leaves out


@dataclass(frozen=True)
class Family:
    """One folder of golden files: the model's config and the lengths of the sequences it is run on."""

    name: str
    seed: int
    config: PreTrainedConfig
    sites_len: int
    lengths: tuple[int, ...]
    prefix: str  # of all names but the head's
    head: tuple[str, str, str]  # the layer before the head's norm, the norm, the bias
    first: int  # row of the position table that belongs to position 0


# Sizes are odd or prime and differ from each other, so that a swapped axis cannot pass.
FAMILIES = [
    Family(
        name="bert-tiny",
        seed=61,
        config=BertConfig(
            num_hidden_layers=3,
            num_attention_heads=3,
            hidden_size=33,
            intermediate_size=53,
            vocab_size=101,
            max_position_embeddings=29,
            type_vocab_size=2,
            hidden_act="gelu",
            layer_norm_eps=1e-12,
            pad_token_id=0,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        ),
        sites_len=17,
        lengths=(7, 29, 1, 13),
        prefix="bert.",
        head=("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias"),
        first=0,
    ),
    Family(
        name="roberta-odd",
        seed=72,
        config=RobertaConfig(
            num_hidden_layers=2,
            num_attention_heads=2,
            hidden_size=26,
            intermediate_size=37,
            vocab_size=61,
            max_position_embeddings=25,
            type_vocab_size=1,
            hidden_act="relu",  # its head has GELU all the same
            layer_norm_eps=1e-5,
            pad_token_id=3,
            bos_token_id=0,
            eos_token_id=2,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        ),
        sites_len=11,
        lengths=(21, 5, 8),
        prefix="roberta.",
        head=("lm_head.dense", "lm_head.layer_norm", "lm_head.bias"),
        first=4,
    ),
]


def make_model(family: Family) -> PreTrainedModel:
    """The family's model, every parameter drawn anew: nothing stays at a value (0, 1) that could hide an error."""
    # "eager" is the attention that can also return its pattern.
    model = AutoModelForMaskedLM.from_config(family.config, attn_implementation="eager").eval()
    draws = torch.Generator().manual_seed(family.seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=draws)
            if "norm" in name.lower():
                parameter.copy_(noise * 0.2 + (1.0 if name.endswith("weight") else 0.0))
            elif parameter.dim() == 1:
                parameter.copy_(noise * 0.2)
            elif "embeddings" in name:
                parameter.copy_(noise * 0.4)
            else:  # a projection, stored [out, in]: keep its outputs about as large as its inputs
                parameter.copy_(noise * 1.2 / math.sqrt(parameter.shape[1]))
    return model


def draw_ids(family: Family, count: int, draws: torch.Generator) -> torch.Tensor:
    """Random ids, none of them the one that fills up batches."""
    pad = family.config.pad_token_id
    ids = torch.randint(family.config.vocab_size - 1, (count,), generator=draws)
    return ids + (ids >= pad)


# --- The Sites, from the checkpoint's tensors and the equations alone -------------------------------------------------


def activation(x: torch.Tensor, name: str) -> torch.Tensor:
    if name == "relu":
        return torch.maximum(x, torch.zeros_like(x))
    assert name == "gelu", name
    return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))


def linear(weights: dict, name: str, x: torch.Tensor) -> torch.Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def norm(weights: dict, name: str, x: torch.Tensor, config: PreTrainedConfig) -> torch.Tensor:
    return layer_norm(x, weights[f"{name}.weight"], weights[f"{name}.bias"], config.layer_norm_eps)


def block_sites(w: dict, config: PreTrainedConfig, x_td: torch.Tensor) -> dict:
    """The Sites of one block; `w` holds its parameters, `x_td` is the residual that enters it."""
    t, d = x_td.shape
    h = config.num_attention_heads
    e = d // h
    s = {"resid_pre": x_td}
    for site, name in [("q", "query"), ("k", "key"), ("v", "value")]:
        s[site] = linear(w, f"attention.self.{name}", x_td).reshape(t, h, e)
    s["scores"] = torch.einsum("the,she->hts", s["q"], s["k"]) / math.sqrt(e)
    s["pattern"] = softmax(s["scores"])
    s["z"] = torch.einsum("hts,she->the", s["pattern"], s["v"])
    s["attn_out"] = linear(w, "attention.output.dense", s["z"].reshape(t, d))
    s["resid_mid"] = x_td + s["attn_out"]
    s["ln1"] = norm(w, "attention.output.LayerNorm", s["resid_mid"], config)
    s["mlp_pre"] = linear(w, "intermediate.dense", s["ln1"])
    s["mlp_post"] = activation(s["mlp_pre"], config.hidden_act)
    s["mlp_out"] = linear(w, "output.dense", s["mlp_post"])
    s["resid_post"] = s["ln1"] + s["mlp_out"]
    s["ln2"] = norm(w, "output.LayerNorm", s["resid_post"], config)
    return s


def all_sites(family: Family, weights: dict, ids: torch.Tensor, types: torch.Tensor) -> dict:
    """Every Site by name, for the sequence `ids` [T] whose tokens have these `types` [T]."""
    config, prefix = family.config, family.prefix
    tables = {name: weights[f"{prefix}embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")}
    sites = {
        "tokens": ids.to(torch.int32),
        "token_types": types.to(torch.int32),
        "embed": tables["word"][ids],
        "pos_embed": tables["position"][family.first :][: len(ids)],
        "type_embed": tables["token_type"][types],
    }
    sites["embed_sum"] = sites["embed"] + sites["pos_embed"] + sites["type_embed"]
    x_td = norm(weights, f"{prefix}embeddings.LayerNorm", sites["embed_sum"], config)
    for layer in range(config.num_hidden_layers):
        begin = f"{prefix}encoder.layer.{layer}."
        w = {name.removeprefix(begin): value for name, value in weights.items() if name.startswith(begin)}
        for name, value in block_sites(w, config, x_td).items():
            sites[f"blocks.{layer}.{name}"] = value
        x_td = sites[f"blocks.{layer}.ln2"]
    dense, head_norm, bias = family.head
    f = "gelu" if family.name.startswith("roberta") else config.hidden_act
    sites["unembed_pre"] = linear(weights, dense, x_td)
    sites["unembed_post"] = activation(sites["unembed_pre"], f)
    sites["ln_final"] = norm(weights, head_norm, sites["unembed_post"], config)
    sites["logits"] = sites["ln_final"] @ tables["word"].T + weights[bias]  # W_U is tied to W_E
    sites["probs"] = softmax(sites["logits"])
    return sites


@torch.no_grad()
def check_sites(sites: dict, model: PreTrainedModel, ids: torch.Tensor, types: torch.Tensor) -> None:
    """The second computation must agree with transformers in everything that transformers can return."""
    theirs = model(ids[None], token_type_ids=types[None], output_hidden_states=True, output_attentions=True)
    layers = model.config.num_hidden_layers
    residuals = ["blocks.0.resid_pre"] + [f"blocks.{layer}.ln2" for layer in range(layers)]
    for site, hidden in zip(residuals, theirs.hidden_states, strict=True):
        assert_near(sites[site], hidden[0], site)
    for layer, pattern in enumerate(theirs.attentions):
        assert_near(sites[f"blocks.{layer}.pattern"], pattern[0], f"blocks.{layer}.pattern")
    assert_near(sites["logits"], theirs.logits[0], "logits")


# --- Several sequences of different lengths, filled up for transformers -----------------------------------------------


def filled(parts: list[torch.Tensor], value: int) -> torch.Tensor:
    return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=value)


def learn(model: PreTrainedModel, family: Family, x: list, types: list, y: list) -> dict:
    """The loss of the asked positions (all sequences together) and its gradient; vectors and logits without filling."""
    parameters = dict(model.named_parameters())
    is_there = filled([torch.ones_like(part) for part in x], 0)
    out = model(
        filled(x, family.config.pad_token_id),
        attention_mask=is_there,
        token_type_ids=filled(types, 0),
        labels=filled(y, UNASKED),
        output_hidden_states=True,
    )
    out.loss.backward()
    made = {
        "lengths": torch.tensor([len(part) for part in x], dtype=torch.int32),
        "x": torch.cat(x).to(torch.int32),
        "token_types": torch.cat(types).to(torch.int32),
        "y": torch.cat(y).to(torch.int32),
        "vectors": out.hidden_states[-1][is_there.bool()],
        "logits": out.logits[is_there.bool()],
        "loss": out.loss,
    }
    made |= {f"grad.{name}": p.grad.clone() for name, p in parameters.items()}
    return {name: tensor.detach().clone().contiguous() for name, tensor in made.items()}


def learned(model: PreTrainedModel, family: Family, draws: torch.Generator) -> dict:
    """`learn` in f32, checked against f64."""
    x = [draw_ids(family, length, draws) for length in family.lengths]
    kinds = family.config.type_vocab_size
    types = [torch.randint(kinds, (length,), generator=draws) for length in family.lengths]
    y = []
    for part in x:
        label = draw_ids(family, len(part), draws)
        label[torch.rand(len(part), generator=draws) < 0.6] = UNASKED
        y.append(label)
    exact = learn(copy.deepcopy(model).double(), family, x, types, y)
    made = learn(model, family, x, types, y)
    for name, tensor in made.items():
        assert_near(tensor.double(), exact[name].double(), f"{name} in f32 and in f64 (choose another seed)")
    return made


POOLED = (5, 1, 21, 8, 13, 2)  # lengths of the texts that become vectors


@torch.no_grad()
def pooled(model: PreTrainedModel, family: Family) -> dict:
    """One vector for each text, in all the ways of sentence-transformers' Pooling and Normalize, by filling and masks."""
    draws = torch.Generator().manual_seed(2000 + family.seed)
    x = [draw_ids(family, length, draws) for length in POOLED]
    is_there = filled([torch.ones_like(part) for part in x], 0)
    out = model(filled(x, family.config.pad_token_id), attention_mask=is_there, output_hidden_states=True)
    hidden, mask = out.hidden_states[-1], is_there.unsqueeze(-1)
    last = is_there.sum(1) - 1
    made = {
        "mean": (hidden * mask).sum(1) / mask.sum(1),
        "cls": hidden[:, 0],
        "last": hidden[torch.arange(len(x)), last],
        "max": hidden.masked_fill(mask == 0, -math.inf).max(1).values,
    }
    made |= {f"{way}.normalized": torch.nn.functional.normalize(vectors) for way, vectors in made.items()}
    made["lengths"] = torch.tensor(POOLED, dtype=torch.int32)
    made["x"] = torch.cat(x).to(torch.int32)
    return {name: tensor.clone().contiguous() for name, tensor in made.items()}


# --- Files ------------------------------------------------------------------------------------------------------------


def write_gguf(family: Family, weights: dict, path: Path) -> None:
    """The encoder as llama.cpp's converter writes it: no head, and of RoBERTa's positions only those that are used."""
    config = family.config
    names = get_tensor_name_map(MODEL_ARCH.BERT, config.num_hidden_layers)
    writer = GGUFWriter(path, "bert")
    writer.add_context_length(config.max_position_embeddings - family.first)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_layer_norm_eps(config.layer_norm_eps)
    writer.add_causal_attention(False)
    for name, tensor in weights.items():
        if not name.startswith(family.prefix):
            continue
        name = name.removeprefix(family.prefix)
        if name == "embeddings.position_embeddings.weight":
            tensor = tensor[family.first :]
        written = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert written, name
        writer.add_tensor(written, tensor.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def made_by_any_version(path: Path) -> None:
    """Leaves the version of transformers out of a config: nothing depends on it."""
    config = json.loads(path.read_text())
    del config["transformers_version"]
    path.write_text(json.dumps(config, indent=2) + "\n")


def export(family: Family, folder: Path) -> None:
    """Writes the family's golden files into `folder`."""
    model = make_model(family)
    draws = torch.Generator().manual_seed(1000 + family.seed)
    ids = draw_ids(family, family.sites_len, draws)
    types = torch.randint(family.config.type_vocab_size, (family.sites_len,), generator=draws)

    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    made_by_any_version(folder / "config.json")
    weights = load_file(folder / "model.safetensors")

    sites = all_sites(family, weights, ids, types)
    check_sites(sites, model, ids, types)
    save_file({name: site.contiguous().clone() for name, site in sites.items()}, folder / "sites.safetensors")
    save_file(learned(model, family, draws), folder / "masked.safetensors")
    save_file(pooled(model, family), folder / "pooled.safetensors")
    write_gguf(family, weights, folder / "model.gguf")


def folders() -> dict:
    """Names of folders in parity/golden, and what writes each."""
    return {family.name: partial(export, family) for family in FAMILIES}


if __name__ == "__main__":
    sys.exit(main("encoders.py", folders()))
