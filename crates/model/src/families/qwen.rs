//! Qwen2 and Qwen2.5 (Yang et al. 2024: biases of q, k and v), Qwen3 (2025: a norm of each head's queries and keys).

use super::decoder_config::{Blocks, DecoderConfig, Traits};

/// The families that this file composes.
pub(super) const NAMES: [&str; 2] = ["qwen2", "qwen3"];

/// The first block with a window where a config does not say, as in transformers.
const FIRST_WINDOW: usize = 28;

/// What sets them apart.
pub(super) fn traits(config: &DecoderConfig) -> Traits {
    let is_qwen3 = config.model_type == "qwen3";
    let bias = config.attention_bias.unwrap_or(false);
    Traits {
        family: if is_qwen3 { "qwen3" } else { "qwen2" },
        qkv_bias: !is_qwen3 || bias,
        out_bias: is_qwen3 && bias,
        mlp_bias: false,
        head_norm: is_qwen3,
        windowed: if config.use_sliding_window.unwrap_or(false) {
            Blocks::From(config.max_window_layers.unwrap_or(FIRST_WINDOW))
        } else {
            Blocks::None
        },
    }
}
