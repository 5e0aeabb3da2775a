//! Llama (Touvron et al. 2023) and what is built as it is: Llama 2 and 3, SmolLM2, TinyLlama, Mistral with its window.

use super::decoder_config::{Blocks, DecoderConfig, Traits};

/// The families that this file composes.
pub(super) const NAMES: [&str; 2] = ["llama", "mistral"];

/// What sets them apart: Mistral alone looks back through a window, Llama alone may have biases.
pub(super) fn traits(config: &DecoderConfig) -> Traits {
    let is_mistral = config.model_type == "mistral";
    let bias = !is_mistral && config.attention_bias.unwrap_or(false);
    Traits {
        family: if is_mistral { "mistral" } else { "llama" },
        qkv_bias: bias,
        out_bias: bias,
        mlp_bias: !is_mistral && config.mlp_bias.unwrap_or(false),
        head_norm: false,
        windowed: if is_mistral {
            Blocks::All
        } else {
            Blocks::None
        },
    }
}
