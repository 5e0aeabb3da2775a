//! Names of an encoder's tensors: Hugging Face's for BERT and for RoBERTa, and llama.cpp's for both.

use glassformer_weights::TensorSource;

use super::bert_config::EncoderConfig;
use crate::block::mlp::Activation;
use crate::export::GgufForm;
use crate::{Order, Place};

/// W_E, without prefix.
pub(super) const EMBED: &str = "embeddings.word_embeddings.weight";
/// W_pos, without prefix.
pub(super) const POSITIONS: &str = "embeddings.position_embeddings.weight";
/// W_type, without prefix.
pub(super) const TYPES: &str = "embeddings.token_type_embeddings.weight";

/// What the masked-language head's parameters are called.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadNames {
    /// The layer before the norm, with `.weight` and `.bias`.
    pub(super) dense: &'static str,
    /// The norm.
    pub(super) norm: &'static str,
    /// b.
    pub(super) bias: &'static str,
    /// W_U where it is not W_Eᵀ.
    pub(super) decoder: &'static str,
}

/// Prefix of all names but the head's, in models that have a head, and the head's own.
pub(super) fn of_family(is_roberta: bool) -> (&'static str, HeadNames) {
    if is_roberta {
        let head = HeadNames {
            dense: "lm_head.dense",
            norm: "lm_head.layer_norm",
            bias: "lm_head.bias",
            decoder: "lm_head.decoder.weight",
        };
        return ("roberta.", head);
    }
    let head = HeadNames {
        dense: "cls.predictions.transform.dense",
        norm: "cls.predictions.transform.LayerNorm",
        bias: "cls.predictions.bias",
        decoder: "cls.predictions.decoder.weight",
    };
    ("bert.", head)
}

/// The tensor of a Hugging Face file that holds the parameter `name`: called so, or as older files call it.
pub(super) fn hugging_face(source: &dyn TensorSource, name: &str) -> String {
    let older = match name.rsplit_once('.') {
        Some((norm, "weight")) if norm.ends_with("LayerNorm") => format!("{norm}.gamma"),
        Some((norm, "bias")) if norm.ends_with("LayerNorm") => format!("{norm}.beta"),
        Some((head @ ("cls.predictions" | "lm_head"), "bias")) => format!("{head}.decoder.bias"),
        _ => return name.to_owned(),
    };
    let is_older = source.info(name).is_none() && source.info(&older).is_some();
    if is_older { older } else { name.to_owned() }
}

/// llama.cpp's name of a parameter without prefix.
pub(super) fn gguf(name: &str) -> String {
    let in_layer = name
        .strip_prefix("encoder.layer.")
        .and_then(|rest| rest.split_once('.'))
        .and_then(|(layer, part)| Some((layer, part.rsplit_once('.')?)));
    let Some((layer, (part, kind))) = in_layer else {
        return match name {
            EMBED => "token_embd.weight".to_owned(),
            TYPES => "token_types.weight".to_owned(),
            POSITIONS => "position_embd.weight".to_owned(),
            _ => name.replace("embeddings.LayerNorm", "token_embd_norm"),
        };
    };
    let part = match part {
        "attention.self.query" => "attn_q",
        "attention.self.key" => "attn_k",
        "attention.self.value" => "attn_v",
        "attention.output.dense" => "attn_output",
        "attention.output.LayerNorm" => "attn_output_norm",
        "intermediate.dense" => "ffn_up",
        "output.dense" => "ffn_down",
        "output.LayerNorm" => "layer_output_norm",
        other => other,
    };
    format!("blk.{layer}.{part}.{kind}")
}

/// How llama.cpp's files hold an encoder, but for the metadata. Errors: they cannot, in words that follow "the model".
pub(super) fn form(config: &EncoderConfig, head: bool) -> Result<GgufForm, String> {
    if config.activation()? != Activation::Gelu {
        return Err(format!(
            "has hidden_act {:?}; llama.cpp knows bert with gelu alone",
            config.hidden_act
        ));
    }
    let (prefix, names) = of_family(config.is_roberta());
    let first = config.first_position();
    let find = move |name: &str| {
        let is_head = [names.dense, names.norm].iter().any(|layer| {
            name.strip_prefix(layer)
                .is_some_and(|rest| rest.starts_with('.'))
        });
        if is_head || name == names.bias || name == names.decoder {
            return None;
        }
        let name = name.strip_prefix(prefix).unwrap_or(name);
        let order = if name == POSITIONS && first > 0 {
            Order::From(first)
        } else {
            Order::Same
        };
        Some(Place::ordered(gguf(name), order))
    };
    let remark = "the head that fills gaps is left out: llama.cpp's bert ends at vectors";
    Ok(GgufForm {
        architecture: "bert",
        metadata: Vec::new(),
        find: Box::new(find),
        vectors: Vec::new(),
        remarks: head.then(|| remark.to_owned()).into_iter().collect(),
    })
}
