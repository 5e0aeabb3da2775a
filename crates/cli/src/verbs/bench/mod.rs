//! `bench`: how fast the engine is on this machine, next to what the machine can do.

mod count;
mod embed;
mod kernels;
mod report;
mod start;
mod times;
mod work;

use std::num::NonZeroUsize;

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use glassformer_model::families::gpt2;
use glassformer_model::{Keep, Model};
use glassformer_tensor::Pool;
use glassformer_train::Options;

use crate::source;
use crate::terminal::write;
use count::Count;
use kernels::{KERNELS, Kernel, ROWS};
use report::{Measurement, Report};
use times::Effort;
use work::{Precision, Reading, Training};

/// Measure how fast the engine is on this machine.
///
/// Each line gives the median time of one run, tokens and operations per second, and the part of the peak that this
/// is; the peaks of the processor are measured first, on the same threads. Nothing is read but the model, and nothing
/// is written. Other programs that are busy at the same time show in the numbers.
#[derive(Args)]
#[command(after_help = "\
Examples:
  glassformer bench train --preset nano                one optimiser step of a small model
  glassformer bench train --preset gpt2 --threads 2    of GPT-2 (124 M parameters), context 1,024
  glassformer bench start -m model.gguf                from nothing to the first token
  glassformer bench prefill -m runs/nano               reading a prompt
  glassformer bench prefill --preset gpt2 --record     what recording the residual stream costs
  glassformer bench decode --depth 200                 one token after 200 others
  glassformer bench embed -m all-MiniLM-L6-v2 --texts sentences.txt
  glassformer bench kernels --json                     products and attention at GPT-2's sizes
  glassformer bench peaks                              only what the processor can do")]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Train(TrainFlags),
    Start(start::StartFlags),
    Prefill(PrefillFlags),
    Decode(DecodeFlags),
    Embed(embed::EmbedFlags),
    Kernels(KernelsFlags),
    /// Measure only what the processor can do at best.
    Peaks(PeaksFlags),
}

/// Flags of all measurements.
#[derive(Args, Clone, Copy)]
struct Common {
    /// Threads; 0 for all cores.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Runs that count, after a warm-up [default: 10 or more, fewer when one takes over a second].
    #[arg(long, value_name = "N")]
    runs: Option<NonZeroUsize>,
    /// What operands of products are rounded to [default: the faster on this processor].
    #[arg(long, value_enum)]
    precision: Option<Precision>,
    /// One JSON object per measurement: name, precision, threads, ms (median), min_ms, max_ms, runs, tokens_per_s,
    /// gflops, percent_of_peak; for decode also gbs and percent_of_bandwidth.
    #[arg(long)]
    json: bool,
}

impl Common {
    fn precision(self) -> Precision {
        self.precision.unwrap_or_else(Precision::fastest)
    }

    fn effort(self) -> Effort {
        Effort {
            runs: self.runs.map(usize::from),
        }
    }

    /// The threads, and a report that begins with their peaks.
    fn begin(self) -> Result<(Pool, Report)> {
        let pool = Pool::new(self.threads);
        let threads = pool.threads();
        let report = Report::begin(self.json, threads, work::peaks(threads))?;
        Ok((pool, report))
    }
}

/// Sizes with random weights.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Preset {
    /// 4 layers, 4 heads, 128 wide, context 64, batch 12, vocabulary 65.
    Nano,
    /// 6 layers, 6 heads, 384 wide, context 256, batch 12, vocabulary 65.
    Baby,
    /// 12 layers, 12 heads, 768 wide, context 1,024, batch 1, vocabulary 50,304.
    Gpt2,
}

impl Preset {
    fn name(self) -> &'static str {
        match self {
            Self::Nano => "nano",
            Self::Baby => "baby",
            Self::Gpt2 => "gpt2",
        }
    }

    /// The hyper-parameters, and the vocabulary.
    fn options(self) -> (Options, usize) {
        let preset = |name| Options::preset(name).expect("a preset of `train`");
        match self {
            Self::Nano | Self::Baby => (preset(self.name()), 65),
            Self::Gpt2 => {
                let options = Options {
                    n_layers: 12,
                    n_heads: 12,
                    d_model: 768,
                    n_ctx: 1024,
                    batch_size: 1,
                    ..preset("nano")
                };
                (options, 50_304)
            }
        }
    }

    /// Random weights, made on all cores whatever is measured afterwards.
    fn model(self) -> Model {
        let (options, vocab) = self.options();
        gpt2::new(&options.config(vocab), options.seed, &Pool::new(0))
    }
}

