//! The training loop.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use glassformer_generate::{Generation, Sampling, Work};
use glassformer_kernels::random;
use glassformer_model::{Gradients, Mode, Model, Pass, Tape, loss};
use glassformer_tensor::{Buffers, Pool};
use glassformer_tokens::Tokenizer;

use crate::asked::Asked;
use crate::checkpoint::{Checkpoints, Progress};
use crate::data::{Batches, Windows, is_asked};
use crate::metrics::{Metrics, MetricsLog};
use crate::schedule::learning_rate;
use crate::window::Window;
use crate::{Optimizer, Options, TrainError};

/// What a run works with.
pub struct Trainer {
    /// All hyper-parameters.
    pub options: Options,
    /// The model as it stands.
    pub model: Model,
    /// Its tokenizer: saved with it, and for samples.
    pub tokenizer: Tokenizer,
    /// The optimiser's memory.
    pub optimizer: Optimizer,
    /// Where the run stands.
    pub progress: Progress,
    /// Random windows of the training text.
    pub train: Batches,
    /// Evenly spread windows of the validation text.
    pub validation: Windows,
}

/// What steps work with: kept from one to the next, so that a step allocates nothing.
pub struct Workspace {
    /// Where activations live.
    pub buffers: Buffers,
    /// Of the newest step.
    pub gradients: Gradients,
    tape: Tape,
    /// A batch: ids and the ids that follow them, [B,T].
    batch: [Vec<u32>; 2],
}

impl Workspace {
    /// For the steps of `trainer`.
    pub fn of(trainer: &Trainer) -> Self {
        let tokens = trainer.train.tokens();
        // Where only some targets are asked for, their number differs from step to step.
        let buffers = if trainer.train.is_marked() {
            Buffers::rounding_up()
        } else {
            Buffers::new()
        };
        Self {
            buffers,
            gradients: Gradients::zeros(trainer.model.parameters.trained().layout()),
            tape: Tape::new(trainer.options.recompute),
            batch: [vec![0; tokens], vec![0; tokens]],
        }
    }
}

/// What the loop tells while it runs; every method may do nothing.
pub trait Observer {
    /// A step is done.
    fn step(&mut self, step: u64, train_loss: f64, tokens_per_s: f64);
    /// An evaluation is done.
    fn evaluated(&mut self, metrics: &Metrics, is_best: bool);
    /// A sample was written at an evaluation.
    fn sample(&mut self, prompt: &str, continuation: &str);
    /// A checkpoint was written.
    fn saved(&mut self, path: &Path);
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Finished,
    /// The validation loss did not get better any more ([`Options::patience`]).
    NoBetter,
    /// It was asked to stop; the checkpoint is where it goes on.
    Stopped(PathBuf),
}

/// Mean loss and norm of one optimiser step.
#[derive(Clone, Copy, Debug)]
pub struct StepReport {
    /// Mean over the step's batches; 0 where nothing was asked for.
    pub loss: f64,
    /// Targets that were asked for.
    pub asked: usize,
    /// Before clipping.
    pub grad_norm: f64,
    /// As scheduled.
    pub learning_rate: f64,
}

