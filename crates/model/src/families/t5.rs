//! T5 (Raffel et al. 2020): pre-norm blocks with RMSNorm and without biases, scores that are not divided by √E but have a
//! bias by distance; ReLU, or from v1.1 on a gated MLP and an unembedding of its own (Shazeer 2020).

use std::sync::Arc;

use glassformer_weights::TensorSource;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Refusal;
use super::pair::{self, NormKind, Places, Plan, Relative, StackPlan, Tables};
use super::parts::{activation, check_sizes};
use crate::block::PreNormBlock;
use crate::block::mlp::Activation;
use crate::{Checkpoint, Keep, Marks, Model, Place};

/// The families that this file composes.
pub(super) const NAMES: [&str; 2] = ["t5", "mt5"];

/// The unembedding, where it is not W_Eᵀ.
const UNEMBED: &str = "lm_head.weight";

/// `config.json`, in Hugging Face's field names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    /// "t5", "mt5".
    pub model_type: String,
    /// V.
    pub vocab_size: usize,
    /// D.
    pub d_model: usize,
    /// E.
    pub d_kv: usize,
    /// F.
    pub d_ff: usize,
    /// L of the encoder.
    pub num_layers: usize,
    /// L of the decoder, if it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_decoder_layers: Option<usize>,
    /// H.
    pub num_heads: usize,
    /// Rows of the bias.
    pub relative_attention_num_buckets: usize,
    /// From this distance on all share the last row.
    pub relative_attention_max_distance: usize,
    /// ε of the norms.
    pub layer_norm_epsilon: f32,
    /// `relu`, `gated-gelu`, …
    pub feed_forward_proj: String,
    /// Longest source and target that it was trained with.
    pub n_positions: usize,
    /// Whether W_U is W_Eᵀ.
    pub tie_word_embeddings: bool,
    /// Whether vectors are multiplied by 1/√D before the unembedding; where it is not said, if W_U is W_Eᵀ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_decoder_outputs: Option<bool>,
    /// Fills up batches.
    pub pad_token_id: Option<u32>,
    /// Ends sources and targets.
    pub eos_token_id: Option<u32>,
    /// Stands before the first id of a target; where it is not said, what fills up batches.
    pub decoder_start_token_id: Option<u32>,
    /// Fields that change nothing here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Default for Config {
    /// What files leave out.
    fn default() -> Self {
        Self {
            model_type: "t5".to_owned(),
            vocab_size: 32128,
            d_model: 512,
            d_kv: 64,
            d_ff: 2048,
            num_layers: 6,
            num_decoder_layers: None,
            num_heads: 8,
            relative_attention_num_buckets: 32,
            relative_attention_max_distance: 128,
            layer_norm_epsilon: 1e-6,
            feed_forward_proj: "relu".to_owned(),
            n_positions: 512,
            tie_word_embeddings: true,
            scale_decoder_outputs: None,
            pad_token_id: Some(0),
            eos_token_id: Some(1),
            decoder_start_token_id: None,
            rest: Map::new(),
        }
    }
}

impl Config {
    fn decoder_layers(&self) -> usize {
        self.num_decoder_layers.unwrap_or(self.num_layers)
    }

