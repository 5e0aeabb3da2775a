//! `bench embed`: texts to vectors, from the first character on.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use glassformer_generate::embed::Encoded;
use glassformer_model::Keep;

use super::count::Count;
use super::report::Measurement;
use super::{Common, work};
use crate::source;
use crate::verbs::vectors::{VectorFlags, lines};

/// Measure the embedding of texts: their tokens, the vectors of these, one vector for each text.
#[derive(Args)]
pub(super) struct EmbedFlags {
    /// The model.
    #[arg(short = 'm', long, value_name = "MODEL", default_value = "builtin")]
    model: String,
    /// Each line of FILE is a text; a run embeds all of them.
    #[arg(long, value_name = "FILE")]
    texts: PathBuf,
    #[command(flatten)]
    vectors: VectorFlags,
    #[command(flatten)]
    common: Common,
}

impl EmbedFlags {
    pub(super) fn run(&self) -> Result<()> {
        let texts = lines(&self.texts)?;
        if texts.is_empty() {
            bail!("{} has no lines to embed", self.texts.display());
        }
        let mut loaded = source::load(&self.model, Keep::InFile)?;
        let (pool, report) = self.common.begin()?;
        loaded
            .model
            .pack(&pool, self.common.precision().of_engine());
        let model = self.vectors.of(loaded, pool)?;
        let encoded = Encoded::of(&model.pool, &model.tokenizer, &texts, model.most)?;
        let lengths: Vec<usize> = encoded.ids.iter().map(Vec::len).collect();
        // Once, so that what is wrong with a text is told and not measured.
        model.embedder.embed(&model.pool, &encoded.ids, |_| {})?;
        let times = self
            .common
            .effort()
            .measure(0, || work::embed(&model, &texts));
        report.add(&Measurement {
            name: format!("embed {} texts", texts.len()),
            precision: self.common.precision(),
            times,
            tokens: lengths.iter().sum(),
            operations: Count::of(model.embedder.model()).embedding(&lengths),
            bytes: None,
            overhead: None,
        })
    }
}
