//! Names of a decoder's tensors: Hugging Face's for Llama and its kin, and llama.cpp's for the same.

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
    /// As Hugging Face's checkpoints.
    HuggingFace,
    /// As llama.cpp's files; queries and keys of heads of this width stand in pairs where it is given.
    Gguf { paired: Option<usize> },
}

impl Naming {
    /// Where the parameter of that name is.
    pub(super) fn place(self, name: &str) -> Place {
        match self {
            Self::HuggingFace => Place::named(name),
            Self::Gguf { paired } => Place {
                name: gguf(name),
                order: match paired {
                    Some(width) if name.contains(".q_proj.") || name.contains(".k_proj.") => {
                        Order::Paired(width)
                    }
                    _ => Order::Same,
                },
            },
        }
    }

    /// Whether the file has a matrix W_U of its own.
    pub(super) fn has_unembed(self, source: &dyn TensorSource) -> bool {
        source.info(&self.place(UNEMBED).name).is_some()
    }
}

/// llama.cpp's name.
fn gguf(name: &str) -> String {
    let in_block = name
        .strip_prefix("model.layers.")
        .and_then(|rest| rest.split_once('.'))
        .and_then(|(layer, part)| Some((layer, part.rsplit_once('.')?)));
    let Some((layer, (part, kind))) = in_block else {
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
