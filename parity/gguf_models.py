"""Models as GGUF files, the way llama.cpp's converter writes them, for decoders.py.

Tensors are named by the package `gguf`. Llama's queries and keys are reordered: llama.cpp turns neighbours (0, 1),
(2, 3), … of a head, Hugging Face's checkpoints hold the pairs (0, E/2), (1, E/2 + 1), ….
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize, quantize
from gguf_files import blocks as random_blocks
from quantised import HALVES
from safetensors.torch import save_file
from transformers import PreTrainedModel

ARCHITECTURES = {"llama": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2, "qwen3": gguf.MODEL_ARCH.QWEN3}
SITES_LEN = 17


@dataclass(frozen=True)
class Blocks:
    """One folder with a model in blocks: its config, and the type of each kind of matrix."""

    name: str
    seed: int
    config: dict
    types: dict[str, Type]


@dataclass(frozen=True)
class Tensor:
    """As it stands in a file, in the order of Hugging Face's checkpoint; f32 where `kind` is None."""

    held: np.ndarray
    kind: Type | None = None


def as_meant(model: PreTrainedModel) -> dict[str, Tensor]:
    """All parameters in f32."""
    return {name: Tensor(parameter.detach().numpy()) for name, parameter in model.named_parameters()}


def in_blocks(model: PreTrainedModel, types: dict[str, Type], seed: int) -> dict[str, Tensor]:
    """The parameters with each matrix in its type; the model's own are set to what these mean."""
    random = np.random.default_rng(seed)
    tensors = as_meant(model)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            (kind,) = (kind for part, kind in types.items() if part in name)
            held = packed(parameter.detach().numpy(), kind, random)
            tensors[name] = Tensor(held, kind)
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(dequantize(held, kind)))
    return tensors


def packed(values: np.ndarray, kind: Type, random: np.random.Generator) -> np.ndarray:
    """Values in a type; blocks of 256, which the package cannot make, are random ones of about the same size."""
    per_block, _ = GGML_QUANT_SIZES[kind]
    if per_block < 256:
        return quantize(values, kind)
    rows, columns = values.shape
    held = random_blocks(kind, rows, columns // per_block, random)
    scale = np.float16(values.std() / dequantize(held, kind).std())
    each = held.reshape(-1, held.shape[1] * per_block // columns)
    for at in HALVES[kind]:
        each[:, at : at + 2] = (each[:, at : at + 2].copy().view(np.float16) * scale).view(np.uint8)
    return held


def paired(rows: np.ndarray, heads: int) -> np.ndarray:
    """The rows of a projection of queries or keys with each head's pairs side by side."""
    halves = rows.reshape(heads, 2, -1, *rows.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(rows.shape)


def write_model(path: Path, model: PreTrainedModel, tensors: dict[str, Tensor], slower: torch.Tensor | None) -> None:
    """Writes the model; `slower` [E/2] divides the frequencies, which Llama 3's files carry as a tensor."""
    config = model.config
    architecture = ARCHITECTURES[config.model_type]
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    writer = gguf.GGUFWriter(path, config.model_type)
    write_metadata(writer, model)
    if slower is not None:
        writer.add_tensor("rope_freqs.weight", slower.numpy().astype(np.float32))
    for name, tensor in tensors.items():
        held = tensor.held
        if config.model_type == "llama" and ("q_proj" in name or "k_proj" in name):
            held = paired(held, config.num_attention_heads if "q_proj" in name else config.num_key_value_heads)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), held, raw_dtype=tensor.kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_metadata(writer: gguf.GGUFWriter, model: PreTrainedModel) -> None:
    config = model.config
    e = model.model.layers[0].self_attn.head_dim
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope["rope_theta"])
    if config.model_type == "llama":
        writer.add_rope_dimension_count(e)
    if e * config.num_attention_heads != config.hidden_size:
        writer.add_key_length(e)
        writer.add_value_length(e)
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    writer.add_tokenizer_model("none")


@torch.no_grad()
def export_blocks(blocks: Blocks, random_model: Callable, folder: Path) -> None:
    """Writes the model and the logits that transformers gives for what its blocks mean."""
    model = random_model(blocks.config, blocks.seed)
    tensors = in_blocks(model, blocks.types, blocks.seed)
    write_model(folder / "model.gguf", model, tensors, None)
    draws = torch.Generator().manual_seed(1000 + blocks.seed)
    ids = torch.randint(model.config.vocab_size, (SITES_LEN,), generator=draws)
    sites = {"tokens": ids.to(torch.int32), "logits": model(ids[None]).logits[0]}
    save_file(sites, folder / "sites.safetensors")
