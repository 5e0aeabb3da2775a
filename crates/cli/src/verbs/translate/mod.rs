//! `translate`: one text to another, with an encoder–decoder.

mod input;
mod sentences;
mod translator;

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use glassformer_generate::translate::{BATCH, LengthPenalty, Longest, Search, Way};
use indicatif::{ProgressBar, ProgressStyle};

use crate::builtin;
use crate::source::{Loaded, ModelFlag};
use crate::terminal::write;
use crate::verbs::running::{RunningFlags, SamplingFlags};
use input::{Input, Line};
use translator::{Translated, Translator};

/// Translate texts with an encoder–decoder, a line in, a line out.
///
/// The encoder reads a line once; the decoder then writes its translation token by token and looks back at the line through
/// cross-attention. Beam search keeps the few best beginnings at each step, as the likeliest first word need not begin the
/// likeliest sentence.
#[derive(Args)]
#[command(mut_arg("model", |model| model.default_value(builtin::TRANSLATOR)), after_help = "\
Examples:
  glassformer translate \"Where is the station?\"
  echo 我喜欢喝茶。 | glassformer translate
  glassformer translate -m runs/en-de \"A man rides a horse.\"
  cat news.en | glassformer translate -m runs/en-de > news.de
  glassformer translate -m runs/en-de --file news.en --beam 5 --length-penalty 0.6 --gnmt
  glassformer translate -m opus-mt-en-de --n-best 3 \"The spirit is willing.\"
  glassformer translate -m runs/en-de --sample --temperature 0.7 --seed 3 --json \"Hello.\"

Empty lines stay empty. A line longer than the model's context is translated in pieces of whole sentences; one that cannot be
cut, or of which the model knows no character, becomes an empty line; standard error says which and why, and the exit status is 1.

A score is the natural logarithm of a translation's probability, divided by n^A (n tokens, its end among them; with --gnmt by
((5+n)/6)^A): 0 sums and prefers the short, 1 compares means. Beam sizes, penalties and special tokens that nobody gives are those
of the model's generation_config.json, where it has one.")]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(crate) struct Translate {
    /// The texts; without any, and without --file, each line of standard input is one.
    texts: Vec<String>,
    /// Each line of FILE is a text (.gz and .zst are unpacked); `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "texts")]
    file: Option<PathBuf>,
    #[command(flatten)]
    model: ModelFlag,
    /// Hypotheses side by side [default: the model's, else 4].
    #[arg(long, value_name = "N", conflicts_with_all = ["greedy", "sample"])]
    beam: Option<usize>,
    /// Always take the likeliest token: one beam.
    #[arg(long, conflicts_with = "sample")]
    greedy: bool,
    /// How scores are divided: n^A for n tokens; more asks for longer translations [default: the model's, else 1].
    #[arg(long, value_name = "A", allow_negative_numbers = true)]
    length_penalty: Option<f64>,
    /// Divide by ((5+n)/6)^A instead, as Google's translator and the paper of the Transformer did.
    #[arg(long)]
    gnmt: bool,
    /// Give the N best of each line, one a line, with tabs between: number of the line, score, text. Of an empty line nothing.
    #[arg(long, value_name = "N")]
    n_best: Option<usize>,
    /// Draw tokens instead of searching.
    #[arg(long)]
    sample: bool,
    /// Lines that are translated side by side.
    #[arg(long, value_name = "N", default_value_t = BATCH)]
    batch_size: usize,
    /// Most tokens of a translation [default: those of its source and 50].
    #[arg(long, value_name = "N")]
    max_length: Option<usize>,
    /// One JSON object a line: line (from 1), source, translations with text, score, log_prob, tokens, ended.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    running: RunningFlags,
    // Last, as flags behind it would stand under its heading.
    #[command(flatten)]
    sampling: SamplingFlags,
}

