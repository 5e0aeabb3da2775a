//! Names of a decoder's tensors: Hugging Face's for Llama and its kin, llama.cpp's for the same, and llama2.c's.

use glassformer_weights::TensorSource;

use crate::{Order, Place};

/// W_E.
pub(super) const EMBED: &str = "model.embed_tokens.weight";
/// Gain of the final norm, with `.weight`.
pub(super) const FINAL_NORM: &str = "model.norm";
/// W_U where it is not W_Eᵀ.
pub(super) const UNEMBED: &str = "lm_head.weight";

/// How the tensors of a file are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// As Hugging Face's checkpoints; those of a model without its head lack the prefix `model.`.
    HuggingFace { prefixed: bool },
    /// As llama.cpp's files; queries and keys of heads of this width stand in pairs where it is given.
    Gguf { paired: Option<usize> },
    /// As llama2.c's; queries and keys stand in pairs.
    Llama2c { paired: usize },
}

impl Naming {
    /// That of a checkpoint of Hugging Face.
    pub(super) fn hugging_face(source: &dyn TensorSource) -> Self {
        let bare = without_prefix(EMBED);
        Self::HuggingFace {
            prefixed: source.info(EMBED).is_some() || source.info(bare).is_none(),
        }
    }

    /// Where the parameter of that name is.
    pub(super) fn place(self, name: &str) -> Place {
        match self {
            Self::HuggingFace { prefixed: true } => Place::named(name),
            Self::HuggingFace { prefixed: false } => Place::named(without_prefix(name)),
            Self::Gguf { paired } => Place::ordered(gguf(name), order(name, paired)),
            Self::Llama2c { paired } => Place::ordered(llama2c(name), order(name, Some(paired))),
        }
    }

    /// Whether the file has a matrix W_U of its own.
    pub(super) fn has_unembed(self, source: &dyn TensorSource) -> bool {
        source.info(&self.place(UNEMBED).name).is_some()
    }
}

/// Queries and keys stand in pairs of heads of this width, if one is given.
fn order(name: &str, paired: Option<usize>) -> Order {
    let is_turned = name.contains(".q_proj.") || name.contains(".k_proj.");
    paired
        .filter(|_| is_turned)
        .map_or(Order::Same, Order::Paired)
}

fn without_prefix(name: &str) -> &str {
    name.strip_prefix("model.").unwrap_or(name)
}

/// Number of the block, part and kind (weight or bias) of a parameter in a block.
fn in_block(name: &str) -> Option<(&str, &str, &str)> {
    let (layer, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let (part, kind) = rest.rsplit_once('.')?;
    Some((layer, part, kind))
}

/// llama.cpp's name.
fn gguf(name: &str) -> String {
    let Some((layer, part, kind)) = in_block(name) else {
        return match name {
            EMBED => "token_embd.weight".to_owned(),
            UNEMBED => "output.weight".to_owned(),
            _ => name.replace(FINAL_NORM, "output_norm"),
        };
    };
    let part = match part {
        "input_layernorm" => "attn_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        "post_attention_layernorm" => "ffn_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        other => other,
    };
    format!("blk.{layer}.{part}.{kind}")
}

/// llama2.c's name.
fn llama2c(name: &str) -> String {
    let Some((layer, part, _)) = in_block(name) else {
        let name = match name {
            EMBED => "token_embedding_table",
            UNEMBED => "wcls",
            _ => "rms_final_weight",
        };
        return name.to_owned();
    };
    let part = match part {
        "input_layernorm" => "rms_att_weight",
        "self_attn.q_proj" => "wq",
        "self_attn.k_proj" => "wk",
        "self_attn.v_proj" => "wv",
        "self_attn.o_proj" => "wo",
        "post_attention_layernorm" => "rms_ffn_weight",
        "mlp.gate_proj" => "w1",
        "mlp.up_proj" => "w3",
        "mlp.down_proj" => "w2",
        other => other,
    };
    format!("layers.{layer}.{part}")
}