/// Which model.
#[derive(Args)]
struct Which {
    /// A model of these sizes with random weights.
    #[arg(long, value_enum, conflicts_with = "model")]
    preset: Option<Preset>,
    /// `builtin`, a model's folder, or the --out folder of a training run.
    #[arg(short = 'm', long, value_name = "MODEL")]
    model: Option<String>,
}

impl Which {
    /// The model and its name; the built-in one if nothing else is said. Matrices of a file stay there where `keep` says so.
    fn load(&self, keep: Keep) -> Result<(Model, String)> {
        if let Some(preset) = self.preset {
            return Ok((preset.model(), preset.name().to_owned()));
        }
        let model = self.model.as_deref().unwrap_or("builtin");
        let loaded = source::load(model, keep)?.continuing()?;
        Ok((loaded.model, loaded.name))
    }
}

/// Measure one optimiser step on random tokens: forward, backward, clipping, AdamW.
#[derive(Args)]
struct TrainFlags {
    #[command(flatten)]
    which: Which,
    /// Sequences in a batch [default: the preset's; with -m, as many as make 1,024 tokens].
    #[arg(long, value_name = "N")]
    batch: Option<NonZeroUsize>,
    /// Run each block again in the backward pass instead of keeping its activations, as `train --recompute` does. This
    /// work is not counted as operations.
    #[arg(long)]
    recompute: bool,
    #[command(flatten)]
    common: Common,
}

/// Measure the reading of a prompt, up to the logits after its last token.
#[derive(Args)]
struct PrefillFlags {
    #[command(flatten)]
    which: Which,
    /// Tokens of the prompt [default: 512, or the model's context when that is shorter].
    #[arg(long, value_name = "N")]
    tokens: Option<NonZeroUsize>,
    /// Also measure it with the residual stream of every block recorded, in turn with the plain run, and say by how
    /// many per cent that is slower (overhead_percent).
    #[arg(long)]
    record: bool,
    #[command(flatten)]
    common: Common,
}

/// Measure the reading of single tokens, as in generating; a run is 64 of them, and the times are those of one.
#[derive(Args)]
struct DecodeFlags {
    #[command(flatten)]
    which: Which,
    /// Tokens that are in the cache already.
    #[arg(long, value_name = "N", default_value_t = 8)]
    depth: usize,
    #[command(flatten)]
    common: Common,
}

/// Measure matrix products and attention at the sizes of GPT-2.
#[derive(Args)]
struct KernelsFlags {
    /// Measure only those whose names contain this, such as `product` or `attention`.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    #[command(flatten)]
    common: Common,
}

/// Flags of the peaks alone, which are the best of what fits their time.
#[derive(Args)]
struct PeaksFlags {
    /// Threads; 0 for all cores.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// One JSON object: f32_gflops, bf16_gflops, int8_gops (null where the processor cannot), read_gbs, threads.
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        match &self.what {
            What::Train(flags) => flags.run(),
            What::Start(flags) => flags.run(),
            What::Prefill(flags) => flags.run(),
            What::Decode(flags) => flags.run(),
            What::Embed(flags) => flags.run(),
            What::Kernels(flags) => flags.run(),
            What::Peaks(flags) => flags.run(),
        }
    }
}

impl TrainFlags {
    fn run(&self) -> Result<()> {
        let (model, name, mut options) = if self.which.model.is_some() {
            let (model, name) = self.which.load(Keep::InMemory)?;
            let n_ctx = model.dimensions().n_ctx;
            let options = Options {
                n_ctx,
                batch_size: (1024 / n_ctx).max(1),
                ..Preset::Nano.options().0
            };
            (model, name, options)
        } else {
            let preset = self.which.preset.unwrap_or(Preset::Nano);
            (preset.model(), preset.name().to_owned(), preset.options().0)
        };
        if let Some(batch) = self.batch {
            options.batch_size = batch.get();
        }
        options.recompute = self.recompute;
        options.precision = self.common.precision().of_training();
        let recomputed = if self.recompute { ", recomputed" } else { "" };
        let (batch, n_ctx) = (options.batch_size, options.n_ctx);
        let (pool, report) = self.common.begin()?;
        let operations = Count::of(&model).training(batch, n_ctx);
        let mut training = Training::new(model, options, pool);
        report.add(&Measurement {
            name: format!("train {name}{recomputed}"),
            precision: self.common.precision(),
            times: self.common.effort().measure(2, || training.step()),
            tokens: batch * n_ctx,
            operations,
            bytes: None,
            overhead: None,
        })
    }
}

