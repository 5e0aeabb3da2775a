//! The config fields of BART and its kin: Marian, and mBART.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::pair::{NormKind, Places, Plan, StackPlan, Tables};
use super::parts::{activation, check_sizes};
use crate::{Dimensions, Marks};

/// `config.json`, in Hugging Face's field names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "the fields of the file")]
pub struct PairConfig {
    /// What loads it in transformers.
    pub architectures: Vec<String>,
    /// "marian", "bart", "mbart".
    pub model_type: String,
    /// V.
    pub vocab_size: usize,
    /// V of the target, where it has a table of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoder_vocab_size: Option<usize>,
    /// D.
    pub d_model: usize,
    /// L of the encoder.
    pub encoder_layers: usize,
    /// H of the encoder.
    pub encoder_attention_heads: usize,
    /// F of the encoder.
    pub encoder_ffn_dim: usize,
    /// L of the decoder.
    pub decoder_layers: usize,
    /// H of the decoder.
    pub decoder_attention_heads: usize,
    /// F of the decoder.
    pub decoder_ffn_dim: usize,
    /// `relu`, `swish`, …
    pub activation_function: String,
    /// Longest source, and longest target.
    pub max_position_embeddings: usize,
    /// Whether rows of W_E are multiplied by √D.
    pub scale_embedding: bool,
    /// Whether source and target share a table (Marian).
    pub share_encoder_decoder_embeddings: bool,
    /// Whether W_U is W_Eᵀ.
    pub tie_word_embeddings: bool,
    /// That it is no model of one stack.
    pub is_encoder_decoder: bool,
    /// Fills up batches.
    pub pad_token_id: Option<u32>,
    /// Ends sources and targets.
    pub eos_token_id: Option<u32>,
    /// Stands before the first id of a target.
    pub decoder_start_token_id: Option<u32>,
    /// Fields that change nothing here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Default for PairConfig {
    /// What files leave out.
    fn default() -> Self {
        Self {
            architectures: Vec::new(),
            model_type: String::new(),
            vocab_size: 0,
            decoder_vocab_size: None,
            d_model: 0,
            encoder_layers: 0,
            encoder_attention_heads: 0,
            encoder_ffn_dim: 0,
            decoder_layers: 0,
            decoder_attention_heads: 0,
            decoder_ffn_dim: 0,
            activation_function: "gelu".to_owned(),
            max_position_embeddings: 1024,
            scale_embedding: false,
            share_encoder_decoder_embeddings: true,
            tie_word_embeddings: true,
            is_encoder_decoder: true,
            pad_token_id: None,
            eos_token_id: None,
            decoder_start_token_id: None,
            rest: Map::new(),
        }
    }
}

impl PairConfig {
    /// The Transformer of the paper, both stacks of the same sizes, as Marian's layout holds it: one table of tokens, whose
    /// rows are multiplied by √D, waves for positions, norms behind the parts, ReLU (Vaswani et al. 2017, §3).
    pub fn paper(sizes: &Dimensions, marks: Marks) -> Self {
        let forced = [("forced_eos_token_id", marks.end), ("bos_token_id", None)];
        let rest = forced
            .into_iter()
            .map(|(name, id)| (name.to_owned(), id.into()));
        Self {
            architectures: vec!["MarianMTModel".to_owned()],
            model_type: "marian".to_owned(),
            vocab_size: sizes.vocab,
            d_model: sizes.d_model,
            encoder_layers: sizes.n_layers,
            encoder_attention_heads: sizes.n_heads,
            encoder_ffn_dim: sizes.d_ff,
            decoder_layers: sizes.n_layers,
            decoder_attention_heads: sizes.n_heads,
            decoder_ffn_dim: sizes.d_ff,
            activation_function: "relu".to_owned(),
            max_position_embeddings: sizes.n_ctx,
            scale_embedding: true,
            pad_token_id: marks.pad,
            eos_token_id: marks.end,
            decoder_start_token_id: marks.start,
            rest: rest.collect(),
            ..Self::default()
        }
    }

