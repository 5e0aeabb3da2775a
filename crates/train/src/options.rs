//! Every number that decides a training run, and the presets.

use std::path::PathBuf;

use glassformer_kernels::product::Precision;
use glassformer_model::Dimensions;
use glassformer_model::block::mlp::Activation;
use glassformer_model::families::gpt2;
use serde::{Deserialize, Serialize};

use crate::adapter::Lora;
use crate::schedule::Schedule;
use crate::translation::Translation;

/// What the tokens are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vocabulary {
    /// Every distinct character of the corpus is a token.
    Characters,
    /// Byte-level BPE with this many tokens, trained on the corpus.
    Bpe(usize),
    /// A `tokenizer.json`.
    File(PathBuf),
}

/// What operands of products are rounded to in training. Weights, gradients, moments and sums are `f32` in either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compute {
    /// Not rounded.
    #[default]
    F32,
    /// 8 bits of mantissa: twice the speed where the processor has an instruction for it, and the same loss curve.
    Bf16,
}

impl Compute {
    /// The faster one on this processor.
    pub fn fastest() -> Self {
        match Precision::fastest() {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
        }
    }

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}

impl From<Compute> for Precision {
    fn from(compute: Compute) -> Self {
        match compute {
            Compute::F32 => Self::F32,
            Compute::Bf16 => Self::Bf16,
        }
    }
}

/// All hyper-parameters of a run. Stored with the run, so that `--resume` needs no other flag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// L.
    pub n_layers: usize,
    /// H.
    pub n_heads: usize,
    /// D.
    pub d_model: usize,
    /// F; 4·D when absent.
    pub d_ff: Option<usize>,
    /// T: tokens the model sees at once.
    pub n_ctx: usize,
    /// ReLU instead of GELU.
    pub relu: bool,
    /// What the tokens are.
    pub vocabulary: Vocabulary,
    /// What operands of products are rounded to; `f32` in runs of versions that did not say.
    #[serde(default)]
    pub precision: Compute,
    /// Whether blocks are run again in the backward pass, instead of keeping their activations: the same numbers, in
    /// less memory and more time.
    #[serde(default)]
    pub recompute: bool,
    /// Optimiser steps.
    pub steps: u64,
    /// Sequences in a batch.
    pub batch_size: usize,
    /// Batches whose gradients are added up before a step.
    pub accumulate: usize,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Where the schedule ends.
    pub min_learning_rate: f64,
    /// Steps from 0 to the highest learning rate.
    pub warmup: u64,
    /// What follows the warm-up.
    pub schedule: Schedule,
    /// λ of AdamW, on matrices only.
    pub weight_decay: f32,
    /// β₁.
    pub beta1: f32,
    /// β₂.
    pub beta2: f32,
    /// ε of AdamW.
    pub eps: f32,
    /// Gradients longer than this are scaled down to it; 0 for never.
    pub clip: f64,
    /// Probability of dropping, on embeddings, patterns and what is added to the residual stream.
    pub dropout: f32,
    /// Of parameters, batches and dropout.
    pub seed: u64,
    /// Steps from one evaluation (with sample and checkpoint) to the next.
    pub eval_every: u64,
    /// Batches of the validation set in one evaluation.
    pub eval_batches: usize,
    /// Evaluations in a row without a better validation loss after which the run ends before its last step; 0 for never.
    #[serde(default)]
    pub patience: u64,
    /// How many of the newest checkpoints are kept, besides the best.
    #[serde(default = "two")]
    pub keep: usize,
    /// Steps from one line of metrics to the next.
    pub log_every: u64,
    /// What samples begin with; empty for the end-of-text token or a line break.
    pub sample_prompts: Vec<String>,
    /// Tokens of a sample; 0 for no samples.
    pub sample_tokens: usize,
    /// The part of the corpus kept for validation.
    pub val_fraction: f64,
    /// The adapter that is trained in place of the model's own weights.
    #[serde(default)]
    pub lora: Option<Lora>,
    /// Of a model that translates.
    #[serde(default)]
    pub translation: Option<Translation>,
}

/// As many checkpoints as were kept before there was a choice: one to go on from, and one should it be damaged.
pub(crate) fn two() -> usize {
    2
}

impl Options {
    /// Whether operands of all weights are kept from step to step: in `bf16` they take half as much memory as in `f32`, and
    /// not where memory is to be saved.
    pub fn keeps_operands(&self) -> bool {
        self.precision == Compute::Bf16 && !self.recompute
    }

    /// The sizes of the model for a vocabulary of `vocab` tokens.
    pub fn dimensions(&self, vocab: usize) -> Dimensions {
        Dimensions {
            n_layers: self.n_layers,
            n_heads: self.n_heads,
            n_kv_heads: self.n_heads,
            d_model: self.d_model,
            d_head: self.d_model / self.n_heads.max(1),
            d_ff: self.d_ff.unwrap_or(4 * self.d_model),
            n_ctx: self.n_ctx,
            vocab,
        }
    }

    /// The model's config for a vocabulary of `vocab` tokens.
    pub fn config(&self, vocab: usize) -> gpt2::Config {
        let activation = if self.relu {
            Activation::Relu
        } else {
            Activation::GeluTanh
        };
        gpt2::Config::new(&self.dimensions(vocab), activation)
    }

    /// Checks ranges, in words that name the flag.
    pub fn check(&self) -> Result<(), String> {
        let positive = [
            ("--layers", self.n_layers as u64),
            ("--heads", self.n_heads as u64),
            ("--d-model", self.d_model as u64),
            ("--context", self.n_ctx as u64),
            ("--steps", self.steps),
            ("--batch-size", self.batch_size as u64),
            ("--accumulate", self.accumulate as u64),
            ("--eval-every", self.eval_every),
            ("--eval-batches", self.eval_batches as u64),
            ("--keep", self.keep as u64),
            ("--log-every", self.log_every),
        ];
        if let Some((flag, _)) = positive.into_iter().find(|&(_, value)| value == 0) {
            return Err(format!("{flag} is 0; it must be at least 1"));
        }
        if !self.d_model.is_multiple_of(self.n_heads) {
            return Err(format!(
                "--d-model {} cannot be shared by --heads {}; choose a multiple",
                self.d_model, self.n_heads
            ));
        }
        let fractions = [
            ("--dropout", f64::from(self.dropout)),
            ("--beta1", f64::from(self.beta1)),
            ("--beta2", f64::from(self.beta2)),
        ];
        if let Some((flag, value)) = fractions
            .into_iter()
            .find(|&(_, value)| !(0.0..1.0).contains(&value))
        {
            return Err(format!(
                "{flag} is {value}; it must lie between 0 and 1, without 1"
            ));
        }
        if !(self.val_fraction > 0.0 && self.val_fraction < 1.0) {
            return Err(format!(
                "--val-fraction is {}; it must lie between 0 and 1",
                self.val_fraction
            ));
        }
        let sizes = [
            ("--learning-rate", self.learning_rate),
            ("--min-learning-rate", self.min_learning_rate),
            ("--weight-decay", f64::from(self.weight_decay)),
            ("--eps", f64::from(self.eps)),
            ("--clip", self.clip),
        ];
        if let Some((flag, value)) = sizes
            .into_iter()
            .find(|&(_, value)| !(value >= 0.0 && value.is_finite()))
        {
            return Err(format!("{flag} is {value}; it must be a number from 0 up"));
        }
        self.translation.as_ref().map_or(Ok(()), Translation::check)
    }
}
