#!/usr/bin/env python3
"""Makes the golden files of the decoders with rotary positions: Llama, Mistral, Qwen2, Qwen3.

As export.py does for GPT-2, whose functions it uses: a tiny seeded model of each kind, its Sites by equations written
out, ten training steps, greedy text. Some models are written as GGUF too (gguf_models.py), and a folder of angles shows
what tiny models cannot: rotations at positions far away. README.md in this folder says what each file holds.

    python parity/decoders.py            write their folders in parity/golden/
    python parity/decoders.py --check    make everything again elsewhere and compare

Dimension key: B batch, T query position, S key position, D d_model, H heads, K key/value heads, E d_head, F d_ff, V vocab.
"""

import math
import sys
from functools import partial
from pathlib import Path

import torch
from export import Family, assert_near, export, main, softmax
from gguf import GGMLQuantizationType as Type
from gguf_models import Blocks, as_meant, export_blocks, write_model
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

# Sizes differ from each other, and heads are as wide as D/H only where the family cannot do otherwise, so that a swapped
# axis cannot pass. Heads are of even width: rotary positions turn pairs.
FAMILIES = [
    Family(
        name="llama-tiny",  # grouped queries; frequencies of each of Llama 3's three kinds; W_U a matrix of its own
        seed=1,
        batch=3,
        sites_len=17,
        train_len=11,
        prompt_len=7,
        config=dict(
            model_type="llama",
            hidden_size=28,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=10,
            intermediate_size=47,
            num_hidden_layers=2,
            max_position_embeddings=29,
            vocab_size=61,
            tie_word_embeddings=False,
            rms_norm_eps=1e-5,
            rope_parameters=dict(
                rope_type="llama3",
                rope_theta=500.0,
                factor=4.0,
                low_freq_factor=1.0,
                high_freq_factor=4.0,
                original_max_position_embeddings=28,
            ),
        ),
    ),
    Family(
        name="llama-biased",  # biases everywhere; all frequencies divided; tied; a key head for each query head
        seed=9,
        batch=3,
        sites_len=13,
        train_len=23,  # the whole context
        prompt_len=7,
        config=dict(
            model_type="llama",
            hidden_size=27,
            num_attention_heads=3,
            num_key_value_heads=3,
            head_dim=6,
            intermediate_size=41,
            num_hidden_layers=2,
            max_position_embeddings=23,
            vocab_size=53,
            tie_word_embeddings=True,
            attention_bias=True,
            mlp_bias=True,
            rms_norm_eps=1e-3,
            rope_parameters=dict(rope_type="linear", rope_theta=100.0, factor=2.5),
        ),
    ),
    Family(
        name="mistral-tiny",  # a window shorter than the text
        seed=4,
        batch=3,
        sites_len=19,
        train_len=13,
        prompt_len=9,
        config=dict(
            model_type="mistral",
            hidden_size=30,
            num_attention_heads=3,
            num_key_value_heads=1,
            intermediate_size=37,
            num_hidden_layers=2,
            max_position_embeddings=31,
            vocab_size=59,
            tie_word_embeddings=False,
            rms_norm_eps=1e-5,
            sliding_window=5,
            rope_parameters=dict(rope_type="default", rope_theta=300.0),
        ),
    ),
    Family(
        name="qwen2-tiny",  # biases of q, k and v; tied; heads of D/H
        seed=7,
        batch=3,
        sites_len=17,
        train_len=11,
        prompt_len=7,
        config=dict(
            model_type="qwen2",
            hidden_size=36,
            num_attention_heads=6,
            num_key_value_heads=3,
            intermediate_size=43,
            num_hidden_layers=2,
            max_position_embeddings=29,
            vocab_size=67,
            tie_word_embeddings=True,
            rope_parameters=dict(rope_type="default", rope_theta=1000.0),
        ),
    ),
    Family(
        name="qwen3-tiny",  # norms of queries and keys; tied; heads wider than D/H
        seed=6,
        batch=3,
        sites_len=17,
        train_len=11,
        prompt_len=7,
        config=dict(
            model_type="qwen3",
            hidden_size=26,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=14,
            intermediate_size=45,
            num_hidden_layers=2,
            max_position_embeddings=29,
            vocab_size=71,
            tie_word_embeddings=True,
            rope_parameters=dict(rope_type="default", rope_theta=1000.0),
        ),
    ),
    Family(
        name="qwen3-window",  # a window from the second block on, which Qwen2 has too; biases; W_U a matrix of its own
        seed=15,
        batch=3,
        sites_len=17,
        train_len=11,
        prompt_len=7,
        config=dict(
            model_type="qwen3",
            hidden_size=22,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            intermediate_size=35,
            num_hidden_layers=3,
            max_position_embeddings=29,
            vocab_size=47,
            tie_word_embeddings=False,
            attention_bias=True,
            use_sliding_window=True,
            sliding_window=4,
            max_window_layers=1,
            rope_parameters=dict(rope_type="default", rope_theta=1000.0),
        ),
    ),
]