impl PrefillFlags {
    fn run(&self) -> Result<()> {
        let (model, name) = self.which.load(Keep::InFile)?;
        let n_ctx = model.dimensions().n_ctx;
        let tokens = self.tokens.map_or(n_ctx.min(512), usize::from);
        if tokens > n_ctx {
            bail!("--tokens {tokens} is more than the context of {name}, which is {n_ctx}");
        }
        let (pool, report) = self.common.begin()?;
        let operations = Count::of(&model).prefill(tokens);
        let mut reading = Reading::new(model, pool, self.common.precision());
        let measurement = |times, what: &str, overhead| Measurement {
            name: format!("prefill {name}, {tokens} tokens{what}"),
            precision: self.common.precision(),
            times,
            tokens,
            operations,
            bytes: None,
            overhead,
        };
        let effort = self.common.effort();
        if !self.record {
            let times = effort.measure(1, || reading.prefill(tokens));
            return report.add(&measurement(times, "", None));
        }
        let (plain, recorded, ratio) = effort.compare(|record| {
            if record {
                reading.prefill_recorded(tokens)
            } else {
                reading.prefill(tokens)
            }
        });
        report.add(&measurement(plain, "", None))?;
        let overhead = Some(100.0 * (ratio - 1.0));
        report.add(&measurement(recorded, ", recorded", overhead))
    }
}

impl DecodeFlags {
    fn run(&self) -> Result<()> {
        const TOKENS: usize = 64;
        let (model, name) = self.which.load(Keep::InFile)?;
        let (depth, n_ctx) = (self.depth, model.dimensions().n_ctx);
        if depth >= n_ctx {
            bail!(
                "--depth {depth} leaves no room for a token in the context of {name}, which is {n_ctx}"
            );
        }
        let tokens = TOKENS.min(n_ctx - depth);
        let (pool, report) = self.common.begin()?;
        let count = Count::of(&model);
        let mut reading = Reading::new(model, pool, self.common.precision());
        let bytes = reading
            .stored_bytes()
            .unwrap_or_else(|| count.weight_bytes(self.common.precision()));
        let effort = self.common.effort();
        let times = effort.measure(1, || reading.decode(depth, tokens));
        report.add(&Measurement {
            name: format!("decode {name}, {depth} tokens before"),
            precision: self.common.precision(),
            times: times.per(tokens),
            tokens: 1,
            operations: count.decode(depth, tokens),
            bytes: Some(bytes),
            overhead: None,
        })
    }
}

impl KernelsFlags {
    fn run(&self) -> Result<()> {
        let chosen = |kernel: &&Kernel| kernel.name().contains(&self.only);
        if !KERNELS.iter().any(|kernel| chosen(&kernel)) {
            let names: Vec<String> = KERNELS.iter().map(Kernel::name).collect();
            bail!(
                "--only {}: no kernel has this in its name; there are: {}",
                self.only,
                names.join("; ")
            );
        }
        let (pool, report) = self.common.begin()?;
        let all = Precision::ALL.iter().copied();
        for precision in all.filter(|&p| self.common.precision.is_none_or(|wanted| wanted == p)) {
            for kernel in KERNELS.iter().filter(chosen) {
                let times = self
                    .common
                    .effort()
                    .measure(1, kernel.work(&pool, precision));
                report.add(&Measurement {
                    name: kernel.name(),
                    precision,
                    times,
                    tokens: ROWS,
                    operations: kernel.operations(),
                    bytes: None,
                    overhead: None,
                })?;
            }
        }
        Ok(())
    }
}

impl PeaksFlags {
    fn run(&self) -> Result<()> {
        let threads = Pool::new(self.threads).threads();
        let peaks = work::peaks(threads);
        let text = if self.json {
            report::peaks_object(threads, &peaks).to_string()
        } else {
            report::heading(threads, &peaks).trim_end().to_owned()
        };
        Ok(write(&format!("{text}\n"))?)
    }
}
