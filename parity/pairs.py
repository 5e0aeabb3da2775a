#!/usr/bin/env python3
"""Makes the golden files of encoder–decoders: tiny Marian, BART, mBART and T5 models with seeded random weights.

As in export.py, Sites are computed a second time from the checkpoint's tensors alone and checked against transformers.
README.md in this folder says what each file holds.

    python parity/pairs.py            write parity/golden/{marian-tiny,marian-apart,bart-tiny,mbart-odd,t5-tiny,t5-gated}/
    python parity/pairs.py --check    make everything again elsewhere and compare

Dimension key: B batch, T target position, S source position, D d_model, H heads, E d_head, F d_ff, V vocab.
"""

import copy
import json
import math
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from encoders import filled, made_by_any_version
from export import assert_near, layer_norm, main, softmax
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSeq2SeqLM,
    BartConfig,
    GenerationConfig,
    MarianConfig,
    MBartConfig,
    PreTrainedConfig,
    PreTrainedModel,
    T5Config,
)

UNASKED = -100  # the label of a position that the loss leaves out
SMOOTHING = 0.1


@dataclass(frozen=True)
class Family:
    """One folder of golden files: the model's config and the lengths of the sequences it is run on."""

    name: str
    seed: int
    config: PreTrainedConfig
    lengths: tuple[tuple[int, int], ...]  # of source and target; the first pair is that of the Sites
    own_unembed: bool = False

    @property
    def is_t5(self) -> bool:
        return self.name.startswith("t5")

    @property
    def is_pre_norm(self) -> bool:
        return self.is_t5 or self.name.startswith("mbart")

    @property
    def vocabs(self) -> tuple[int, int]:
        """Of the source and of the target."""
        source = self.config.vocab_size
        return source, getattr(self.config, "decoder_vocab_size", None) or source


def bart_kin(**changes) -> dict:
    """Sizes that are odd or prime and differ from each other, so that a swapped axis cannot pass."""
    sizes = dict(
        d_model=30,
        encoder_layers=3,
        encoder_attention_heads=3,
        encoder_ffn_dim=53,
        decoder_layers=2,
        decoder_attention_heads=5,
        decoder_ffn_dim=37,
        vocab_size=101,
        max_position_embeddings=29,
        pad_token_id=100,
        eos_token_id=0,
        bos_token_id=0,
        decoder_start_token_id=100,
        forced_eos_token_id=0,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
    )
    return sizes | changes


def t5(**changes) -> dict:
    sizes = dict(
        d_model=26,
        d_kv=7,
        num_heads=3,
        d_ff=37,
        num_layers=2,
        num_decoder_layers=3,
        vocab_size=61,
        relative_attention_num_buckets=10,
        relative_attention_max_distance=17,
        n_positions=31,
        dropout_rate=0.0,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    return sizes | changes


LENGTHS = ((17, 11), (1, 7), (23, 1), (5, 29))

FAMILIES = [
    Family("marian-tiny", 81, MarianConfig(**bart_kin(activation_function="swish", scale_embedding=True)), LENGTHS),
    Family(
        "marian-apart",
        82,
        MarianConfig(
            **bart_kin(
                activation_function="relu",
                decoder_vocab_size=103,
                share_encoder_decoder_embeddings=False,
                d_model=26,
                encoder_attention_heads=2,
                decoder_attention_heads=2,
                encoder_layers=2,
                decoder_layers=3,
            )
        ),
        LENGTHS[1:] + LENGTHS[:1],
    ),
    Family("bart-tiny", 83, BartConfig(**bart_kin(activation_function="gelu")), LENGTHS),
    Family("mbart-odd", 84, MBartConfig(**bart_kin(activation_function="relu", scale_embedding=True, d_model=15)), LENGTHS),
    Family("t5-tiny", 85, T5Config(**t5(feed_forward_proj="relu")), LENGTHS),
    Family(
        "t5-gated",
        86,
        T5Config(**t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False, num_decoder_layers=2)),
        LENGTHS,
        own_unembed=True,
    ),
]


