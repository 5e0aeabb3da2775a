//! `train`: pre-trains a model on text, or fine-tunes one.

mod hyper;
mod introduction;
mod pairs;
mod progress;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use glassformer_model::{Keep, Model};
use glassformer_tensor::Pool;
use glassformer_train::data::{ChatFormat, CorpusOptions, DocumentSplit};
use glassformer_train::setup::{self, Ready, Request, Stage};
use glassformer_train::{Options, Outcome, PRESETS};

use crate::source::Loaded;
use crate::terminal::{note, thousands};
use crate::{interrupt, source};
use hyper::Hyper;
use introduction::introduce;
use pairs::PairFlags;
use progress::{Bar, Preparation, duration};

/// Pre-train a model on text files, fine-tune one with --init, or train a translator on pairs of sentences.
///
/// CORPUS is a text file, a folder of text files, JSON lines (.jsonl, the field "text", or conversations in the field
/// "messages" for a model with a chat template, of which the answers are learned), any of these as .gz or .zst,
/// or a folder with nanoGPT's train.bin and val.bin. The run lives in --out: checkpoints, metrics.jsonl, tokenizer.
/// Ctrl-C saves it; --resume goes on as if it had never stopped. The result is the same for any number of threads.
#[derive(Args)]
#[command(
    args_override_self = true,
    after_help = "\
Examples:
  glassformer train shakespeare.txt --preset nano --out runs/nano
  glassformer train stories/ --preset tiny-story --out runs/stories --split-documents blank-line
  glassformer train --resume --out runs/nano
  glassformer train poems.txt --init runs/stories --out runs/poems --learning-rate 3e-4 --steps 500
  glassformer train talks.jsonl --init SmolLM2-135M-Instruct.Q4_1.gguf --lora-rank 8 --out runs/talks
  glassformer train --source train.en --target train.de --val-source val.en --val-target val.de --preset transformer-tiny --lowercase --out runs/de
  glassformer train --pairs cmn.txt --preset translator --out runs/zh"
)]
pub(crate) struct Train {
    /// Text to learn from.
    corpora: Vec<PathBuf>,
    /// The run's folder.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Starting point for all hyper-parameters: nano (0.8 M parameters, characters), baby (10.7 M, characters),
    /// tiny-story (3.5 M, BPE of 4,096), lora (an adapter on the model of --init); for pairs transformer-tiny (2.7 M, 4 + 4
    /// layers, the literature's for Multi30k) and translator (3.7 M, 3 + 3 layers, everyday sentences) [default: lora if a
    /// --lora flag is given, translator for pairs, else nano].
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(PRESETS), hide_default_value = true)]
    preset: Option<String>,
    /// Go on with the run in --out; hyper-parameter flags change what it was started with.
    #[arg(long)]
    resume: bool,
    /// Begin with the weights (and tokenizer) of this MODEL: fine-tuning.
    #[arg(long, value_name = "MODEL")]
    init: Option<String>,
    /// Threads; 0 for all cores.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// What separates documents in text files: whole (nothing, one per file), blank-line, or line.
    #[arg(long, value_enum, default_value = "whole")]
    split_documents: Split,
    /// The field of JSON lines that holds the text.
    #[arg(long, default_value = "text")]
    text_field: String,
    #[command(flatten)]
    hyper: Hyper,
    #[command(flatten)]
    pairs: PairFlags,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Split {
    Whole,
    BlankLine,
    Line,
}

impl Train {
    pub(crate) fn run(&self) -> Result<()> {
        let stop = interrupt::flag();
        let pool = Pool::new(self.threads);
        let mut ready = self.prepare(&pool)?;
        for text in &ready.notes {
            note(text);
        }
        introduce(&ready, &self.out);
        let mut bar = Bar::new(ready.trainer.progress.step, ready.trainer.options.steps);
        let outcome = ready.trainer.run(&pool, &self.out, &stop, &mut bar);
        bar.bar.finish_and_clear();
        match outcome? {
            Outcome::Finished => self.report(&ready),
            Outcome::NoBetter => {
                let progress = &ready.trainer.progress;
                eprintln!(
                    "No better validation loss in {} evaluations: ended early, at step {}.",
                    progress.evaluations_since_best,
                    thousands(progress.step)
                );
                self.report(&ready);
            }
            Outcome::Stopped(path) => {
                eprintln!(
                    "Stopped at step {}; saved {}.",
                    ready.trainer.progress.step,
                    path.display()
                );
                eprintln!(
                    "Go on with: glassformer train --resume --out {}",
                    self.out.display()
                );
            }
        }
        Ok(())
    }

