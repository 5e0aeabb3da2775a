//! Every hyper-parameter as a flag.

use clap::Args;
use glassformer_train::schedule::Schedule;
use glassformer_train::{Compute, Options, Vocabulary};

#[derive(Clone, Copy, clap::ValueEnum)]
enum Activation {
    Gelu,
    Relu,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum ScheduleName {
    /// Half a cosine wave down to --min-learning-rate.
    Cosine,
    /// Stays at --learning-rate.
    Constant,
    /// A straight line down to --min-learning-rate.
    Linear,
    /// Falls as 1/√step from --learning-rate on; has no minimum (fairseq's inverse_sqrt).
    InverseSqrt,
    /// The Transformer paper's own, d-model^−½ · min(step^−½, step · warmup^−3/2), times --learning-rate, which is 1 in the
    /// paper; has no minimum.
    Noam,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum PrecisionName {
    /// bf16 where the processor has an instruction for it, else f32.
    Auto,
    F32,
    Bf16,
}

impl From<PrecisionName> for Compute {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::Auto => Self::fastest(),
            PrecisionName::F32 => Self::F32,
            PrecisionName::Bf16 => Self::Bf16,
        }
    }
}

/// Each overrides the preset.
#[derive(Args)]
#[command(next_help_heading = "Hyper-parameters (default: the preset's)")]
pub(super) struct Hyper {
    /// Optimiser steps.
    #[arg(long)]
    steps: Option<u64>,
    /// Sequences in a batch.
    #[arg(long)]
    batch_size: Option<usize>,
    /// Batches whose gradients are added up before a step.
    #[arg(long)]
    accumulate: Option<usize>,
    /// Tokens in a sequence.
    #[arg(long)]
    context: Option<usize>,
    /// Blocks.
    #[arg(long)]
    layers: Option<usize>,
    /// Attention heads per block.
    #[arg(long)]
    heads: Option<usize>,
    /// Width of the residual stream.
    #[arg(long)]
    d_model: Option<usize>,
    /// Neurons of each MLP [default: 4 × d-model].
    #[arg(long)]
    d_ff: Option<usize>,
    /// Activation function of the MLP.
    #[arg(long, value_enum)]
    activation: Option<Activation>,
    /// `chars`, a vocabulary size for byte-level BPE (4096), or a tokenizer.json.
    #[arg(long, value_name = "chars|SIZE|FILE")]
    tokenizer: Option<String>,
    /// Highest learning rate.
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Learning rate at the end of the schedule.
    #[arg(long)]
    min_learning_rate: Option<f64>,
    /// Steps of linear warm-up.
    #[arg(long)]
    warmup: Option<u64>,
    /// What follows the warm-up.
    #[arg(long, value_enum)]
    schedule: Option<ScheduleName>,
    /// Weight decay (matrices only).
    #[arg(long)]
    weight_decay: Option<f32>,
    /// AdamW's β₁.
    #[arg(long)]
    beta1: Option<f32>,
    /// AdamW's β₂.
    #[arg(long)]
    beta2: Option<f32>,
    /// AdamW's ε.
    #[arg(long)]
    eps: Option<f32>,
    /// Longest gradient; 0 for no clipping.
    #[arg(long)]
    clip: Option<f64>,
    /// Probability of dropout.
    #[arg(long)]
    dropout: Option<f32>,
    /// What operands of products are rounded to; weights, gradients, moments and sums are f32 in either. A run keeps
    /// what it began with [default: auto].
    #[arg(long, value_enum)]
    precision: Option<PrecisionName>,
    /// Run each block again in the backward pass instead of keeping its activations: the same numbers, in less memory
    /// and more time. --recompute=false turns it off for a run that is resumed.
    #[arg(
        long,
        value_name = "true|false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    recompute: Option<bool>,
    /// Seed of parameters, batches and dropout.
    #[arg(long)]
    seed: Option<u64>,
    /// Steps between evaluations; each also writes a sample and a checkpoint.
    #[arg(long)]
    eval_every: Option<u64>,
    /// Batches per evaluation.
    #[arg(long)]
    eval_batches: Option<usize>,
    /// End the run early after this many evaluations in a row without a better validation loss; 0 for never.
    #[arg(long, value_name = "N")]
    patience: Option<u64>,
    /// Keep the newest N checkpoints, besides the best [default: 2].
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Steps between lines of metrics.jsonl.
    #[arg(long)]
    log_every: Option<u64>,
    /// What samples begin with; may be given several times.
    #[arg(long = "sample", value_name = "TEXT")]
    samples: Vec<String>,
    /// Tokens per sample; 0 for none.
    #[arg(long)]
    sample_tokens: Option<usize>,
    /// Part of the corpus kept for validation.
    #[arg(long)]
    val_fraction: Option<f64>,
    #[command(flatten)]
    lora: LoraFlags,
}