def make_model(family: Family) -> PreTrainedModel:
    """The family's model, every parameter drawn anew: nothing stays at a value (0, 1) that could hide an error."""
    # "eager" is the attention that can also return its pattern.
    model = AutoModelForSeq2SeqLM.from_config(family.config, attn_implementation="eager").eval()
    if family.own_unembed:
        model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.lm_head.weight))
    draws = torch.Generator().manual_seed(family.seed)
    scale = math.sqrt(family.config.d_model) if getattr(family.config, "scale_embedding", False) else 1.0
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:  # waves
                continue
            noise = torch.randn(parameter.shape, generator=draws)
            if "norm" in name:
                parameter.copy_(noise * 0.2 + (1.0 if name.endswith("weight") else 0.0))
            elif parameter.dim() == 1:
                parameter.copy_(noise * 0.2)
            elif "shared" in name or "embed_tokens" in name:
                parameter.copy_(noise * 0.8 / scale)
            elif "embed_positions" in name or "relative_attention_bias" in name:
                parameter.copy_(noise * 0.5)
            elif "SelfAttention.q" in name or "EncDecAttention.q" in name:  # scores are not divided by √E
                parameter.copy_(noise * 0.8 / math.sqrt(parameter.shape[1] * family.config.d_kv))
            else:  # a projection, stored [out, in]: keep its outputs about as large as its inputs
                parameter.copy_(noise * 1.2 / math.sqrt(parameter.shape[1]))
        if hasattr(model, "final_logits_bias"):
            bias = torch.randn(model.final_logits_bias.shape, generator=draws)
            model.final_logits_bias.copy_(bias * 0.3)
    return model


def draw_ids(family: Family, count: int, vocab: int, draws: torch.Generator) -> torch.Tensor:
    """Random ids, none of them the one that fills up batches, whose row transformers does not train."""
    pad = family.config.pad_token_id
    ids = torch.randint(vocab - 1, (count,), generator=draws)
    return ids + (ids >= pad)


# --- The Sites, from the checkpoint's tensors and the equations alone -------------------------------------------------


def activation(x: torch.Tensor, name: str) -> torch.Tensor:
    if name == "relu":
        return torch.maximum(x, torch.zeros_like(x))
    if name == "swish":
        return x / (1.0 + torch.exp(-x))
    if name == "gelu_new":
        return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    assert name == "gelu", name
    return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))


