//! The config fields that Llama and its kin share.

use serde::{Deserialize, Serialize};

use super::decoder::Plan;
use super::rope_config::RopeScaling;
use crate::Dimensions;
use crate::block::attention::{Rope, Sees, Stretch};
use crate::block::mlp::Activation;
use crate::families::parts::check_sizes;

/// `config.json`, in Hugging Face's field names. What is absent is as in transformers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecoderConfig {
    /// What loads it in transformers.
    pub architectures: Vec<String>,
    /// "llama", "mistral", "qwen2", "qwen3".
    pub model_type: String,
    /// V.
    pub vocab_size: usize,
    /// D.
    pub hidden_size: usize,
    /// F.
    pub intermediate_size: usize,
    /// L.
    pub num_hidden_layers: usize,
    /// H.
    pub num_attention_heads: usize,
    /// K; H when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_key_value_heads: Option<usize>,
    /// E; D/H when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_dim: Option<usize>,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// `silu`, …
    pub hidden_act: String,
    /// ε of the norms.
    pub rms_norm_eps: f32,
    /// Base of the rotary frequencies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_theta: Option<f32>,
    /// How they were stretched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_scaling: Option<RopeScaling>,
    /// Both of these in newer files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_parameters: Option<RopeScaling>,
    /// Positions that a query looks back, if not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sliding_window: Option<usize>,
    /// Whether the window counts (Qwen has it switched off).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_sliding_window: Option<bool>,
    /// Of each block `full_attention` or `sliding_attention` (Qwen).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_types: Option<Vec<String>>,
    /// Where that is absent: the first block with a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_window_layers: Option<usize>,
    /// Biases of q, k, v and after the heads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention_bias: Option<bool>,
    /// Biases of the MLP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlp_bias: Option<bool>,
    /// Whether W_U is W_Eᵀ.
    pub tie_word_embeddings: bool,
    /// Ids that begin and end a text: a number or a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bos_token_id: Option<serde_json::Value>,
    /// … end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eos_token_id: Option<serde_json::Value>,
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self {
            architectures: Vec::new(),
            model_type: String::new(),
            vocab_size: 0,
            hidden_size: 0,
            intermediate_size: 0,
            num_hidden_layers: 0,
            num_attention_heads: 0,
            num_key_value_heads: None,
            head_dim: None,
            max_position_embeddings: 0,
            hidden_act: "silu".to_owned(),
            rms_norm_eps: 1e-6,
            rope_theta: None,
            rope_scaling: None,
            rope_parameters: None,
            sliding_window: None,
            use_sliding_window: None,
            layer_types: None,
            max_window_layers: None,
            attention_bias: None,
            mlp_bias: None,
            tie_word_embeddings: false,
            bos_token_id: None,
            eos_token_id: None,
        }
    }
}

/// What a family adds to the shared fields.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what a family has or has not"
)]
pub(super) struct Traits {
    pub(super) family: &'static str,
    pub(super) qkv_bias: bool,
    pub(super) out_bias: bool,
    pub(super) mlp_bias: bool,
    pub(super) head_norm: bool,
    /// Which blocks `sliding_window` counts for.
    pub(super) windowed: Blocks,
}

/// Some blocks of a network.
#[derive(Clone, Copy, Debug)]
pub(super) enum Blocks {
    None,
    All,
    /// Those that `layer_types` names, or where it is absent from this one on.
    From(usize),
}

/// The kind of a block with a window.
const SLIDING: &str = "sliding_attention";