# Families that a GGUF file can describe: written as such too, all in f32.
IN_GGUF = ["llama-tiny", "llama-biased", "mistral-tiny", "qwen2-tiny", "qwen3-tiny"]

# The part of a matrix's name that says what it is, to its type. Blocks have 32 columns, those of Q2_K to Q6_K 256.
BLOCKS = [
    Blocks(
        name="llama-blocks",  # as llama.cpp's mixtures are: blocks of 256 and, where these do not fit, of 32
        seed=21,
        config=dict(
            model_type="llama",
            hidden_size=256,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            intermediate_size=64,
            num_hidden_layers=1,
            max_position_embeddings=29,
            vocab_size=37,
            tie_word_embeddings=False,
            rope_parameters=dict(rope_type="default", rope_theta=1000.0),
        ),
        types=dict(
            embed_tokens=Type.Q3_K,
            q_proj=Type.Q4_K,
            k_proj=Type.Q4_K,
            v_proj=Type.Q6_K,
            o_proj=Type.Q8_0,
            gate_proj=Type.Q5_K,
            up_proj=Type.Q2_K,
            down_proj=Type.Q4_0,
            lm_head=Type.Q6_K,
        ),
    ),
    Blocks(
        name="qwen2-blocks",  # one type for all matrices but those whose columns are no multiple of 32
        seed=22,
        config=dict(
            model_type="qwen2",
            hidden_size=64,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=45,
            num_hidden_layers=2,
            max_position_embeddings=29,
            vocab_size=41,
            tie_word_embeddings=True,
            rope_parameters=dict(rope_type="default", rope_theta=1000.0),
        ),
        types=dict(
            embed_tokens=Type.Q8_0,
            q_proj=Type.Q8_0,
            k_proj=Type.Q8_0,
            v_proj=Type.Q8_0,
            o_proj=Type.Q8_0,
            gate_proj=Type.Q8_0,
            up_proj=Type.Q8_0,
            down_proj=Type.F16,
        ),
    ),
    Blocks(
        name="qwen3-blocks",  # another type for each matrix: those of one product too
        seed=23,
        config=dict(
            model_type="qwen3",
            hidden_size=32,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=24,
            intermediate_size=64,
            num_hidden_layers=2,
            max_position_embeddings=29,
            vocab_size=43,
            tie_word_embeddings=False,
            rope_parameters=dict(rope_type="default", rope_theta=1000.0),
        ),
        types=dict(
            embed_tokens=Type.F16,
            q_proj=Type.Q4_0,
            k_proj=Type.Q5_1,
            v_proj=Type.BF16,
            o_proj=Type.Q5_0,
            gate_proj=Type.Q4_1,
            up_proj=Type.Q8_0,
            down_proj=Type.Q4_0,
            lm_head=Type.Q4_1,
        ),
    ),
]


def random_model(config: dict, seed: int) -> PreTrainedModel:
    """A model, every parameter drawn anew: nothing stays at a value (0, 1) that could hide an error."""
    end = config["vocab_size"] - 1
    config = AutoConfig.for_model(**config, bos_token_id=end, eos_token_id=end)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=draws)
            if "norm" in name:
                parameter.copy_(noise * 0.2 + 1.0)
            elif parameter.dim() == 1:
                parameter.copy_(noise * 0.3)
            elif "embed_tokens" in name:
                parameter.copy_(noise * 0.5)
            else:  # a projection, stored [out, in]: keep its outputs about as large as its inputs
                parameter.copy_(noise * 1.2 / math.sqrt(parameter.shape[1]))
    return model


# --- The Sites, from the checkpoint's tensors and the equations alone -------------------------------------------------


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * weight


def frequencies(rope: dict, e: int) -> torch.Tensor:
    """Radians per position of each pair of a head [E/2], in f64."""
    plain = rope["rope_theta"] ** -(torch.arange(0, e, 2, dtype=torch.float64) / e)
    if rope["rope_type"] == "default":
        return plain
    if rope["rope_type"] == "linear":
        return plain / rope["factor"]
    assert rope["rope_type"] == "llama3", rope["rope_type"]
    # How often a pair turns in the context of the first training: often, it stays; rarely, it is slowed down.
    turns = rope["original_max_position_embeddings"] * plain / (2.0 * math.pi)
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    kept = ((turns - low) / (high - low)).clamp(0.0, 1.0)
    return kept * plain + (1.0 - kept) * plain / rope["factor"]