    /// What cannot be computed, in words that follow "config.json".
    fn check(&self) -> Result<(), String> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("d_model", self.d_model),
            ("d_kv", self.d_kv),
            ("d_ff", self.d_ff),
            ("num_heads", self.num_heads),
            ("n_positions", self.n_positions),
            (
                "num_heads times d_kv",
                self.num_heads.saturating_mul(self.d_kv),
            ),
        ];
        check_sizes(&sizes, ("num_layers", self.num_layers))?;
        check_sizes(&[], ("num_decoder_layers", self.decoder_layers()))?;
        let (buckets, farthest) = (
            self.relative_attention_num_buckets,
            self.relative_attention_max_distance,
        );
        if !(4..1 << 16).contains(&buckets) || farthest <= buckets / 2 || farthest > 1 << 24 {
            return Err(format!(
                "has {buckets} buckets for distances up to {farthest}; there must be at least 4, and at most twice the distance"
            ));
        }
        if !(self.layer_norm_epsilon > 0.0 && self.layer_norm_epsilon < 1.0) {
            return Err(format!(
                "has layer_norm_epsilon = {}; it must lie between 0 and 1",
                self.layer_norm_epsilon
            ));
        }
        self.mlp().map(|_| ())
    }

    /// Whether the MLP is gated, and its activation function.
    fn mlp(&self) -> Result<(bool, Activation), String> {
        let name = self.feed_forward_proj.as_str();
        match name.strip_prefix("gated-") {
            Some("gelu") => Ok((true, Activation::GeluTanh)),
            Some(name) => Ok((true, activation("feed_forward_proj", name)?)),
            None => Ok((false, activation("feed_forward_proj", name)?)),
        }
    }

    /// What it comes to, with W_U in the file or not.
    fn plan(&self, has_unembed: bool) -> Plan {
        let (gated, activation) = self.mlp().expect("checked");
        let stack = |n_layers| StackPlan {
            n_layers,
            n_heads: self.num_heads,
            d_ff: self.d_ff,
        };
        let scales = self
            .scale_decoder_outputs
            .unwrap_or(self.tie_word_embeddings);
        let is_apart = has_unembed && !(self.tie_word_embeddings && scales);
        let is_own = |name: &&&str| **name == self.model_type;
        Plan {
            family: NAMES.iter().find(is_own).copied().unwrap_or(NAMES[0]),
            d_model: self.d_model,
            d_head: Some(self.d_kv),
            source_vocab: self.vocab_size,
            vocab: self.vocab_size,
            n_ctx: self.n_positions,
            stacks: [stack(self.num_layers), stack(self.decoder_layers())],
            activation,
            gated,
            norm: NormKind::Rms(self.layer_norm_epsilon),
            biases: false,
            scaled_scores: false,
            relative: Some(Relative {
                buckets: self.relative_attention_num_buckets,
                farthest: self.relative_attention_max_distance,
            }),
            places: Places::None,
            tables: if is_apart {
                Tables::OutputApart
            } else {
                Tables::One
            },
            embed_scale: None,
            embed_norm: false,
            final_norm: true,
            output_scale: scales.then(|| 1.0 / (self.d_model as f32).sqrt()),
            output_bias: false,
            marks: Marks {
                start: self.decoder_start_token_id.or(self.pad_token_id),
                end: self.eos_token_id,
                pad: self.pad_token_id,
            },
            name,
            config: serde_json::to_string_pretty(self).expect("a config is plain data"),
        }
    }
}

/// A model from a Hugging Face checkpoint.
pub(super) fn open(
    config: &Config,
    source: Arc<dyn TensorSource>,
    keep: Keep,
) -> Result<Model, Refusal> {
    config.check().map_err(Refusal::Config)?;
    let plan = config.plan(source.info(UNEMBED).is_some());
    let checkpoint = Checkpoint {
        source,
        find: Box::new(|name| Place::named(name)),
        keep,
    };
    pair::bind::<PreNormBlock>(plan, &checkpoint)
}

/// T5's name of what BART calls `name`.
fn name(name: &str) -> String {
    let rest = name.strip_prefix("model.").unwrap_or(name);
    let in_block = rest.split_once(".layers.").and_then(|(stack, rest)| {
        let (layer, part) = rest.split_once('.')?;
        Some((stack, layer, part))
    });
    let Some((stack, layer, part)) = in_block else {
        return rest.replace(".layer_norm", ".final_layer_norm");
    };
    let last = if stack == "decoder" { 2 } else { 1 };
    let part = match part {
        "self_attn_layer_norm" => "layer.0.layer_norm".to_owned(),
        "encoder_attn_layer_norm" => "layer.1.layer_norm".to_owned(),
        "final_layer_norm" => format!("layer.{last}.layer_norm"),
        "fc1" => format!("layer.{last}.DenseReluDense.wi"),
        "fc1_gate" => format!("layer.{last}.DenseReluDense.wi_0"),
        "fc1_up" => format!("layer.{last}.DenseReluDense.wi_1"),
        "fc2" => format!("layer.{last}.DenseReluDense.wo"),
        other => other
            .replace("self_attn.", "layer.0.SelfAttention.")
            .replace("encoder_attn.", "layer.1.EncDecAttention.")
            .replace(".out_proj", ".o")
            .replace("_proj", ""),
    };
    format!("{stack}.block.{layer}.{part}")
}