impl DecoderConfig {
    pub(super) fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    pub(super) fn d_head(&self) -> usize {
        self.head_dim
            .unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// What cannot be computed, in words that follow "config.json". Checked before anything is allocated.
    pub fn check(&self) -> Result<(), String> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.kv_heads()),
            ("head_dim", self.d_head()),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        check_sizes(&sizes, ("num_hidden_layers", self.num_hidden_layers))?;
        let width = self.num_attention_heads * self.d_head();
        check_sizes(&[("num_attention_heads × head_dim", width)], ("", 1))?;
        let (heads, kv) = (self.num_attention_heads, self.kv_heads());
        if !heads.is_multiple_of(kv) {
            return Err(format!(
                "has num_attention_heads = {heads} which num_key_value_heads = {kv} does not divide"
            ));
        }
        if !self.d_head().is_multiple_of(2) {
            return Err(format!(
                "has head_dim = {}; rotary positions need an even one",
                self.d_head()
            ));
        }
        if self.head_dim.is_none() && !self.hidden_size.is_multiple_of(heads) {
            return Err(format!(
                "has hidden_size = {} which num_attention_heads = {heads} does not divide",
                self.hidden_size
            ));
        }
        if !(self.rms_norm_eps > 0.0 && self.rms_norm_eps < 1.0) {
            return Err(format!(
                "has rms_norm_eps = {}; it must lie between 0 and 1",
                self.rms_norm_eps
            ));
        }
        self.activation()?;
        self.check_layer_types()?;
        self.stretch()?;
        Ok(())
    }

    fn check_layer_types(&self) -> Result<(), String> {
        let Some(kinds) = &self.layer_types else {
            return Ok(());
        };
        if kinds.len() != self.num_hidden_layers {
            return Err(format!(
                "has {} layer_types for num_hidden_layers = {}",
                kinds.len(),
                self.num_hidden_layers
            ));
        }
        let known = |kind: &&String| [SLIDING, "full_attention"].contains(&kind.as_str());
        match kinds.iter().find(|kind| !known(kind)) {
            None => Ok(()),
            Some(other) => Err(format!(
                "has layer_types {other:?}; full_attention and {SLIDING} can be computed"
            )),
        }
    }

    fn activation(&self) -> Result<Activation, String> {
        match self.hidden_act.as_str() {
            "silu" | "swish" => Ok(Activation::Silu),
            "gelu" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            "relu" => Ok(Activation::Relu),
            other => Err(format!(
                "has hidden_act {other:?}; silu, gelu, gelu_pytorch_tanh and relu can be computed"
            )),
        }
    }

    /// The base of the frequencies and how they are stretched.
    pub(super) fn stretch(&self) -> Result<(f32, Stretch), String> {
        let scaling = self.rope_parameters.as_ref().or(self.rope_scaling.as_ref());
        let base = scaling
            .and_then(|scaling| scaling.rope_theta)
            .or(self.rope_theta)
            .unwrap_or(10_000.0);
        if !(base.is_finite() && base > 1.0) {
            return Err(format!("has rope_theta = {base}; it must be larger than 1"));
        }
        let stretch = match scaling {
            None => Stretch::None,
            Some(scaling) => scaling.stretch(self.d_head() / 2, self.max_position_embeddings)?,
        };
        Ok((base, stretch))
    }

    /// Which keys the queries of a block look at.
    fn sees(&self, windowed: Blocks, layer: usize) -> Sees {
        let has_window = match (windowed, &self.layer_types) {
            (Blocks::None, _) => false,
            (Blocks::All, _) => true,
            (Blocks::From(_), Some(kinds)) => kinds[layer] == SLIDING,
            (Blocks::From(first), None) => layer >= first,
        };
        let in_use = |&width: &usize| width > 0 && width < self.max_position_embeddings;
        match self.sliding_window.filter(in_use) {
            Some(width) if has_window => Sees::Window(width),
            _ => Sees::Past,
        }
    }

    /// What it comes to, after [`DecoderConfig::check`].
    pub(super) fn plan(&self, traits: Traits) -> Plan {
        let (base, stretch) = self.stretch().expect("checked");
        let (d_head, n_ctx) = (self.d_head(), self.max_position_embeddings);
        Plan {
            family: traits.family,
            dimensions: Dimensions {
                n_layers: self.num_hidden_layers,
                n_heads: self.num_attention_heads,
                n_kv_heads: self.kv_heads(),
                d_model: self.hidden_size,
                d_head,
                d_ff: self.intermediate_size,
                n_ctx,
                vocab: self.vocab_size,
            },
            norm_eps: self.rms_norm_eps,
            rope_facts: format!("rotary, base {base}{}", stretch.in_words()),
            rope: Rope::new(d_head, base, &stretch, n_ctx),
            sees: (0..self.num_hidden_layers)
                .map(|layer| self.sees(traits.windowed, layer))
                .collect(),
            activation: self.activation().expect("checked"),
            qkv_bias: traits.qkv_bias,
            out_bias: traits.out_bias,
            mlp_bias: traits.mlp_bias,
            head_norm: traits.head_norm,
            tied: self.tie_word_embeddings,
            config: serde_json::to_string_pretty(self).expect("a config is plain data"),
        }
    }
}