def turned(x_the: torch.Tensor, rope: dict) -> torch.Tensor:
    """Each pair (x[i], x[i + E/2]) of a head turned by its position's angle."""
    t, _, e = x_the.shape
    angles = torch.arange(t, dtype=torch.float64)[:, None] * frequencies(rope, e)
    cos, sin = (f(angles).to(x_the.dtype)[:, None, :] for f in (torch.cos, torch.sin))
    a, b = x_the[..., : e // 2], x_the[..., e // 2 :]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def linear(w: dict, name: str, x: torch.Tensor) -> torch.Tensor:
    y = x @ w[f"{name}.weight"].T
    return y + w[f"{name}.bias"] if f"{name}.bias" in w else y


def window(config: PreTrainedConfig, layer: int) -> int | None:
    """How many keys a query of the block looks back at, its own among them; None: all."""
    width = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)  # Qwen's; Mistral's window is everybody's
    return width if kinds is None or kinds[layer] == "sliding_attention" else None


def block_sites(w: dict, config: PreTrainedConfig, layer: int, x_td: torch.Tensor) -> dict:
    """The Sites of one block; `w` holds its parameters, `x_td` is the residual that enters it."""
    t, _ = x_td.shape
    h, k = config.num_attention_heads, config.num_key_value_heads
    eps, rope = config.rms_norm_eps, config.rope_parameters
    s = {"resid_pre": x_td}
    s["ln1"] = rms_norm(x_td, w["input_layernorm.weight"], eps)
    q_the = s["q_pre"] = linear(w, "self_attn.q_proj", s["ln1"]).reshape(t, h, -1)
    k_tke = s["k_pre"] = linear(w, "self_attn.k_proj", s["ln1"]).reshape(t, k, -1)
    if "self_attn.q_norm.weight" in w:
        q_the = s["q_norm"] = rms_norm(q_the, w["self_attn.q_norm.weight"], eps)
        k_tke = s["k_norm"] = rms_norm(k_tke, w["self_attn.k_norm.weight"], eps)
    s["q"], s["k"] = turned(q_the, rope), turned(k_tke, rope)
    s["v"] = linear(w, "self_attn.v_proj", s["ln1"]).reshape(t, k, -1)
    # Query head h reads key head h·K/H.
    keys_the, values_the = (s[name].repeat_interleave(h // k, dim=1) for name in ("k", "v"))
    scores_hts = torch.einsum("the,she->hts", s["q"], keys_the) / math.sqrt(q_the.shape[-1])
    seen = torch.ones(t, t, dtype=torch.bool).tril()
    if (width := window(config, layer)) is not None:
        seen = seen.triu(1 - width)
    s["scores"] = scores_hts.masked_fill(~seen, -math.inf)
    s["pattern"] = softmax(s["scores"])
    s["z"] = torch.einsum("hts,she->the", s["pattern"], values_the)
    s["attn_out"] = linear(w, "self_attn.o_proj", s["z"].reshape(t, -1))
    s["resid_mid"] = x_td + s["attn_out"]
    s["ln2"] = rms_norm(s["resid_mid"], w["post_attention_layernorm.weight"], eps)
    s["mlp_pre"] = linear(w, "mlp.gate_proj", s["ln2"])
    s["mlp_up"] = linear(w, "mlp.up_proj", s["ln2"])
    s["mlp_post"] = s["mlp_pre"] / (1.0 + torch.exp(-s["mlp_pre"])) * s["mlp_up"]
    s["mlp_out"] = linear(w, "mlp.down_proj", s["mlp_post"])
    s["resid_post"] = s["resid_mid"] + s["mlp_out"]
    return s


def all_sites(weights: dict, config: PreTrainedConfig, ids: torch.Tensor) -> dict:
    """Every Site by name, for the sequence `ids` [T]."""
    embed = weights["model.embed_tokens.weight"]
    sites = {"tokens": ids.to(torch.int32), "embed": embed[ids]}
    x_td = sites["embed"]
    for layer in range(config.num_hidden_layers):
        prefix = f"model.layers.{layer}."
        w = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        for name, value in block_sites(w, config, layer, x_td).items():
            sites[f"blocks.{layer}.{name}"] = value
        x_td = sites[f"blocks.{layer}.resid_post"]
    sites["ln_final"] = rms_norm(x_td, weights["model.norm.weight"], config.rms_norm_eps)
    sites["logits"] = sites["ln_final"] @ weights.get("lm_head.weight", embed).T
    sites["probs"] = softmax(sites["logits"])
    return sites


# What transformers' modules take or give, beside what export.check_sites compares.
MODULE_INPUTS = {"self_attn.o_proj": "z", "mlp.down_proj": "mlp_post"}
MODULE_OUTPUTS = {
    "input_layernorm": "ln1",
    "self_attn.q_proj": "q_pre",
    "self_attn.k_proj": "k_pre",
    "self_attn.v_proj": "v",
    "self_attn.q_norm": "q_norm",
    "self_attn.k_norm": "k_norm",
    "self_attn.o_proj": "attn_out",
    "post_attention_layernorm": "ln2",
    "mlp.gate_proj": "mlp_pre",
    "mlp.up_proj": "mlp_up",
    "mlp.down_proj": "mlp_out",
}


@torch.no_grad()
def check_modules(sites: dict, model: PreTrainedModel, ids: torch.Tensor) -> None:
    """The second computation must agree with what goes in and out of transformers' modules."""
    hooks = []

    def compare(site: str, theirs: torch.Tensor) -> None:
        assert_near(sites[site].reshape(theirs[0].shape), theirs[0], site)

    for layer, block in enumerate(model.model.layers):
        for name, module in block.named_modules():
            for site, pick in [
                (MODULE_INPUTS.get(name), lambda given, _: given[0]),
                (MODULE_OUTPUTS.get(name), lambda _, made: made),
            ]:
                if site is not None:
                    at = f"blocks.{layer}.{site}"
                    hook = lambda _, given, made, at=at, pick=pick: compare(at, pick(given, made))  # noqa: E731
                    hooks.append(module.register_forward_hook(hook))
    per_layer = 13 if "blocks.0.q_norm" in sites else 11
    assert len(hooks) == per_layer * len(model.model.layers), "transformers has renamed modules"
    model(ids[None])
    for hook in hooks:
        hook.remove()


# --- Angles -----------------------------------------------------------------------------------------------------------

# As in Llama 2, Qwen and Llama 3.2, and one with a factor for all.
ANGLES = {
    "plain": dict(head_dim=128, rope_type="default", rope_theta=10000.0),
    "high-base": dict(head_dim=64, rope_type="default", rope_theta=1000000.0),
    "linear": dict(head_dim=96, rope_type="linear", rope_theta=10000.0, factor=3.0),
    "llama3": dict(
        head_dim=64,
        rope_type="llama3",
        rope_theta=500000.0,
        factor=32.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=8192,
    ),
}
POSITIONS = [0, 1, 2, 255, 256, 4095, 8191, 32767, 131071]


def export_angles(folder: Path) -> None:
    """cos and sin as transformers computes them, at positions where the rounding of a frequency shows."""
    positions = torch.tensor(POSITIONS)
    tensors = {"positions": positions.to(torch.int32)}
    for name, rope in ANGLES.items():
        e = rope["head_dim"]
        scaling = {key: value for key, value in rope.items() if key != "head_dim"}
        config = AutoConfig.for_model(
            "llama", hidden_size=e, num_attention_heads=1, max_position_embeddings=131072, rope_parameters=scaling
        )
        embedding = LlamaRotaryEmbedding(config)
        torch.testing.assert_close(embedding.inv_freq.double(), frequencies(scaling, e), rtol=1e-6, atol=0.0)
        cos, sin = embedding(torch.zeros(1), positions[None])
        tensors |= {f"{name}.cos": cos[0, :, : e // 2], f"{name}.sin": sin[0, :, : e // 2]}
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, folder / "angles.safetensors")


# --- Files ------------------------------------------------------------------------------------------------------------


def make_model(family: Family) -> PreTrainedModel:
    return random_model(family.config, family.seed)


def export_decoder(family: Family, folder: Path) -> None:
    """Writes the golden files of a family, with a GGUF file where there is such a thing."""
    model, sites, ids = export(family, make_model, all_sites, folder)
    check_modules(sites, model, ids)
    if family.name in IN_GGUF:
        rope, e = model.config.rope_parameters, sites["blocks.0.q"].shape[-1]
        slower = frequencies(rope | {"rope_type": "default"}, e) / frequencies(rope, e)
        write_model(folder / "model.gguf", model, as_meant(model), slower if rope["rope_type"] == "llama3" else None)


def folders() -> dict:
    """Names of folders in parity/golden, and what writes each."""
    families = {family.name: partial(export_decoder, family) for family in FAMILIES}
    blocks = {blocks.name: partial(export_blocks, blocks, random_model) for blocks in BLOCKS}
    return families | blocks | {"rope": export_angles}


if __name__ == "__main__":
    sys.exit(main("decoders.py", folders()))