def waves(count: int, d: int) -> torch.Tensor:
    """Sines in the first half of the columns, cosines in the second."""
    place = torch.arange(count, dtype=torch.float64)[:, None]
    angle = place / 10000.0 ** (2.0 * torch.arange(d // 2, dtype=torch.float64) / d)
    return torch.cat([torch.sin(angle), torch.cos(angle)], dim=1)


def bucket(distance: int, both_ways: bool, buckets: int, farthest: int) -> int:
    """T5's row for a key that stands `distance` behind its query."""
    first = 0
    if both_ways:
        buckets //= 2
        first = buckets if distance > 0 else 0
        distance = abs(distance)
    else:
        distance = max(-distance, 0)
    exact = buckets // 2
    if distance < exact:
        return first + distance
    step = math.log(distance / exact) / math.log(farthest / exact) * (buckets - exact)
    return first + min(exact + int(step), buckets - 1)


class Stack:
    """One of the two stacks: its names, its sizes, and what it is made of."""

    def __init__(self, family: Family, weights: dict, stack: str):
        self.family, self.weights, self.stack, self.config = family, weights, stack, family.config
        if family.is_t5:
            self.heads = self.config.num_heads
            self.layers = self.config.num_layers if stack == "encoder" else self.config.num_decoder_layers
        else:
            self.heads = getattr(self.config, f"{stack}_attention_heads")
            self.layers = getattr(self.config, f"{stack}_layers")

    def linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        y = x @ self.weights[f"{name}.weight"].T
        return y if self.family.is_t5 else y + self.weights[f"{name}.bias"]

    def norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        if self.family.is_t5:
            mean = (x * x).mean(-1, keepdim=True)
            return x / torch.sqrt(mean + self.config.layer_norm_epsilon) * self.weights[f"{name}.weight"]
        return layer_norm(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], 1e-5)

    def attention_name(self, layer: int, is_cross: bool, part: str) -> str:
        if self.family.is_t5:
            where = "layer.1.EncDecAttention" if is_cross else "layer.0.SelfAttention"
            return f"{self.stack}.block.{layer}.{where}.{part}"
        where, part = ("encoder_attn" if is_cross else "self_attn"), "out" if part == "o" else part
        return f"model.{self.stack}.layers.{layer}.{where}.{part}_proj"

    def norm_name(self, layer: int, which: str) -> str:
        """Of attention, cross-attention or the MLP."""
        if self.family.is_t5:
            place = {"attn": 0, "cross": 1, "mlp": 2 if self.stack == "decoder" else 1}[which]
            return f"{self.stack}.block.{layer}.layer.{place}.layer_norm"
        part = {"attn": "self_attn_layer_norm", "cross": "encoder_attn_layer_norm", "mlp": "final_layer_norm"}[which]
        return f"model.{self.stack}.layers.{layer}.{part}"

    def bias(self, t: int) -> torch.Tensor:
        """What is added to scores [H,T,T]."""
        table = self.weights[f"{self.stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
        sizes = (self.config.relative_attention_num_buckets, self.config.relative_attention_max_distance)
        rows = [[bucket(s - q, self.stack == "encoder", *sizes) for s in range(t)] for q in range(t)]
        return table[torch.tensor(rows)].permute(2, 0, 1)

    def attention(self, layer: int, x_td: torch.Tensor, memory_sd: torch.Tensor | None) -> dict:
        """The Sites of attention to its own positions, or to a memory."""
        (t, h), is_cross = (len(x_td), self.heads), memory_sd is not None
        name = partial(self.attention_name, layer, is_cross)
        s = {}
        for site, source in [("q", x_td), ("k", memory_sd if is_cross else x_td), ("v", memory_sd if is_cross else x_td)]:
            s[site] = self.linear(name(site), source).reshape(len(source), h, -1)
        s["scores"] = torch.einsum("the,she->hts", s["q"], s["k"])
        if not self.family.is_t5:
            s["scores"] = s["scores"] / math.sqrt(s["q"].shape[-1])
        elif not is_cross:
            s["scores"] = s["scores"] + self.bias(t)
        if self.stack == "decoder" and not is_cross:
            later = torch.ones(t, t, dtype=torch.bool).triu(1)
            s["scores"] = s["scores"].masked_fill(later, -math.inf)
        s["pattern"] = softmax(s["scores"])
        s["z"] = torch.einsum("hts,she->the", s["pattern"], s["v"])
        s["out"] = self.linear(name("o"), s["z"].reshape(t, -1))
        if is_cross:
            return {f"cross_{site}": value for site, value in s.items()}
        s["attn_out"] = s.pop("out")
        return s

    def mlp(self, layer: int, x_td: torch.Tensor) -> dict:
        if not self.family.is_t5:
            pre = self.linear(f"model.{self.stack}.layers.{layer}.fc1", x_td)
            post = activation(pre, self.config.activation_function)
            return {
                "mlp_pre": pre,
                "mlp_post": post,
                "mlp_out": self.linear(f"model.{self.stack}.layers.{layer}.fc2", post),
            }
        place = 2 if self.stack == "decoder" else 1
        name = f"{self.stack}.block.{layer}.layer.{place}.DenseReluDense"
        if not self.config.is_gated_act:
            s = {"mlp_pre": self.linear(f"{name}.wi", x_td)}
            s["mlp_post"] = activation(s["mlp_pre"], "relu")
        else:
            s = {"mlp_pre": self.linear(f"{name}.wi_0", x_td), "mlp_up": self.linear(f"{name}.wi_1", x_td)}
            s["mlp_post"] = activation(s["mlp_pre"], self.config.dense_act_fn) * s["mlp_up"]
        return s | {"mlp_out": self.linear(f"{name}.wo", s["mlp_post"])}

    def block(self, layer: int, x_td: torch.Tensor, memory_sd: torch.Tensor | None) -> dict:
        """The Sites of one block; `x_td` is the residual that enters it."""
        parts = [("attn", "ln1", "resid_mid", "attn_out", lambda x: self.attention(layer, x, None))]
        if memory_sd is not None:
            cross = lambda x: self.attention(layer, x, memory_sd)  # noqa: E731
            parts.append(("cross", "ln_cross", "resid_cross", "cross_out", cross))
        parts.append(("mlp", "ln2", "resid_post", "mlp_out", lambda x: self.mlp(layer, x)))
        s = {"resid_pre": x_td}
        for which, norm_site, sum_site, out_site, part in parts:
            norm = self.norm_name(layer, which)
            if self.family.is_pre_norm:
                s[norm_site] = self.norm(norm, x_td)
                s |= part(s[norm_site])
                s[sum_site] = x_td = x_td + s[out_site]
            else:
                s |= part(x_td)
                s[sum_site] = x_td + s[out_site]
                s[norm_site] = x_td = self.norm(norm, s[sum_site])
        return s

    def embed(self, ids: torch.Tensor) -> tuple[dict, torch.Tensor]:
        """The Sites before the first block, and what enters it."""
        shared = "shared.weight" if self.family.is_t5 else "model.shared.weight"
        own = f"model.{self.stack}.embed_tokens.weight"
        table = self.weights[shared] if shared in self.weights else self.weights[own]
        scale = math.sqrt(self.config.d_model) if getattr(self.config, "scale_embedding", False) else 1.0
        s = {"tokens": ids.to(torch.int32), "embed": table[ids] * scale}
        if self.family.is_t5:
            return s, s["embed"]
        if self.family.name.startswith("marian"):
            s["pos_embed"] = waves(len(ids), self.config.d_model).to(table.dtype)
            return s, s["embed"] + s["pos_embed"]
        s["pos_embed"] = self.weights[f"model.{self.stack}.embed_positions.weight"][2:][: len(ids)]
        s["embed_sum"] = s["embed"] + s["pos_embed"]
        return s, self.norm(f"model.{self.stack}.layernorm_embedding", s["embed_sum"])

    def sites(self, ids: torch.Tensor, memory_sd: torch.Tensor | None) -> tuple[dict, torch.Tensor]:
        """All Sites of the stack by name, and what leaves it."""
        s, x_td = self.embed(ids)
        for layer in range(self.layers):
            for name, value in self.block(layer, x_td, memory_sd).items():
                s[f"blocks.{layer}.{name}"] = value
            x_td = s[f"blocks.{layer}.{'resid_post' if self.family.is_pre_norm else 'ln2'}"]
        if self.family.is_pre_norm:
            name = f"{self.stack}.final_layer_norm" if self.family.is_t5 else f"model.{self.stack}.layer_norm"
            s["ln_final"] = x_td = self.norm(name, x_td)
        return {f"{self.stack}.{name}": value for name, value in s.items()}, x_td


def all_sites(family: Family, weights: dict, source: torch.Tensor, target: torch.Tensor) -> dict:
    """Every Site by name, for the source `source` [S] and the target `target` [T]."""
    encoder, memory = Stack(family, weights, "encoder").sites(source, None)
    decoder, x_td = Stack(family, weights, "decoder").sites(target, memory)
    sites = encoder | decoder
    if family.is_t5:
        if not family.own_unembed:
            x_td = x_td / math.sqrt(family.config.d_model)
        sites["logits"] = x_td @ weights["lm_head.weight" if family.own_unembed else "shared.weight"].T
    else:
        shared = "model.shared.weight"
        table = weights[shared if shared in weights else "model.decoder.embed_tokens.weight"]
        sites["logits"] = x_td @ table.T + weights["final_logits_bias"][0]
    sites["probs"] = softmax(sites["logits"])
    return sites


@torch.no_grad()
def check_sites(sites: dict, family: Family, model: PreTrainedModel, source: torch.Tensor, target: torch.Tensor) -> None:
    """The second computation must agree with transformers in everything that transformers can return."""
    theirs = model(
        input_ids=source[None], decoder_input_ids=target[None], output_hidden_states=True, output_attentions=True
    )
    for stack in ["encoder", "decoder"]:
        hidden = getattr(theirs, f"{stack}_hidden_states")
        layers = len(hidden) - 1
        if family.is_pre_norm:
            names = [f"blocks.{layer}.resid_pre" for layer in range(layers)] + ["ln_final"]
        else:
            names = ["blocks.0.resid_pre"] + [f"blocks.{layer}.ln2" for layer in range(layers)]
        for name, value in zip(names, hidden, strict=True):
            assert_near(sites[f"{stack}.{name}"], value[0], f"{family.name}: {stack}.{name}")
        for layer, pattern in enumerate(getattr(theirs, f"{stack}_attentions")):
            name = f"{stack}.blocks.{layer}.pattern"
            assert_near(sites[name], pattern[0], f"{family.name}: {name}")
    for layer, pattern in enumerate(theirs.cross_attentions):
        name = f"decoder.blocks.{layer}.cross_pattern"
        assert_near(sites[name], pattern[0], f"{family.name}: {name}")
    assert_near(sites["logits"], theirs.logits[0], f"{family.name}: logits")


# --- Several pairs of different lengths, filled up for transformers ---------------------------------------------------


def learn(model: PreTrainedModel, family: Family, x: list, t: list, y: list) -> dict:
    """The smoothed loss of the asked positions (all pairs together) and its gradient; logits without filling."""
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    pad = family.config.pad_token_id
    out = model(
        input_ids=filled(x, pad),
        attention_mask=filled([torch.ones_like(part) for part in x], 0),
        decoder_input_ids=filled(t, pad),
    )
    is_there = filled([torch.ones_like(part) for part in t], 0).bool()
    labels = torch.cat(y)
    logits = out.logits[is_there]
    loss = torch.nn.CrossEntropyLoss(label_smoothing=SMOOTHING, ignore_index=UNASKED)(logits, labels)
    plain = torch.nn.CrossEntropyLoss(ignore_index=UNASKED)(logits, labels)
    loss.backward()
    made = {
        "source_lengths": torch.tensor([len(part) for part in x], dtype=torch.int32),
        "target_lengths": torch.tensor([len(part) for part in t], dtype=torch.int32),
        "x": torch.cat(x).to(torch.int32),
        "t": torch.cat(t).to(torch.int32),
        "y": labels.to(torch.int32),
        "logits": logits,
        "loss": loss,
        "plain_loss": plain,
    }
    made |= {f"grad.{name}": p.grad.clone() for name, p in parameters.items()}
    return {name: tensor.detach().clone().contiguous() for name, tensor in made.items()}


def learned(model: PreTrainedModel, family: Family, draws: torch.Generator) -> dict:
    """`learn` in f32, checked against f64."""
    source, target = family.vocabs
    x = [draw_ids(family, length, source, draws) for length, _ in family.lengths]
    t = [draw_ids(family, length, target, draws) for _, length in family.lengths]
    y = []
    for part in t:
        label = draw_ids(family, len(part), target, draws)
        label[torch.rand(len(part), generator=draws) < 0.2] = UNASKED
        y.append(label)
    exact = learn(copy.deepcopy(model).double(), family, x, t, y)
    made = learn(model, family, x, t, y)
    for name, tensor in made.items():
        assert_near(tensor.double(), exact[name].double(), f"{family.name}: {name} in f32 and in f64 (choose another seed)")
    return made


# --- Targets as generate() writes them --------------------------------------------------------------------------------

# The settings of generate(): greedy first, then beams.
SEARCHES = [
    dict(num_beams=1, max_new_tokens=12),
    dict(num_beams=5, length_penalty=1.0, early_stopping=False, num_return_sequences=3, max_new_tokens=20),
    dict(num_beams=4, length_penalty=0.6, early_stopping=True, num_return_sequences=4, max_new_tokens=15),
    dict(num_beams=3, length_penalty=2.0, early_stopping="never", num_return_sequences=2, max_new_tokens=18),
    dict(num_beams=5, length_penalty=0.0, early_stopping="never", num_return_sequences=5, max_new_tokens=9),
    dict(num_beams=2, length_penalty=-0.5, early_stopping=False, num_return_sequences=1, max_new_tokens=4),
]
ENDS = 3  # several ids end a target, so that random models end some


def rules(family: Family, which: int, draws: torch.Generator) -> dict:
    """Ids that search number `which` begins with, ends with, never writes, and must write first and last."""
    vocab, config = family.vocabs[1], family.config
    ends = sorted({config.eos_token_id, *draw_ids(family, ENDS - 1, vocab, draws).tolist()})
    return dict(
        decoder_start_token_id=config.decoder_start_token_id,
        eos_token_id=ends,
        bad_words_ids=[[config.pad_token_id]],
        forced_bos_token_id=7 if which % 2 else None,
        forced_eos_token_id=ends[0] if which % 3 else None,
    )


def searched(model: PreTrainedModel, family: Family, draws: torch.Generator) -> tuple[list[dict], dict]:
    """What generate() finds for several sources at once: settings and ids, and the scores of each search."""
    searches, scores, pad = [], {}, family.config.pad_token_id
    for which, search in enumerate(SEARCHES):
        sources = [draw_ids(family, length, family.vocabs[0], draws) for length in (9, 1, 17)]
        settings = rules(family, which, draws) | search
        found = {}
        for name, one in [("exact", copy.deepcopy(model).double()), ("made", model)]:
            # The model's own settings would stand in for those that are None.
            one.generation_config = GenerationConfig(pad_token_id=pad, do_sample=False, **settings)
            out = one.generate(
                filled(sources, pad),
                attention_mask=filled([torch.ones_like(part) for part in sources], 0),
                return_dict_in_generate=True,
                output_scores=True,
                use_cache=not family.is_t5,  # which transformers makes for as many layers as the encoder has
            )
            found[name] = [written(row, settings["eos_token_id"]) for row in out.sequences[:, 1:].tolist()]
            if search["num_beams"] > 1:
                scores[f"scores.{which}"] = out.sequences_scores.clone()
        assert found["made"] == found["exact"], f"{family.name}: search {which} in f32 and in f64 (choose another seed)"
        searches.append({**settings, "sources": [part.tolist() for part in sources], "targets": found["made"]})
    return searches, scores


def written(row: list[int], ends: list[int]) -> list[int]:
    """The ids before the first that ends."""
    return next((row[:i] for i, written_id in enumerate(row) if written_id in ends), row)


# --- Files ------------------------------------------------------------------------------------------------------------


def export(family: Family, folder: Path) -> None:
    """Writes the family's golden files into `folder`."""
    model = make_model(family)
    draws = torch.Generator().manual_seed(1000 + family.seed)
    (s, t), (source_vocab, vocab) = family.lengths[0], family.vocabs
    source, target = draw_ids(family, s, source_vocab, draws), draw_ids(family, t, vocab, draws)

    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    made_by_any_version(folder / "config.json")
    weights = load_file(folder / "model.safetensors")
    if family.own_unembed:
        weights["lm_head.weight"] = model.lm_head.weight.detach().clone()
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    sites = all_sites(family, weights, source, target)
    check_sites(sites, family, model, source, target)
    exact = all_sites(family, {name: weight.double() for name, weight in weights.items()}, source, target)
    for name, site in sites.items():
        assert_near(site.double(), exact[name].double(), f"{family.name}: {name} in f32 and in f64")
    save_file({name: site.contiguous().clone() for name, site in sites.items()}, folder / "sites.safetensors")
    save_file(learned(model, family, draws), folder / "pairs.safetensors")

    searches, scores = searched(model, family, torch.Generator().manual_seed(2000 + family.seed))
    (folder / "searches.json").write_text(json.dumps({"searches": searches}) + "\n")
    save_file(scores, folder / "searches.safetensors")


def folders() -> dict:
    """Names of folders in parity/golden, and what writes each."""
    return {family.name: partial(export, family) for family in FAMILIES}


if __name__ == "__main__":
    sys.exit(main("pairs.py", folders()))
