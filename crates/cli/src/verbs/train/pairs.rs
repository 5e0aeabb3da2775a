//! Flags of a run that learns to translate.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use glassformer_train::data::pairs::{PairFiles, PairsFrom};
use glassformer_train::{Options, Translation};

/// A model that translates, in place of CORPUS.
#[derive(Args)]
#[command(
    next_help_heading = "Translation: learn from pairs of sentences, in place of CORPUS (files may be .gz or .zst)"
)]
pub(super) struct PairFlags {
    /// Sentences to be read, one a line.
    #[arg(long, value_name = "FILE", requires = "target")]
    source: Option<PathBuf>,
    /// Their translations: line n of one file belongs to line n of the other.
    #[arg(long, value_name = "FILE", requires = "source")]
    target: Option<PathBuf>,
    /// Pairs in one file, a pair a line, its columns separated by tabs.
    #[arg(long, value_name = "FILE", conflicts_with = "source")]
    pairs: Option<PathBuf>,
    /// The columns of source and target, counted from 1; 2,1 translates the other way.
    #[arg(long, value_name = "A,B", default_value = "1,2", value_parser = columns)]
    columns: [usize; 2],
    /// Sentences for validation; without, every so manieth of the others (--val-fraction).
    #[arg(
        long,
        value_name = "FILE",
        requires = "val_target",
        requires = "source"
    )]
    val_source: Option<PathBuf>,
    /// Their translations.
    #[arg(long, value_name = "FILE", requires = "val_source")]
    val_target: Option<PathBuf>,
    /// Pairs for validation, in columns as those of --pairs.
    #[arg(long, value_name = "FILE", requires = "pairs")]
    val_pairs: Option<PathBuf>,
    /// Most tokens of a batch, both sides counted.
    #[arg(long, value_name = "N")]
    batch_tokens: Option<usize>,
    /// Part of each target that is given to all other tokens alike.
    #[arg(long, value_name = "EPSILON")]
    label_smoothing: Option<f32>,
    /// Probability of dropping a part of an attention pattern.
    #[arg(long, value_name = "P")]
    attention_dropout: Option<f32>,
    /// Where norms stand: before the parts of a block (pre), which learns at higher rates and in deeper models, or behind their
    /// sums (post), as in the paper.
    #[arg(long, value_name = "PLACE")]
    norm: Option<NormPlace>,
    /// Give each language a vocabulary of its own, each of the size that --tokenizer says.
    #[arg(long)]
    separate_vocabularies: bool,
    /// Make all letters small, on both sides; the model's tokenizer then does so too.
    #[arg(long)]
    lowercase: bool,
    /// Validation sentences that each evaluation translates, for BLEU and chrF; 0 for none.
    #[arg(long, value_name = "N")]
    score_sentences: Option<usize>,
}

/// Where norms stand.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NormPlace {
    Pre,
    Post,
}

/// Two numbers with a comma between them.
fn columns(text: &str) -> Result<[usize; 2], String> {
    let numbers: Vec<usize> = text
        .split(',')
        .filter_map(|part| part.trim().parse().ok())
        .collect();
    match numbers[..] {
        [a, b] if a > 0 && b > 0 && a != b => Ok([a, b]),
        _ => Err("give two different columns, counted from 1, such as 1,2".to_owned()),
    }
}

impl PairFlags {
    /// Where pairs stand, if some are named.
    pub(super) fn from(&self) -> Option<PairsFrom> {
        let parallel = |source: &Option<PathBuf>, target: &Option<PathBuf>| {
            let (source, target) = source.clone().zip(target.clone())?;
            Some(PairFiles::Parallel { source, target })
        };
        let table = |path: &Option<PathBuf>| {
            let (path, columns) = (path.clone()?, self.columns);
            Some(PairFiles::Columns { path, columns })
        };
        Some(PairsFrom {
            train: parallel(&self.source, &self.target).or_else(|| table(&self.pairs))?,
            val: parallel(&self.val_source, &self.val_target).or_else(|| table(&self.val_pairs)),
        })
    }

    /// Refuses flags that a run without pairs has no use for.
    pub(super) fn check_unused(&self) -> Result<()> {
        let numbers = self.batch_tokens.is_some() || self.score_sentences.is_some();
        let rates = self.label_smoothing.is_some() || self.attention_dropout.is_some();
        let ways = self.norm.is_some() || self.separate_vocabularies || self.lowercase;
        if numbers || rates || ways {
            bail!(
                "--batch-tokens, --label-smoothing, --attention-dropout, --norm, --separate-vocabularies, --lowercase and --score-sentences are for pairs; name them with --source and --target, or with --pairs"
            );
        }
        Ok(())
    }

    /// Lays the given flags over `options`, for which there are pairs.
    pub(super) fn apply(&self, options: &mut Options) {
        let translation: &mut Translation = options.translation.get_or_insert_default();
        if let Some(place) = self.norm {
            translation.pre_norm = place == NormPlace::Pre;
        }
        translation.separate |= self.separate_vocabularies;
        translation.lowercase |= self.lowercase;
        for (slot, flag) in [
            (&mut translation.batch_tokens, self.batch_tokens),
            (&mut translation.scored, self.score_sentences),
        ] {
            *slot = flag.unwrap_or(*slot);
        }
        for (slot, flag) in [
            (&mut translation.label_smoothing, self.label_smoothing),
            (&mut translation.attention_dropout, self.attention_dropout),
        ] {
            *slot = flag.unwrap_or(*slot);
        }
    }
}
