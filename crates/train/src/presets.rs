//! Recipes by name, from which flags depart.

use crate::adapter::Lora;
use crate::options::two;
use crate::schedule::Schedule;
use crate::{Compute, Options, Translation, Vocabulary};

/// Names of the presets, for messages and help.
pub const PRESETS: &[&str] = &[
    "nano",
    "baby",
    "tiny-story",
    "lora",
    "transformer-tiny",
    "translator",
];

impl Options {
    /// A preset by name.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "nano" => Some(Self::nano()),
            "baby" => Some(Self::baby()),
            "tiny-story" => Some(Self::tiny_story()),
            "lora" => Some(Self::adapted()),
            "transformer-tiny" => Some(Self::transformer_tiny()),
            "translator" => Some(Self::translator()),
            _ => None,
        }
    }

    /// nanoGPT's recipe for a CPU: 0.8 M parameters on characters, minutes.
    fn nano() -> Self {
        Self {
            n_layers: 4,
            n_heads: 4,
            d_model: 128,
            d_ff: None,
            n_ctx: 64,
            relu: false,
            vocabulary: Vocabulary::Characters,
            precision: Compute::fastest(),
            recompute: false,
            steps: 2_000,
            batch_size: 12,
            accumulate: 1,
            learning_rate: 1e-3,
            min_learning_rate: 1e-4,
            warmup: 100,
            schedule: Schedule::Cosine,
            weight_decay: 0.1,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            clip: 1.0,
            dropout: 0.0,
            seed: 1337,
            eval_every: 250,
            // All of Tiny Shakespeare's last tenth.
            eval_batches: 150,
            patience: 0,
            keep: two(),
            log_every: 10,
            sample_prompts: Vec::new(),
            sample_tokens: 120,
            val_fraction: 0.1,
            lora: None,
            translation: None,
        }
    }

    /// nanoGPT's "baby GPT": 10.7 M parameters on characters, an hour or so.
    fn baby() -> Self {
        Self {
            n_layers: 6,
            n_heads: 6,
            d_model: 384,
            n_ctx: 256,
            steps: 5_000,
            eval_batches: 20,
            dropout: 0.2,
            ..Self::nano()
        }
    }

    /// 3.5 M parameters on byte-level BPE, as the built-in model.
    fn tiny_story() -> Self {
        Self {
            n_layers: 6,
            n_heads: 6,
            d_model: 192,
            n_ctx: 256,
            vocabulary: Vocabulary::Bpe(4096),
            steps: 6_000,
            batch_size: 16,
            learning_rate: 2e-3,
            min_learning_rate: 1e-4,
            warmup: 200,
            eval_every: 500,
            eval_batches: 40,
            sample_tokens: 80,
            val_fraction: 0.02,
            ..Self::nano()
        }
    }

    /// An adapter on a model that exists: a few hundred steps over little text.
    fn adapted() -> Self {
        Self {
            n_ctx: 256,
            steps: 200,
            batch_size: 4,
            learning_rate: 1e-3,
            warmup: 10,
            weight_decay: 0.0,
            beta2: 0.999,
            eval_every: 50,
            eval_batches: 20,
            sample_tokens: 40,
            lora: Some(Lora::default()),
            ..Self::nano()
        }
    }

    /// The recipe for Multi30k in the literature (Wu et al. 2021, §4.1): 4 + 4 layers, 2.7 M parameters with a joint BPE of
    /// 10,000; an evaluation in each epoch of it. Norms stand before the parts: behind the sums, as the paper has them, this
    /// rate makes the loss stall (after 1,000 steps BLEU was 8 instead of 17).
    fn transformer_tiny() -> Self {
        Self {
            n_layers: 4,
            n_heads: 4,
            d_model: 128,
            d_ff: Some(256),
            n_ctx: 256,
            relu: true,
            vocabulary: Vocabulary::Bpe(10_000),
            steps: 8_000,
            learning_rate: 5e-3,
            min_learning_rate: 0.0,
            warmup: 2_000,
            schedule: Schedule::InverseSqrt,
            weight_decay: 0.0,
            beta2: 0.98,
            eps: 1e-9,
            clip: 0.0,
            dropout: 0.3,
            eval_every: 100,
            eval_batches: 1_000,
            patience: 10,
            keep: 10,
            sample_tokens: 64,
            translation: Some(Translation {
                batch_tokens: 8_192,
                pre_norm: true,
                ..Translation::default()
            }),
            ..Self::nano()
        }
    }

    /// A small translator of everyday sentences, as the built-in one: 3 + 3 layers, 3.7 M parameters with a joint BPE of 6,000.
    fn translator() -> Self {
        Self {
            n_layers: 3,
            n_heads: 4,
            d_model: 192,
            d_ff: Some(512),
            n_ctx: 128,
            vocabulary: Vocabulary::Bpe(6_000),
            steps: 6_000,
            learning_rate: 3e-3,
            warmup: 1_000,
            eval_every: 200,
            val_fraction: 0.02,
            translation: Some(Translation {
                pre_norm: true,
                ..Translation::default()
            }),
            ..Self::transformer_tiny()
        }
    }
}