    /// The same with norms before the parts and behind each stack (Wang et al. 2019), as mBART's layout holds it, which has
    /// learned positions and a norm behind the embedding.
    #[must_use]
    pub fn pre_norm(self) -> Self {
        Self {
            architectures: vec!["MBartForConditionalGeneration".to_owned()],
            model_type: "mbart".to_owned(),
            ..self
        }
    }

    /// What cannot be computed, in words that follow "config.json". Checked before anything is allocated.
    pub fn check(&self) -> Result<(), String> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("decoder_vocab_size", self.target_vocab()),
            ("d_model", self.d_model),
            ("encoder_attention_heads", self.encoder_attention_heads),
            ("decoder_attention_heads", self.decoder_attention_heads),
            ("encoder_ffn_dim", self.encoder_ffn_dim),
            ("decoder_ffn_dim", self.decoder_ffn_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        check_sizes(&sizes, ("encoder_layers", self.encoder_layers))?;
        check_sizes(&[], ("decoder_layers", self.decoder_layers))?;
        for (name, heads) in &sizes[3..5] {
            if !self.d_model.is_multiple_of(*heads) {
                return Err(format!(
                    "has d_model = {} which {name} = {heads} does not divide",
                    self.d_model
                ));
            }
        }
        if !self.share_encoder_decoder_embeddings && !self.tie_word_embeddings {
            return Err(
                "has tables of source, target and output of its own each; two of them at most can be computed"
                    .to_owned(),
            );
        }
        let marks = [
            ("pad_token_id", self.pad_token_id),
            ("eos_token_id", self.eos_token_id),
            ("decoder_start_token_id", self.decoder_start_token_id),
        ];
        for (name, id) in marks {
            if id.is_some_and(|id| id as usize >= self.target_vocab()) {
                return Err(format!(
                    "has {name} = {}, which is no id of the target's vocabulary of {}",
                    id.unwrap_or_default(),
                    self.target_vocab()
                ));
            }
        }
        activation("activation_function", &self.activation_function).map(|_| ())
    }

    /// V of the target.
    fn target_vocab(&self) -> usize {
        let own = self.decoder_vocab_size;
        own.filter(|_| !self.share_encoder_decoder_embeddings)
            .unwrap_or(self.vocab_size)
    }

    /// What it comes to, after [`PairConfig::check`], with positions, a norm behind the embedding and norms behind the
    /// stacks as the family has them.
    pub(super) fn plan(
        &self,
        family: &'static str,
        places: Places,
        [embed_norm, final_norm]: [bool; 2],
    ) -> Plan {
        let stack = |n_layers, n_heads, d_ff| StackPlan {
            n_layers,
            n_heads,
            d_ff,
        };
        Plan {
            family,
            d_model: self.d_model,
            d_head: None,
            source_vocab: self.vocab_size,
            vocab: self.target_vocab(),
            n_ctx: self.max_position_embeddings,
            stacks: [
                stack(
                    self.encoder_layers,
                    self.encoder_attention_heads,
                    self.encoder_ffn_dim,
                ),
                stack(
                    self.decoder_layers,
                    self.decoder_attention_heads,
                    self.decoder_ffn_dim,
                ),
            ],
            activation: activation("activation_function", &self.activation_function)
                .expect("checked"),
            gated: false,
            norm: NormKind::Layer(1e-5),
            biases: true,
            scaled_scores: true,
            relative: None,
            places,
            tables: match (
                self.share_encoder_decoder_embeddings,
                self.tie_word_embeddings,
            ) {
                (true, true) => Tables::One,
                (true, false) => Tables::OutputApart,
                (false, _) => Tables::SourceApart,
            },
            embed_scale: self.scale_embedding.then(|| (self.d_model as f32).sqrt()),
            embed_norm,
            final_norm,
            output_scale: None,
            output_bias: false,
            marks: Marks {
                start: self.decoder_start_token_id,
                end: self.eos_token_id,
                pad: self.pad_token_id,
            },
            name: str::to_owned,
            config: serde_json::to_string_pretty(self).expect("a config is plain data"),
        }
    }
}