    fn prepare(&self, pool: &Pool) -> Result<Ready> {
        let spinner = Preparation::new();
        let report = |stage: Stage| spinner.show(stage);
        if self.resume {
            if !self.corpora.is_empty() {
                bail!(
                    "--resume takes the corpus of the run in {}; leave the paths out",
                    self.out.display()
                );
            }
            if self.hyper.has_lora() {
                bail!("an adapter stays as it was begun; leave the --lora flags out with --resume");
            }
            if self.pairs.from().is_some() {
                bail!(
                    "--resume takes the pairs of the run in {}; leave the files out",
                    self.out.display()
                );
            }
            if setup::request(&self.out)?.pairs.is_none() {
                self.pairs.check_unused()?;
            }
            let change = |options: &mut Options| {
                self.hyper.apply(options);
                if options.translation.is_some() {
                    self.pairs.apply(options);
                }
            };
            let base = self.base()?;
            return Ok(setup::resume(&self.out, change, base, pool, &report)?);
        }
        let pairs = self.pairs.from();
        let options = self.options(pairs.is_some())?;
        let split = match self.split_documents {
            Split::Whole => DocumentSplit::Whole,
            Split::BlankLine => DocumentSplit::BlankLine,
            Split::Line => DocumentSplit::Line,
        };
        let mut reading = CorpusOptions {
            split,
            text_field: self.text_field.clone(),
            chat: None,
        };
        let (init, base) = match &self.init {
            Some(model) => {
                let (loaded, base) = begin_with(model, options.lora.is_some())?;
                reading.chat = ChatFormat::of(&loaded.about.tokenizer);
                (Some((loaded.model, loaded.tokenizer)), base)
            }
            None => (None, None),
        };
        let request = Request {
            corpora: self.corpora.clone(),
            reading,
            options,
            base,
            pairs,
        };
        Ok(setup::start(&self.out, request, init, pool, &report)?)
    }

    /// The hyper-parameters of a new run, on pairs or on texts.
    fn options(&self, on_pairs: bool) -> Result<Options> {
        if on_pairs != self.corpora.is_empty() {
            let why = if on_pairs {
                "a run learns from text files or from pairs: leave one of them out"
            } else {
                "no corpus: name text files or folders to learn from, pairs of sentences with --source and --target, or go on with a run by --resume"
            };
            bail!(why);
        }
        let default = match () {
            () if on_pairs => "translator",
            () if self.hyper.has_lora() => "lora",
            () => "nano",
        };
        let preset = self.preset.as_deref().unwrap_or(default);
        let mut options = Options::preset(preset).expect("clap checked the name");
        self.hyper.apply(&mut options);
        if on_pairs {
            self.pairs.apply(&mut options);
            if options.lora.is_some() {
                bail!("an adapter is trained on text, not on pairs; leave the --lora flags out");
            }
        } else {
            self.pairs.check_unused()?;
            if options.translation.is_some() {
                bail!(
                    "the preset {preset} is for pairs; name them with --source and --target, or with --pairs"
                );
            }
        }
        Ok(options)
    }

    /// The model that the run in --out trains an adapter on, if it does.
    fn base(&self) -> Result<Option<Model>> {
        let Some(base) = setup::request(&self.out)?.base else {
            return Ok(None);
        };
        let loaded = source::load(&base.display().to_string(), Keep::InFile)?;
        Ok(Some(loaded.model))
    }

    fn report(&self, ready: &Ready) {
        let progress = &ready.trainer.progress;
        let best = progress.best_val_loss.unwrap_or(f64::NAN);
        eprintln!(
            "Done: {} steps in {}; best validation loss {best:.4} at step {}.",
            thousands(progress.step),
            duration(progress.seconds),
            thousands(progress.best_step)
        );
        let out = self.out.display();
        if ready.request.pairs.is_some() {
            eprintln!("Run it with: glassformer translate -m {out} \"…\"");
        } else if ready.request.reading.chat.is_some() {
            eprintln!("Run it with: glassformer chat -m {out}");
        } else {
            eprintln!("Run it with: glassformer generate -m {out} \"…\"");
        }
    }
}

/// The model that a run begins with; for an adapter also where it is, and no copy of it in f32.
fn begin_with(model: &str, for_adapter: bool) -> Result<(Loaded, Option<PathBuf>)> {
    if !for_adapter {
        return Ok((source::load(model, Keep::InMemory)?.continuing()?, None));
    }
    let loaded = source::load(model, Keep::InFile)?.continuing()?;
    if loaded.model.parameters.adapter().is_some() {
        bail!(
            "{model} is an adapter itself; merge it first: glassformer convert -m {model} --out DIR"
        );
    }
    Ok((loaded, Some(source::place(model)?)))
}