/// An adapter in place of the model's own weights.
#[derive(Args)]
#[command(
    next_help_heading = "LoRA: train an adapter on the model of --init, whose weights stay as they are"
)]
#[expect(clippy::struct_field_names, reason = "the names of the flags")]
struct LoraFlags {
    /// r: the adapter adds α/r·x·A·B to each target, with A [in,r] and B [r,out] [default: 8].
    #[arg(long, value_name = "R")]
    lora_rank: Option<usize>,
    /// α [default: 16].
    #[arg(long, value_name = "ALPHA")]
    lora_alpha: Option<f32>,
    /// Probability of dropping what the adapter reads [default: 0].
    #[arg(long, value_name = "P")]
    lora_dropout: Option<f32>,
    /// Layers by their names in transformers, such as q_proj,v_proj or c_attn; all-linear means all but the unembedding
    /// [default: all-linear].
    #[arg(long, value_name = "NAMES")]
    lora_targets: Option<String>,
}

impl LoraFlags {
    fn are_given(&self) -> bool {
        let numbers = self.lora_alpha.is_some() || self.lora_dropout.is_some();
        self.lora_rank.is_some() || numbers || self.lora_targets.is_some()
    }

    fn apply(&self, options: &mut Options) {
        if !self.are_given() {
            return;
        }
        let lora = options.lora.get_or_insert_default();
        set(&mut lora.rank, self.lora_rank.as_ref());
        set(&mut lora.alpha, self.lora_alpha.as_ref());
        set(&mut lora.dropout, self.lora_dropout.as_ref());
        set(&mut lora.targets, self.lora_targets.as_ref());
    }
}

fn set<T: Clone>(slot: &mut T, flag: Option<&T>) {
    if let Some(value) = flag {
        slot.clone_from(value);
    }
}

impl Hyper {
    /// Whether an adapter is asked for.
    pub(super) fn has_lora(&self) -> bool {
        self.lora.are_given()
    }

    /// Lays the given flags over `options`.
    pub(super) fn apply(&self, options: &mut Options) {
        set(&mut options.steps, self.steps.as_ref());
        set(&mut options.batch_size, self.batch_size.as_ref());
        set(&mut options.accumulate, self.accumulate.as_ref());
        set(&mut options.n_ctx, self.context.as_ref());
        set(&mut options.n_layers, self.layers.as_ref());
        set(&mut options.n_heads, self.heads.as_ref());
        set(&mut options.d_model, self.d_model.as_ref());
        set(&mut options.learning_rate, self.learning_rate.as_ref());
        set(
            &mut options.min_learning_rate,
            self.min_learning_rate.as_ref(),
        );
        set(&mut options.warmup, self.warmup.as_ref());
        set(&mut options.weight_decay, self.weight_decay.as_ref());
        set(&mut options.beta1, self.beta1.as_ref());
        set(&mut options.beta2, self.beta2.as_ref());
        set(&mut options.eps, self.eps.as_ref());
        set(&mut options.clip, self.clip.as_ref());
        set(&mut options.dropout, self.dropout.as_ref());
        set(&mut options.recompute, self.recompute.as_ref());
        set(&mut options.seed, self.seed.as_ref());
        set(&mut options.eval_every, self.eval_every.as_ref());
        set(&mut options.eval_batches, self.eval_batches.as_ref());
        set(&mut options.patience, self.patience.as_ref());
        set(&mut options.keep, self.keep.as_ref());
        set(&mut options.log_every, self.log_every.as_ref());
        set(&mut options.sample_tokens, self.sample_tokens.as_ref());
        set(&mut options.val_fraction, self.val_fraction.as_ref());
        self.lora.apply(options);
        if self.d_ff.is_some() {
            options.d_ff = self.d_ff;
        }
        if !self.samples.is_empty() {
            options.sample_prompts.clone_from(&self.samples);
        }
        if let Some(activation) = self.activation {
            options.relu = matches!(activation, Activation::Relu);
        }
        set(
            &mut options.precision,
            self.precision.map(Compute::from).as_ref(),
        );
        if let Some(schedule) = self.schedule {
            options.schedule = match schedule {
                ScheduleName::Cosine => Schedule::Cosine,
                ScheduleName::Constant => Schedule::Constant,
                ScheduleName::Linear => Schedule::Linear,
                ScheduleName::InverseSqrt => Schedule::InverseSqrt,
                ScheduleName::Noam => Schedule::Noam,
            };
        }
        if let Some(tokenizer) = &self.tokenizer {
            options.vocabulary = match (tokenizer.as_str(), tokenizer.parse()) {
                ("chars", _) => Vocabulary::Characters,
                (_, Ok(size)) => Vocabulary::Bpe(size),
                (file, Err(_)) => Vocabulary::File(file.into()),
            };
        }
    }
}
