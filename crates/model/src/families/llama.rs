//! Llama (Touvron et al. 2023) and what is built as it is: Llama 2 and 3, SmolLM2, TinyLlama, Mistral with its window.

use super::decoder_config::{DecoderConfig, Traits};

/// The families that this file composes.
pub(super) const NAMES: [&str; 2] = ["llama", "mistral"];

/// What sets them apart; Mistral alone looks back through a window.
pub(super) fn traits(config: &DecoderConfig) -> Traits {
    let bias = config.attention_bias.unwrap_or(false);
    let is_mistral = config.model_type == "mistral";
    Traits {
        family: if is_mistral { "mistral" } else { "llama" },
        qkv_bias: bias,
        out_bias: bias,
        head_norm: false,
        windowed: is_mistral || config.sliding_window.is_some(),
    }
}
