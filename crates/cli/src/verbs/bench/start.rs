//! `bench start`: from nothing to the first token.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use glassformer_generate::{Generation, Sampling, Work};
use glassformer_model::Keep;
use glassformer_tensor::Pool;

use super::Common;
use super::count::Count;
use super::report::Measurement;
use crate::source::{self, Loaded};
use crate::verbs::generate::prompt_ids;

/// Measure the time from nothing to the first token: the model's files are opened, its weights laid out, a prompt is cut
/// into tokens and read, and the likeliest token is chosen.
///
/// That a file was read from disk before, and is still in memory, is as with any second start.
#[derive(Args)]
pub(super) struct StartFlags {
    /// The model.
    #[arg(short = 'm', long, value_name = "MODEL", default_value = "builtin")]
    model: String,
    /// What it reads.
    #[arg(long, value_name = "TEXT", default_value = "The capital of France is")]
    prompt: String,
    #[command(flatten)]
    common: Common,
}

impl StartFlags {
    pub(super) fn run(&self) -> Result<()> {
        // Once, so that what is wrong with the model or the prompt is told and not measured.
        let (loaded, ids) = self.open()?;
        let operations = Count::of(&loaded.model).prefill(ids.len());
        drop(loaded);
        let (_, report) = self.common.begin()?;
        let times = self.common.effort().measure(1, || {
            let begin = Instant::now();
            let (mut loaded, ids) = self.open().expect("opened before");
            let pool = Pool::new(self.common.threads);
            loaded
                .model
                .pack(&pool, self.common.precision().of_engine());
            let likeliest = Sampling {
                temperature: 0.0,
                ..Sampling::default()
            };
            let mut generation =
                Generation::new(&loaded.model, &pool, &ids, likeliest, Work::Cached);
            black_box(generation.step());
            // Nobody waits for what is tidied up afterwards.
            begin.elapsed()
        });
        report.add(&Measurement {
            name: format!("start {}, {} tokens", self.model, ids.len()),
            precision: self.common.precision(),
            times,
            tokens: 1,
            operations,
            bytes: None,
            overhead: None,
        })
    }

    fn open(&self) -> Result<(Loaded, Vec<u32>)> {
        let loaded = source::load(&self.model, Keep::InFile)?.continuing()?;
        let ids = prompt_ids(&loaded.tokenizer, &self.prompt)?;
        Ok((loaded, ids))
    }
}
