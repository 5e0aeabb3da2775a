//! The config fields of BERT and its kin, from `config.json` or from a GGUF file's metadata.

use glassformer_weights::WeightsError;
use glassformer_weights::gguf::{Metadata, Value};
use serde::{Deserialize, Serialize};

use crate::Dimensions;
use crate::block::mlp::Activation;
use crate::families::parts::{MOST, activation, check_sizes};

/// `config.json`, in Hugging Face's field names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EncoderConfig {
    /// What loads it in transformers.
    pub architectures: Vec<String>,
    /// "bert", "roberta", "xlm-roberta", "camembert".
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
    /// `gelu`, …
    pub hidden_act: String,
    /// Rows of W_pos.
    pub max_position_embeddings: usize,
    /// Rows of W_type.
    pub type_vocab_size: usize,
    /// ε of the norms.
    pub layer_norm_eps: f32,
    /// The id that fills up batches; RoBERTa's positions begin behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pad_token_id: Option<u32>,
    /// Whether W_U is W_Eᵀ.
    pub tie_word_embeddings: bool,
    /// `absolute`: positions are added to the tokens.
    pub position_embedding_type: String,
    /// Whether each position sees the earlier ones only.
    pub is_decoder: bool,
}

impl Default for EncoderConfig {
    /// What files leave out.
    fn default() -> Self {
        Self {
            architectures: Vec::new(),
            model_type: String::new(),
            vocab_size: 0,
            hidden_size: 0,
            intermediate_size: 0,
            num_hidden_layers: 0,
            num_attention_heads: 0,
            hidden_act: "gelu".to_owned(),
            max_position_embeddings: 512,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            pad_token_id: None,
            tie_word_embeddings: true,
            position_embedding_type: "absolute".to_owned(),
            is_decoder: false,
        }
    }
}

impl EncoderConfig {
    /// Whether it is built as RoBERTa is.
    pub(super) fn is_roberta(&self) -> bool {
        self.model_type != "bert"
    }

    /// Row of W_pos that belongs to the first position: RoBERTa's table begins with rows for what fills up batches.
    pub(super) fn first_position(&self) -> usize {
        if self.is_roberta() {
            self.pad_token_id.unwrap_or(1) as usize + 1
        } else {
            0
        }
    }

    /// What cannot be computed, in words that follow "config.json". Checked before anything is allocated.
    pub fn check(&self) -> Result<(), String> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_attention_heads", self.num_attention_heads),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        check_sizes(&sizes, ("num_hidden_layers", self.num_hidden_layers))?;
        let (heads, first) = (self.num_attention_heads, self.first_position());
        if !self.hidden_size.is_multiple_of(heads) {
            return Err(format!(
                "has hidden_size = {} which num_attention_heads = {heads} does not divide",
                self.hidden_size
            ));
        }
        if self.max_position_embeddings <= first {
            return Err(format!(
                "has max_position_embeddings = {}, of which the first {first} belong to no position",
                self.max_position_embeddings
            ));
        }
        if self.type_vocab_size > MOST {
            return Err(format!(
                "has type_vocab_size = {}; it must lie between 0 and 2^24",
                self.type_vocab_size
            ));
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            return Err(format!(
                "has layer_norm_eps = {}; it must lie between 0 and 1",
                self.layer_norm_eps
            ));
        }
        if self.position_embedding_type != "absolute" {
            return Err(format!(
                "has position_embedding_type {:?}; absolute ones can be computed",
                self.position_embedding_type
            ));
        }
        if self.is_decoder {
            return Err(
                "has is_decoder = true; of this family encoders can be computed".to_owned(),
            );
        }
        self.activation().map(|_| ())
    }

    pub(super) fn activation(&self) -> Result<Activation, String> {
        activation("hidden_act", &self.hidden_act)
    }

    /// Its sizes, after [`EncoderConfig::check`].
    pub(super) fn dimensions(&self) -> Dimensions {
        Dimensions {
            n_layers: self.num_hidden_layers,
            n_heads: self.num_attention_heads,
            n_kv_heads: self.num_attention_heads,
            d_model: self.hidden_size,
            d_head: self.hidden_size / self.num_attention_heads,
            d_ff: self.intermediate_size,
            n_ctx: self.max_position_embeddings - self.first_position(),
            vocab: self.vocab_size,
        }
    }

    /// From the metadata of a GGUF file. Errors: a key is missing or of another type. The vocabulary and the number of
    /// types show in the tensors, not here; rows of W_pos that belong to no position are left out of such files.
    pub(super) fn from_gguf(
        metadata: &Metadata,
        vocab_size: usize,
        type_vocab_size: usize,
    ) -> Result<Self, WeightsError> {
        let size = |name: &str| metadata.u64(&format!("bert.{name}")).map(|n| n as usize);
        Ok(Self {
            architectures: vec!["BertModel".to_owned()],
            model_type: "bert".to_owned(),
            vocab_size,
            hidden_size: size("embedding_length")?,
            intermediate_size: size("feed_forward_length")?,
            num_hidden_layers: size("block_count")?,
            num_attention_heads: size("attention.head_count")?,
            max_position_embeddings: size("context_length")?,
            type_vocab_size,
            layer_norm_eps: metadata.f32("bert.attention.layer_norm_epsilon")?,
            ..Self::default()
        })
    }

    /// The keys that llama.cpp's converter writes.
    pub(super) fn to_gguf(&self) -> Vec<(String, Value)> {
        let size = |n: usize| Value::U32(n as u32);
        let Dimensions {
            n_layers,
            n_heads,
            d_model,
            d_ff,
            n_ctx,
            ..
        } = self.dimensions();
        let mut metadata = Vec::from([
            ("bert.block_count", size(n_layers)),
            ("bert.context_length", size(n_ctx)),
            ("bert.embedding_length", size(d_model)),
            ("bert.feed_forward_length", size(d_ff)),
            ("bert.attention.head_count", size(n_heads)),
            (
                "bert.attention.layer_norm_epsilon",
                Value::F32(self.layer_norm_eps),
            ),
            ("bert.attention.causal", Value::Bool(false)),
        ]);
        if self.type_vocab_size > 0 {
            let types = size(self.type_vocab_size);
            metadata.push(("tokenizer.ggml.token_type_count", types));
        }
        let owned = metadata.into_iter();
        owned.map(|(key, value)| (key.to_owned(), value)).collect()
    }
}
