//! A decoder in a GGUF file: its config from the metadata, where the metadata says it, and from the tensors; and back.

use std::sync::Arc;

use glassformer_weights::gguf::{Metadata, Value};
use glassformer_weights::{GgufFile, TensorSource, WeightsError};

use super::decoder_config::DecoderConfig;
use super::names::{EMBED, Naming};
use super::rope_config::RopeScaling;
use super::{Refusal, decoder};
use crate::block::attention::Stretch;
use crate::export::GgufForm;
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
    let class = match model_type {
        "llama" => "LlamaForCausalLM",
        "mistral" => "MistralForCausalLM",
        "qwen2" => "Qwen2ForCausalLM",
        _ => "Qwen3ForCausalLM",
    };
    let mut config = DecoderConfig {
        architectures: vec![class.to_owned()],
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
    if architecture == "qwen3" && config.d_head() * config.num_attention_heads == config.hidden_size
    {
        // Said even where it is D/H: transformers takes 128 for what is not said.
        config.head_dim = Some(config.d_head());
    }
    check(metadata, architecture, config.d_head())?;
    Ok(config)
}

/// Refuses what makes another network of it; `e` is the width of a head.
fn check(metadata: &Metadata, architecture: &str, e: usize) -> Result<(), Refusal> {
    let key = |name: &str| format!("{architecture}.{name}");
    let optional = |name: &str| metadata.optional(&key(name), Metadata::u64);
    for name in ["attention.value_length", "rope.dimension_count"] {
        if let Some(other) = optional(name)?.filter(|&width| width != e as u64) {
            return Err(Refusal::Config(format!(
                "has {} = {other}; only heads of one width, here {e}, that are turned as a whole can be computed",
                key(name)
            )));
        }
    }
    match optional("expert_count")? {
        None | Some(0) => Ok(()),
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

/// How llama.cpp holds a decoder with this config. Errors: it cannot, in words that follow "the model".
pub(super) fn form(config: &DecoderConfig, has_window: bool) -> Result<GgufForm, String> {
    let architecture = match config.model_type.as_str() {
        "llama" | "mistral" => "llama",
        "qwen2" => "qwen2",
        _ => "qwen3",
    };
    let is_llama = architecture == "llama";
    if !matches!(config.hidden_act.as_str(), "silu" | "swish") {
        return Err(format!(
            "has hidden_act {:?}; llama.cpp knows {architecture} with silu alone",
            config.hidden_act
        ));
    }
    if architecture == "qwen3" && config.attention_bias == Some(true) {
        return Err("has attention_bias = true; llama.cpp knows qwen3 without".to_owned());
    }
    if has_window && !is_llama {
        return Err(format!(
            "looks back through a window; llama.cpp knows {architecture} without"
        ));
    }
    let vectors: Vec<_> = factors(config)?
        .map(|factors| (FACTORS.to_owned(), factors))
        .into_iter()
        .collect();
    if !vectors.is_empty() && !is_llama {
        return Err(format!(
            "has frequencies stretched each in its own way; llama.cpp knows {architecture} without"
        ));
    }
    let naming = Naming::Gguf {
        paired: is_llama.then(|| config.d_head()),
    };
    let remarks = has_window.then(|| {
        let width = config.sliding_window.unwrap_or_default();
        format!("llama.cpp pays no heed to the window of {width} positions: longer texts come out otherwise there")
    });
    Ok(GgufForm {
        architecture,
        metadata: metadata(config, architecture)?,
        find: Box::new(move |name| Some(naming.place(name))),
        vectors,
        remarks: remarks.into_iter().collect(),
    })
}

/// Llama 3's factors, or those of a file that had some.
fn factors(config: &DecoderConfig) -> Result<Option<Vec<f32>>, String> {
    let (base, stretch) = config.stretch()?;
    let pairs = config.d_head() / 2;
    Ok(match &stretch {
        Stretch::None | Stretch::Linear(_) => None,
        Stretch::Each(factors) => Some(factors.to_vec()),
        Stretch::ByWavelength { .. } => {
            let plain = |i: usize| 1.0 / base.powf(i as f32 / pairs as f32);
            let factor = |i| plain(i) / stretch.apply(i, plain(i));
            Some((0..pairs).map(factor).collect())
        }
    })
}

/// The keys that llama.cpp's converter writes.
fn metadata(config: &DecoderConfig, architecture: &str) -> Result<Vec<(String, Value)>, String> {
    let mut metadata = Vec::new();
    let mut put = |name: &str, value| metadata.push((format!("{architecture}.{name}"), value));
    let size = |n: usize| Value::U32(n as u32);
    let (e, d) = (config.d_head(), config.hidden_size);
    put("block_count", size(config.num_hidden_layers));
    put("context_length", size(config.max_position_embeddings));
    put("embedding_length", size(d));
    put("feed_forward_length", size(config.intermediate_size));
    put("attention.head_count", size(config.num_attention_heads));
    put("attention.head_count_kv", size(config.kv_heads()));
    put(
        "attention.layer_norm_rms_epsilon",
        Value::F32(config.rms_norm_eps),
    );
    put("vocab_size", size(config.vocab_size));
    let (base, stretch) = config.stretch()?;
    put("rope.freq_base", Value::F32(base));
    if architecture == "llama" {
        put("rope.dimension_count", size(e));
    }
    if e * config.num_attention_heads != d {
        put("attention.key_length", size(e));
        put("attention.value_length", size(e));
    }
    if let Stretch::Linear(factor) = stretch {
        put("rope.scaling.type", Value::String("linear".to_owned()));
        put("rope.scaling.factor", Value::F32(factor));
    }
    if config.model_type == "mistral"
        && let Some(width) = config.sliding_window
    {
        put("attention.sliding_window", size(width));
    }
    Ok(metadata)
}
