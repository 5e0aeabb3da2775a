//! What of a model that translates is chosen for a run.

use glassformer_model::Marks;
use glassformer_model::families::PairConfig;
use serde::{Deserialize, Serialize};

use crate::Options;

/// Of a run that learns from pairs, beside what all runs have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Translation {
    /// Most tokens of a batch, both sides counted.
    pub batch_tokens: usize,
    /// ε: how much of each target is given to all other tokens alike.
    pub label_smoothing: f32,
    /// Probability of dropping a part of a pattern; the paper drops none.
    pub attention_dropout: f32,
    /// Whether norms stand before the parts of a block, not behind their sums.
    pub pre_norm: bool,
    /// Whether each language has a vocabulary of its own.
    pub separate: bool,
    /// Whether letters are made small before anything else.
    pub lowercase: bool,
    /// Sentences of the validation pairs that are translated at each evaluation, for BLEU and chrF; 0 for none.
    pub scored: usize,
}

impl Default for Translation {
    fn default() -> Self {
        Self {
            batch_tokens: 4_096,
            label_smoothing: 0.1,
            attention_dropout: 0.0,
            pre_norm: false,
            separate: false,
            lowercase: false,
            scored: 200,
        }
    }
}

impl Translation {
    /// Checks ranges, in words that name the flag.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.batch_tokens == 0 {
            return Err("--batch-tokens is 0; it must be at least 1".to_owned());
        }
        let fractions = [
            ("--label-smoothing", self.label_smoothing),
            ("--attention-dropout", self.attention_dropout),
        ];
        match fractions
            .into_iter()
            .find(|(_, value)| !(0.0..1.0).contains(value))
        {
            Some((flag, value)) => Err(format!(
                "{flag} is {value}; it must lie between 0 and 1, without 1"
            )),
            None => Ok(()),
        }
    }
}

/// The Transformer of the paper, or its variant with norms before the parts, for `vocab` ids of the source and, where the
/// target has its own vocabulary, as many as that.
pub(crate) fn config(options: &Options, vocab: [Option<usize>; 2], marks: Marks) -> PairConfig {
    let sizes = options.dimensions(vocab[0].unwrap_or_default());
    let config = PairConfig {
        decoder_vocab_size: vocab[1],
        share_encoder_decoder_embeddings: vocab[1].is_none(),
        activation_function: if options.relu { "relu" } else { "gelu" }.to_owned(),
        ..PairConfig::paper(&sizes, marks)
    };
    match &options.translation {
        Some(translation) if translation.pre_norm => config.pre_norm(),
        _ => config,
    }
}

/// About as many parameters as such a model has, before it is made.
pub(crate) fn parameters(options: &Options, vocab: [Option<usize>; 2]) -> usize {
    let (d, f) = (options.d_model, options.d_ff.unwrap_or(4 * options.d_model));
    let tables: usize = vocab.into_iter().flatten().sum();
    // Four matrices of D² in each of three attentions, and two MLPs.
    let layer = d
        .saturating_mul(12 * d)
        .saturating_add(d.saturating_mul(4 * f));
    tables
        .saturating_mul(d)
        .saturating_add(options.n_layers.saturating_mul(layer))
}