impl Trainer {
    /// Runs to the last step, or until `stop` is set: then saves and returns.
    pub fn run(
        &mut self,
        pool: &Pool,
        folder: &Path,
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainError> {
        let checkpoints = Checkpoints::of(folder).keeping(self.options.keep);
        let mut log = MetricsLog::open(folder, self.progress.step)?;
        let mut workspace = Workspace::of(self);
        let mut window = Window::new(self.progress.seconds);
        while self.progress.step < self.options.steps && !self.is_stale() {
            if stop.load(Ordering::Relaxed) {
                let path = self.save(&checkpoints)?;
                return Ok(Outcome::Stopped(path));
            }
            let report = self.step(pool, &mut workspace)?;
            let step = self.progress.step;
            window.add(&report, self.tokens_per_step());
            self.progress.seconds = window.seconds();
            observer.step(step, report.loss, window.tokens_per_s());

            let last = step == self.options.steps;
            let evaluate = last || step.is_multiple_of(self.options.eval_every);
            if !(evaluate || step.is_multiple_of(self.options.log_every)) {
                continue;
            }
            let mut metrics = window.metrics(step, &report);
            if evaluate {
                let loss = self.evaluate(pool, &workspace.buffers);
                if !loss.is_finite() {
                    // Before it is saved: the checkpoint before must stay the one to go back to.
                    return Err(TrainError::Diverged { step, loss });
                }
                metrics.val_loss = Some(loss);
                let is_best = self.note(&metrics);
                observer.evaluated(&metrics, is_best);
                self.sample(pool, observer);
                self.progress.seconds = window.seconds();
            }
            log.write(&metrics)?;
            if evaluate {
                let path = self.save(&checkpoints)?;
                observer.saved(&path);
            }
            window.begin();
        }
        Ok(if self.progress.step < self.options.steps {
            Outcome::NoBetter
        } else {
            Outcome::Finished
        })
    }

    /// One optimiser step over `accumulate` batches. `gradients` must be 0, and are so again afterwards.
    pub fn step(
        &mut self,
        pool: &Pool,
        workspace: &mut Workspace,
    ) -> Result<StepReport, TrainError> {
        let Workspace {
            buffers,
            gradients,
            tape,
            batch: [x, y],
        } = workspace;
        let accumulate = self.options.accumulate;
        let (mut total, mut count) = (0.0, 0);
        for micro in 0..accumulate {
            let index = self.progress.step * accumulate as u64 + micro as u64;
            self.train.batch(index, x, y);
            let key = random::derive(self.options.seed ^ 0xd20, index);
            let mode = Mode::Training {
                tape,
                dropout: self.options.dropout,
                key,
            };
            // Windows of the run's context, which a fine-tuned model's own may exceed.
            let run = self.model.run(pool, buffers);
            let pass = Pass::new(run, self.options.batch_size, self.options.n_ctx, mode);
            total += gradient(&self.model, pass, [x, y], accumulate, gradients);
            count += y.iter().filter(|&&target| is_asked(target)).count();
        }
        // Where nothing is asked there is no loss.
        let loss = total / count.max(1) as f64;
        let step = self.progress.step + 1;
        if !loss.is_finite() {
            return Err(TrainError::Diverged { step, loss });
        }
        let rate = learning_rate(&self.options, step);
        let norm = self.optimizer.step(
            pool,
            self.model.parameters.trained_mut(),
            gradients,
            &self.options,
            rate,
        );
        if !norm.is_finite() {
            // The parameters are lost; the loss would tell only at the next step, after this one may be saved.
            return Err(TrainError::Diverged {
                step,
                loss: f64::NAN,
            });
        }
        self.progress.step = step;
        self.progress.val_loss = None;
        Ok(StepReport {
            loss,
            asked: count,
            grad_norm: norm,
            learning_rate: rate,
        })
    }

    /// Mean loss over the validation windows.
    pub fn evaluate(&self, pool: &Pool, buffers: &Buffers) -> f64 {
        let run = self.model.run(pool, buffers);
        let (network, head) = (&self.model.network, self.model.head());
        let (mut total, mut count) = (0.0, 0);
        let n_ctx = self.options.n_ctx;
        let (mut x, mut y) = (
            vec![0; self.validation.tokens()],
            vec![0; self.validation.tokens()],
        );
        for index in 0..self.validation.len() {
            let rows = self.validation.batch(index, &mut x, &mut y);
            let tokens = rows * n_ctx;
            let mut pass = Pass::new(run, rows, n_ctx, Mode::Inference);
            let asked = Asked::of(buffers, &y[..tokens]);
            if asked.targets().is_empty() {
                continue;
            }
            let last = network.residual(&mut pass, &x[..tokens]);
            let last = asked.pick(&mut pass, last);
            let normed = head.normed(&mut pass, &last);
            total += loss::sum(run, &head.linear, normed.tensor(), asked.targets());
            count += asked.targets().len();
        }
        total / count.max(1) as f64
    }

    /// Tokens that one step learns from.
    fn tokens_per_step(&self) -> usize {
        self.options.accumulate * self.options.batch_size * self.options.n_ctx
    }

    /// Writes a checkpoint of where the run stands.
    fn save(&self, checkpoints: &Checkpoints) -> Result<PathBuf, TrainError> {
        checkpoints.save(
            &self.model,
            &self.tokenizer,
            &self.optimizer,
            &self.progress,
        )
    }

    /// Whether evaluations were no better for as long as the options allow.
    fn is_stale(&self) -> bool {
        let patience = self.options.patience;
        patience > 0 && self.progress.evaluations_since_best >= patience
    }

    /// Remembers the best evaluation; whether this is it.
    fn note(&mut self, metrics: &Metrics) -> bool {
        let Some(val_loss) = metrics.val_loss else {
            return false;
        };
        let is_best = self
            .progress
            .best_val_loss
            .is_none_or(|best| val_loss < best);
        self.progress.val_loss = Some(val_loss);
        self.progress.evaluations_since_best += 1;
        if is_best {
            self.progress.best_val_loss = Some(val_loss);
            self.progress.best_step = metrics.step;
            self.progress.evaluations_since_best = 0;
        }
        is_best
    }

    /// Continues each sample prompt, with a seed that is the step.
    pub fn sample(&self, pool: &Pool, observer: &mut dyn Observer) {
        if self.options.sample_tokens == 0 {
            return;
        }
        let empty = [String::new()];
        let prompts: &[String] = if self.options.sample_prompts.is_empty() {
            &empty
        } else {
            &self.options.sample_prompts
        };
        for prompt in prompts {
            let ids = self
                .tokenizer
                .encode(prompt)
                .map(|encoding| encoding.ids)
                .unwrap_or_default();
            let begin = self
                .tokenizer
                .end_of_text()
                .or_else(|| self.tokenizer.id_of("\n"))
                .unwrap_or(0);
            let ids = if ids.is_empty() { vec![begin] } else { ids };
            let sampling = Sampling {
                seed: self.progress.step,
                ..Sampling::default()
            };
            let mut generation = Generation::new(&self.model, pool, &ids, sampling, Work::Cached);
            let mut continuation = Vec::new();
            for _ in 0..self.options.sample_tokens {
                let id = generation.step().id;
                if self.tokenizer.end_of_text() == Some(id) {
                    break;
                }
                continuation.push(id);
            }
            observer.sample(prompt, &self.tokenizer.decode(&continuation));
        }
    }
}

/// Forward and backward over one batch `x, y [B·T]`, cut into sequences as the pass says: adds the gradient of the mean
/// loss ÷ `parts` to `gradients` and returns the sum of the losses (nats), both over the targets that are asked for.
pub fn gradient(
    model: &Model,
    mut pass: Pass<'_>,
    [x, y]: [&[u32]; 2],
    parts: usize,
    gradients: &mut Gradients,
) -> f64 {
    let run = pass.run();
    let (unembed, asked) = (model.head(), Asked::of(run.buffers, y));
    if asked.targets().is_empty() {
        return 0.0;
    }
    let last = model.network.residual(&mut pass, x);
    let last = asked.pick(&mut pass, last);
    let normed = unembed.normed(&mut pass, &last);
    let weight = 1.0 / parts as f32;
    let (sum, d_normed) = loss::sum_and_gradient(
        run,
        &unembed.linear,
        normed.tensor(),
        asked.targets(),
        weight,
        gradients,
    );
    pass.backward(&normed, d_normed, gradients);
    sum
}
