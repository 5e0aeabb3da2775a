//! A decoder in a GGUF file: its config from the metadata, where the metadata says it, and from the tensors.

use std::sync::Arc;

use glassformer_weights::gguf::Metadata;
use glassformer_weights::{GgufFile, TensorSource, WeightsError};

use super::decoder_config::DecoderConfig;
use super::names::{EMBED, Naming};
use super::rope_config::RopeScaling;
use super::{Refusal, decoder};
use crate::block::attention::Stretch;
use crate::{Keep, Model};

/// llama.cpp's names of the architectures; Mistral is a Llama to it.
pub(super) const ARCHITECTURES: [&str; 3] = ["llama", "qwen2", "qwen3"];

/// By what the frequencies are divided, in files of Llama 3.
const FACTORS: &str = "rope_freqs.weight";

/// The model in the file, which is of one of the [`ARCHITECTURES`].
pub(super) fn open(file: &GgufFile, architecture: &str, keep: Keep) -> Result<Model, Refusal> {
    let mut config = config(file.metadata(), architecture)?;
    let has = |name: &str| file.info(name).is_some();
    let naming = Naming::Gguf {
        paired: (architecture == "llama").then(|| config.d_head()),
    };
    let rows = file.info(&naming.place(EMBED).name);
    config.vocab_size = rows
        .and_then(|info| info.shape.first().copied())
        .unwrap_or(0);
    config.tie_word_embeddings = !naming.has_unembed(file);
    config.attention_bias = Some(has("blk.0.attn_q.bias"));
    config.mlp_bias = Some(has("blk.0.ffn_down.bias"));
    if let Some(info) = file.info(FACTORS) {
        let mut factors = vec![0.0; info.shape.iter().product()];
        file.read_f32(FACTORS, &info.shape, &mut factors)?;
        config.rope_scaling = Some(with_factors(&config, factors).map_err(Refusal::Config)?);
    }
    decoder(&config, Arc::new(file.clone()), keep, naming)
}

/// What the metadata says, under keys that begin with the architecture's name.
fn config(metadata: &Metadata, architecture: &str) -> Result<DecoderConfig, Refusal> {
    let key = |name: &str| format!("{architecture}.{name}");
    let size = |name: &str| metadata.u64(&key(name)).map(|n| n as usize);
    let optional = |name: &str| -> Result<Option<usize>, WeightsError> {
        let value = metadata.optional(&key(name), Metadata::u64)?;
        Ok(value.map(|n| n as usize))
    };
    let float = |name: &str| metadata.optional(&key(name), Metadata::f32);
    let rope_scaling = match metadata.optional(&key("rope.scaling.type"), Metadata::string)? {
        None | Some("none") => None,
        Some(kind) => Some(RopeScaling {
            rope_type: Some(kind.to_owned()),
            factor: float("rope.scaling.factor")?,
            ..RopeScaling::default()
        }),
    };
    let sliding_window = optional("attention.sliding_window")?.filter(|&width| width > 0);
    let model_type = match architecture {
        "llama" if sliding_window.is_some() => "mistral",
        other => other,
    };
    let config = DecoderConfig {
        model_type: model_type.to_owned(),
        hidden_size: size("embedding_length")?,
        intermediate_size: size("feed_forward_length")?,
        num_hidden_layers: size("block_count")?,
        num_attention_heads: size("attention.head_count")?,
        num_key_value_heads: optional("attention.head_count_kv")?,
        head_dim: optional("attention.key_length")?,
        max_position_embeddings: size("context_length")?,
        rms_norm_eps: metadata.f32(&key("attention.layer_norm_rms_epsilon"))?,
        rope_theta: float("rope.freq_base")?,
        rope_scaling,
        sliding_window,
        ..DecoderConfig::default()
    };
    let e = config.d_head();
    for name in ["attention.value_length", "rope.dimension_count"] {
        if let Some(other) = optional(name)?.filter(|&width| width != e) {
            return Err(Refusal::Config(format!(
                "has {} = {other}; only heads of one width, here {e}, that are turned as a whole can be computed",
                key(name)
            )));
        }
    }
    match optional("expert_count")? {
        None | Some(0) => Ok(config),
        Some(experts) => Err(Refusal::Config(format!(
            "has {} = {experts}; mixtures of experts cannot be computed",
            key("expert_count")
        ))),
    }
}

/// The frequencies of `config`, divided by `factors` too.
fn with_factors(config: &DecoderConfig, mut factors: Vec<f32>) -> Result<RopeScaling, String> {
    if let (_, Stretch::Linear(all)) = config.stretch()? {
        for factor in &mut *factors {
            *factor *= all;
        }
    }
    Ok(RopeScaling::each(factors, config.max_position_embeddings))
}