impl Translate {
    pub(crate) fn run(&self) -> Result<()> {
        self.check()?;
        let mut input = self.input()?;
        let mut loaded = self.model.open()?;
        let search = self.search(&loaded)?;
        let pool = self.running.prepare(&mut loaded);
        let translator = Translator {
            loaded,
            pool,
            search,
        };
        let bar = progress(&input)?;
        let (mut read, mut failed) = (0u64, 0u64);
        loop {
            let (texts, wrong) = input.next(self.ahead());
            let is_over = texts.is_empty() || wrong.is_some();
            let lines = (read + 1..).zip(texts);
            let lines: Vec<Line> = lines.map(|(number, text)| Line { number, text }).collect();
            read += lines.len() as u64;
            bar.inc(lines.len() as u64);
            let translated = translator.translate(lines)?;
            failed += translated.iter().filter(|one| one.error.is_some()).count() as u64;
            let shown: Result<Vec<String>> = translated.iter().map(|one| self.shown(one)).collect();
            write(&shown?.concat())?;
            if let Some(error) = wrong {
                return Err(error);
            }
            if is_over {
                break;
            }
        }
        bar.finish_and_clear();
        if failed > 0 {
            bail!("{failed} of {read} lines could not be translated");
        }
        Ok(())
    }

    /// What can be refused before the model is read.
    fn check(&self) -> Result<()> {
        if self.batch_size == 0 {
            bail!("--batch-size is 0; it must be 1 or more");
        }
        if self.max_length == Some(0) {
            bail!("--max-length is 0; it must be 1 or more");
        }
        if self.sampling.are_given() && !self.sample {
            bail!("temperature, top-k, seed and their kin are for drawing: add --sample");
        }
        Ok(())
    }

    /// Lines that are read at once, where they are there: of some batches, so that those of like length can go together.
    fn ahead(&self) -> usize {
        const BATCHES: usize = 8;
        self.batch_size.saturating_mul(BATCHES)
    }

    fn input(&self) -> Result<Input> {
        match &self.file {
            Some(path) if path.as_os_str() != "-" => Input::file(path),
            None if !self.texts.is_empty() => Ok(Input::Whole(self.texts.clone().into_iter())),
            _ => Ok(Input::piped(self.ahead())),
        }
    }

    /// What is looked for, as the flags, then the model's files say.
    fn search(&self, loaded: &Loaded) -> Result<Search> {
        let mut search = loaded.usual_search()?;
        search.n_best = self.n_best.unwrap_or(1);
        search.batch = self.batch_size;
        if self.sample {
            search.way = Way::Sampling(self.sampling.with(&loaded.about.sampling)?);
        } else if let Way::Beams { width, .. } = &mut search.way {
            let asked = if self.greedy { Some(1) } else { self.beam };
            let vocab = loaded.model.dimensions().vocab;
            *width = asked.unwrap_or((*width).max(search.n_best).min(vocab));
        }
        let alpha = self.length_penalty.unwrap_or(search.penalty.alpha());
        search.penalty = if self.gnmt {
            LengthPenalty::Gnmt(alpha)
        } else {
            LengthPenalty::Power(alpha)
        };
        if let Some(most) = self.max_length {
            search.longest = Longest::Ids(most);
        }
        search.check(&loaded.model)?;
        Ok(search)
    }

    /// What is written of a line.
    fn shown(&self, one: &Translated) -> Result<String> {
        if self.json {
            return Ok(serde_json::to_string(one)? + "\n");
        }
        if self.n_best.is_none() {
            let best = one.translations.first();
            return Ok(best.map_or_else(String::new, |best| best.text.clone()) + "\n");
        }
        let mut shown = String::new();
        for translation in &one.translations {
            let (score, text) = (translation.score, &translation.text);
            writeln!(shown, "{}\t{score:.4}\t{text}", one.line)?;
        }
        Ok(shown)
    }
}

/// Progress, where somebody sees it and does not see the translations.
fn progress(input: &Input) -> Result<ProgressBar> {
    let bar = match input.left() {
        Some(lines) if !std::io::stdout().is_terminal() => ProgressBar::new(lines as u64),
        _ => ProgressBar::hidden(),
    };
    let style = "{bar:30} {pos}/{len} lines, {per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style)?);
    Ok(bar)
}
