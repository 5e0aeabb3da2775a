//! `train`: pre-trains a model on text, or fine-tunes one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use glassformer_tensor::Pool;
use glassformer_train::data::{CorpusOptions, DocumentSplit};
use glassformer_train::metrics::Metrics;
use glassformer_train::schedule::Schedule;
use glassformer_train::setup::{self, Ready, Request, Stage};
use glassformer_train::{Observer, Options, Outcome, PRESETS, Vocabulary};
use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal::{note, style, thousands};
use crate::{interrupt, source};

/// Pre-train a model on text files, or fine-tune one with --init.
///
/// CORPUS is a text file, a folder of text files, JSON lines (.jsonl, the field "text"), any of these as .gz or .zst,
/// or a folder with nanoGPT's train.bin and val.bin. The run lives in --out: checkpoints, metrics.jsonl, tokenizer.
/// Ctrl-C saves it; --resume goes on as if it had never stopped.
#[derive(Args)]
#[command(
    args_override_self = true,
    after_help = "\
Examples:
  glassformer train shakespeare.txt --preset nano --out runs/nano
  glassformer train stories/ --preset tiny-story --out runs/stories --split-documents blank-line
  glassformer train --resume --out runs/nano
  glassformer train poems.txt --init runs/stories --out runs/poems --learning-rate 3e-4 --steps 500"
)]
pub(crate) struct Train {
    /// Text to learn from.
    corpora: Vec<PathBuf>,
    /// The run's folder.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Starting point for all hyper-parameters: nano (0.8 M parameters, characters), baby (10.7 M, characters),
    /// tiny-story (3.5 M, BPE of 4,096).
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(PRESETS), default_value = "nano")]
    preset: String,
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
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Split {
    Whole,
    BlankLine,
    Line,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Activation {
    Gelu,
    Relu,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum ScheduleName {
    Cosine,
    Constant,
    Linear,
}

/// Each overrides the preset.
#[derive(Args)]
#[command(next_help_heading = "Hyper-parameters (default: the preset's)")]
struct Hyper {
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
    /// Seed of parameters, batches and dropout.
    #[arg(long)]
    seed: Option<u64>,
    /// Steps between evaluations; each also writes a sample and a checkpoint.
    #[arg(long)]
    eval_every: Option<u64>,
    /// Batches per evaluation.
    #[arg(long)]
    eval_batches: Option<usize>,
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
}

impl Hyper {
    /// Lays the given flags over `options`.
    fn apply(&self, options: &mut Options) {
        fn set<T: Clone>(slot: &mut T, flag: Option<&T>) {
            if let Some(value) = flag {
                slot.clone_from(value);
            }
        }
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
        set(&mut options.seed, self.seed.as_ref());
        set(&mut options.eval_every, self.eval_every.as_ref());
        set(&mut options.eval_batches, self.eval_batches.as_ref());
        set(&mut options.log_every, self.log_every.as_ref());
        set(&mut options.sample_tokens, self.sample_tokens.as_ref());
        set(&mut options.val_fraction, self.val_fraction.as_ref());
        if self.d_ff.is_some() {
            options.d_ff = self.d_ff;
        }
        if !self.samples.is_empty() {
            options.sample_prompts.clone_from(&self.samples);
        }
        if let Some(activation) = self.activation {
            options.relu = matches!(activation, Activation::Relu);
        }
        if let Some(schedule) = self.schedule {
            options.schedule = match schedule {
                ScheduleName::Cosine => Schedule::Cosine,
                ScheduleName::Constant => Schedule::Constant,
                ScheduleName::Linear => Schedule::Linear,
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
            let change = |options: &mut Options| self.hyper.apply(options);
            return Ok(setup::resume(&self.out, change, pool, &report)?);
        }
        if self.corpora.is_empty() {
            bail!(
                "no corpus: name text files or folders to learn from, or go on with a run by --resume"
            );
        }
        let mut options = Options::preset(&self.preset).expect("clap checked the name");
        self.hyper.apply(&mut options);
        let split = match self.split_documents {
            Split::Whole => DocumentSplit::Whole,
            Split::BlankLine => DocumentSplit::BlankLine,
            Split::Line => DocumentSplit::Line,
        };
        let reading = CorpusOptions {
            split,
            text_field: self.text_field.clone(),
        };
        let init = match &self.init {
            Some(model) => {
                let loaded = source::load(model)?;
                Some((loaded.model, loaded.tokenizer))
            }
            None => None,
        };
        let request = Request {
            corpora: self.corpora.clone(),
            reading,
            options,
        };
        Ok(setup::start(&self.out, request, init, pool, &report)?)
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
        eprintln!(
            "Run it with: glassformer generate -m {} \"…\"",
            self.out.display()
        );
    }
}

/// What is about to be trained, on one line.
fn introduce(ready: &Ready, out: &Path) {
    let trainer = &ready.trainer;
    let d = trainer.model.dimensions();
    eprintln!(
        "{}: {} layers, {} heads, {} wide, context {}, vocabulary {}: {} parameters; {} tokens per step",
        style("1", &out.display().to_string()),
        d.n_layers,
        d.n_heads,
        d.d_model,
        trainer.options.n_ctx,
        thousands(d.vocab as u64),
        thousands(trainer.model.parameters.arena().len() as u64),
        thousands((trainer.train.tokens() * trainer.options.accumulate) as u64),
    );
    if trainer.progress.step > 0 {
        eprintln!("Going on at step {}.", thousands(trainer.progress.step));
    }
}

fn duration(seconds: f64) -> String {
    let s = seconds as u64;
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

/// A line that tells what is prepared, on terminals.
struct Preparation(ProgressBar);

impl Preparation {
    fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    fn show(&self, stage: Stage) {
        self.0.set_message(match stage {
            Stage::Vocabulary => "learning the vocabulary …".to_owned(),
            Stage::Tokens(progress) => format!(
                "tokenizing: {} of {} MB, {} tokens",
                progress.bytes / 1_000_000,
                progress.total_bytes / 1_000_000,
                thousands(progress.tokens)
            ),
        });
    }
}

impl Drop for Preparation {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// The progress bar; where there is no terminal, a line per evaluation.
struct Bar {
    bar: ProgressBar,
    smoothed: Option<f64>,
}

impl Bar {
    fn new(step: u64, steps: u64) -> Self {
        let bar = ProgressBar::new(steps).with_position(step);
        let template = "{bar:28.cyan/blue} {pos}/{len}  {msg}  {eta} left";
        bar.set_style(
            ProgressStyle::with_template(template)
                .expect("a valid template")
                .progress_chars("━╸─"),
        );
        bar.reset_eta();
        Self {
            bar,
            smoothed: None,
        }
    }

    /// A line above the bar, or on standard error where there is no bar.
    fn line(&self, text: &str) {
        if self.bar.is_hidden() {
            eprintln!("{text}");
        } else {
            self.bar.println(text);
        }
    }
}

impl Observer for Bar {
    fn step(&mut self, step: u64, train_loss: f64, tokens_per_s: f64) {
        let smoothed = self
            .smoothed
            .map_or(train_loss, |old| old + 0.05 * (train_loss - old));
        self.smoothed = Some(smoothed);
        self.bar.set_message(format!(
            "loss {smoothed:.3}  {} tokens/s",
            thousands(tokens_per_s as u64)
        ));
        self.bar.set_position(step);
    }

    fn evaluated(&mut self, metrics: &Metrics, is_best: bool) {
        self.line(&format!(
            "step {:>6}  train {:.4}  val {:.4}{}  {} tokens/s  {}",
            metrics.step,
            metrics.train_loss,
            metrics.val_loss.unwrap_or(f64::NAN),
            if is_best { " (best)" } else { "" },
            thousands(metrics.tokens_per_s as u64),
            duration(metrics.seconds),
        ));
    }

    fn sample(&mut self, prompt: &str, continuation: &str) {
        let text = format!("{}{}", style("1", prompt), continuation.trim_end());
        self.line(&format!("  {}", text.replace('\n', "\n  ")));
    }

    fn saved(&mut self, _path: &Path) {}
}
