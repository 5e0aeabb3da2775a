//! The config fields that Llama and its kin share, from `config.json` or from a GGUF file's metadata.

use crate::block::attention::Sees;
use glassformer_weights::WeightsError;
use glassformer_weights::gguf::Metadata;
use serde::{Deserialize, Serialize};

use super::decoder::Plan;
use crate::Dimensions;
use crate::block::attention::{Rope, Stretch};
use crate::block::mlp::Activation;

/// `config.json`, in Hugging Face's field names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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

/// Hugging Face's description of stretched frequencies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RopeScaling {
    /// `default`, `linear`, `llama3`; `type` in older files.
    #[serde(alias = "type")]
    pub rope_type: String,
    /// Base, where it stands here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_theta: Option<f32>,
    /// By what low frequencies are divided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f32>,
    /// See [`Stretch::ByWavelength`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_freq_factor: Option<f32>,
    /// See [`Stretch::ByWavelength`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_freq_factor: Option<f32>,
    /// The context before stretching.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_max_position_embeddings: Option<f32>,
}

/// Largest size of anything: what is above it is damage.
const MOST: usize = 1 << 24;

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
    pub(super) head_norm: bool,
    /// Whether `sliding_window` counts.
    pub(super) windowed: bool,
}

impl DecoderConfig {
    fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    fn d_head(&self) -> usize {
        self.head_dim
            .unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// What cannot be computed, in words that follow "config.json". Checked before anything is allocated.
    pub fn check(&self) -> Result<(), String> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.kv_heads()),
            ("head_dim", self.d_head()),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        let bad = |&(_, value): &(&str, usize)| value == 0 || value > MOST;
        if let Some((name, value)) = sizes.into_iter().find(bad) {
            return Err(format!(
                "has {name} = {value}; it must lie between 1 and 2^24"
            ));
        }
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
        if self.use_sliding_window == Some(true) {
            let reason = "has use_sliding_window = true; a window in some layers alone cannot be computed yet";
            return Err(reason.to_owned());
        }
        self.activation()?;
        self.stretch()?;
        Ok(())
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
    fn stretch(&self) -> Result<(f32, Stretch), String> {
        let scaling = self.rope_parameters.as_ref().or(self.rope_scaling.as_ref());
        let base = scaling
            .and_then(|scaling| scaling.rope_theta)
            .or(self.rope_theta)
            .unwrap_or(10_000.0);
        if !(base.is_finite() && base > 1.0) {
            return Err(format!("has rope_theta = {base}; it must be larger than 1"));
        }
        let Some(scaling) = scaling else {
            return Ok((base, Stretch::None));
        };
        let need = |name: &str, value: Option<f32>| match value {
            Some(value) if value.is_finite() && value > 0.0 => Ok(value),
            _ => Err(format!(
                "has rope scaling {:?} without a positive {name}",
                scaling.rope_type
            )),
        };
        let stretch = match scaling.rope_type.as_str() {
            "" | "default" => Stretch::None,
            "linear" => Stretch::Linear(need("factor", scaling.factor)?),
            "llama3" => Stretch::ByWavelength {
                factor: need("factor", scaling.factor)?,
                low: need("low_freq_factor", scaling.low_freq_factor)?,
                high: need("high_freq_factor", scaling.high_freq_factor)?,
                context: need(
                    "original_max_position_embeddings",
                    scaling.original_max_position_embeddings,
                )?,
            },
            other => {
                return Err(format!(
                    "has rope scaling {other:?}; default, linear and llama3 can be computed"
                ));
            }
        };
        Ok((base, stretch))
    }

    /// What it comes to, after [`DecoderConfig::check`].
    pub(super) fn plan(&self, traits: Traits) -> Plan {
        let (base, stretch) = self.stretch().expect("checked");
        let (d_head, n_ctx) = (self.d_head(), self.max_position_embeddings);
        let window = self
            .sliding_window
            .filter(|&width| traits.windowed && width > 0 && width < n_ctx);
        let stretched = match stretch {
            Stretch::None => String::new(),
            Stretch::Linear(factor) => format!(", stretched {factor} times"),
            Stretch::ByWavelength { factor, .. } => {
                format!(", low frequencies stretched {factor} times")
            }
        };
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
            rope: Rope::new(d_head, base, stretch, n_ctx),
            rope_facts: format!("rotary, base {base}{stretched}"),
            sees: window.map_or(Sees::Past, Sees::Window),
            activation: self.activation().expect("checked"),
            qkv_bias: traits.qkv_bias,
            out_bias: traits.out_bias,
            mlp_bias: self.mlp_bias.unwrap_or(false),
            head_norm: traits.head_norm,
            tied: self.tie_word_embeddings,
            config: serde_json::to_string_pretty(self).expect("a config is plain data"),
        }
    }

    /// From the metadata of a GGUF file, whose keys begin with the architecture's name. Errors: a key is missing or of
    /// another type. What is tied shows in the tensors, not here.
    pub(super) fn from_gguf(
        metadata: &Metadata,
        architecture: &str,
        vocab_size: usize,
    ) -> Result<Self, WeightsError> {
        let key = |name: &str| format!("{architecture}.{name}");
        let size = |name: &str| metadata.u64(&key(name)).map(|n| n as usize);
        let optional = |name: &str| metadata.optional(&key(name), Metadata::u64);
        let float = |name: &str| metadata.optional(&key(name), Metadata::f32);
        let (hidden_size, heads) = (size("embedding_length")?, size("attention.head_count")?);
        let rope_scaling = match metadata.optional(&key("rope.scaling.type"), Metadata::string)? {
            None | Some("none") => None,
            Some(kind) => Some(RopeScaling {
                rope_type: kind.to_owned(),
                factor: float("rope.scaling.factor")?,
                ..RopeScaling::default()
            }),
        };
        Ok(Self {
            model_type: architecture.to_owned(),
            vocab_size,
            hidden_size,
            intermediate_size: size("feed_forward_length")?,
            num_hidden_layers: size("block_count")?,
            num_attention_heads: heads,
            num_key_value_heads: optional("attention.head_count_kv")?.map(|n| n as usize),
            head_dim: optional("attention.key_length")?.map(|n| n as usize),
            max_position_embeddings: size("context_length")?,
            hidden_act: "silu".to_owned(),
            rms_norm_eps: metadata.f32(&key("attention.layer_norm_rms_epsilon"))?,
            rope_theta: float("rope.freq_base")?,
            rope_scaling,
            sliding_window: optional("attention.sliding_window")?.map(|n| n as usize),
            ..Self::default()
        })
    }
}
