//! Flags of the verbs that run a model: how it computes, and how tokens are chosen.

use clap::Args;
use glassformer_generate::{Sampling, SamplingError};
use glassformer_kernels::product::Precision;
use glassformer_tensor::Pool;
use glassformer_weights::DataType;

use crate::source::{Loaded, Stored, Suggested};

/// How a model computes.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunningFlags {
    /// What floats of weights and operands are rounded to: bf16 reads half the memory per token, f32 is exact. Quantised
    /// weights stay as they are. auto: f32 for files in f32, else what is fastest here.
    #[arg(long, value_enum, default_value = "auto")]
    precision: PrecisionName,
    /// Threads; 0 for all cores.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum PrecisionName {
    Auto,
    F32,
    Bf16,
}

impl RunningFlags {
    /// The threads, after the model's weights are laid out for them.
    pub(crate) fn prepare(&self, loaded: &mut Loaded) -> Pool {
        let pool = Pool::new(self.threads);
        let stored = loaded.about.stored.as_ref();
        let precision = match self.precision {
            PrecisionName::F32 => Precision::F32,
            PrecisionName::Bf16 => Precision::Bf16,
            PrecisionName::Auto => precision(stored.map_or(DataType::F32, Stored::most)),
        };
        let warned = loaded.model.not_finite().is_some();
        loaded.model.pack(&pool, precision);
        if !warned {
            loaded.warn_of_weights();
        }
        pool
    }
}

/// What floats are rounded to where nobody says: files in f32 are computed exactly, others as fast as can be here.
pub(crate) fn precision(stored: DataType) -> Precision {
    match stored {
        DataType::F32 => Precision::F32,
        _ => Precision::fastest(),
    }
}

/// How tokens are chosen. What is not said is as the model's makers suggest, where they do.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingFlags {
    /// Logits are divided by it; 0 always takes the most likely token [default: the model's, else 0.8].
    #[arg(long)]
    temperature: Option<f32>,
    /// Keep only the k most likely tokens; 0 keeps all [default: the model's, else 40].
    #[arg(long)]
    top_k: Option<usize>,
    /// Keep the most likely tokens that together reach this probability [default: the model's, else 0.95].
    #[arg(long)]
    top_p: Option<f32>,
    /// Keep tokens at least this fraction as likely as the most likely one [default: the model's, else 0].
    #[arg(long)]
    min_p: Option<f32>,
    /// Above 1 makes tokens that were there already less likely [default: the model's, else 1].
    #[arg(long)]
    repetition_penalty: Option<f32>,
    /// The same seed gives the same text.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl SamplingFlags {
    /// Whether any is given.
    pub(crate) fn are_given(&self) -> bool {
        let numbers = [
            self.temperature,
            self.top_p,
            self.min_p,
            self.repetition_penalty,
        ];
        numbers.iter().any(Option::is_some) || self.top_k.is_some() || self.seed != 0
    }

    /// The settings, with what the model's makers suggest where nothing is said.
    pub(crate) fn with(&self, suggested: &Suggested) -> Result<Sampling, SamplingError> {
        let sampling = Sampling {
            temperature: self.temperature.or(suggested.temperature).unwrap_or(0.8),
            top_k: self.top_k.or(suggested.top_k).unwrap_or(40),
            top_p: self.top_p.or(suggested.top_p).unwrap_or(0.95),
            min_p: self.min_p.or(suggested.min_p).unwrap_or(0.0),
            repetition_penalty: self
                .repetition_penalty
                .or(suggested.repetition_penalty)
                .unwrap_or(1.0),
            seed: self.seed,
        };
        sampling.check()?;
        Ok(sampling)
    }
}
