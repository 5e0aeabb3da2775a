//! Qwen2 and Qwen2.5 (Yang et al. 2024: biases of q, k and v), Qwen3 (2025: a norm of each head's queries and keys).

use super::decoder_config::{DecoderConfig, Traits};

/// The families that this file composes.
pub(super) const NAMES: [&str; 2] = ["qwen2", "qwen3"];

/// What sets them apart.
pub(super) fn traits(config: &DecoderConfig) -> Traits {
    let windowed = config.use_sliding_window.unwrap_or(false);
    if config.model_type == "qwen3" {
        let bias = config.attention_bias.unwrap_or(false);
        return Traits {
            family: "qwen3",
            qkv_bias: bias,
            out_bias: bias,
            head_norm: true,
            windowed,
        };
    }
    Traits {
        family: "qwen2",
        qkv_bias: true,
        out_bias: false,
        head_norm: false,
        windowed,
    }
}
