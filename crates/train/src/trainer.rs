//! The training loop.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use glassformer_kernels::random;
use glassformer_model::loss::{self, Objective};
use glassformer_model::{Gradients, Mode, Model, Pass, Tape};
use glassformer_tensor::{Buffers, Pool};

use crate::asked::Asked;
use crate::checkpoint::{Checkpoints, Progress};
use crate::data::pairs::PairTokenizers;
use crate::material::{Batch, Material};
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
    /// Its tokenizer, or those of what it reads and writes: saved with it, and for samples.
    pub tokenizers: PairTokenizers,
    /// The optimiser's memory.
    pub optimizer: Optimizer,
    /// Where the run stands.
    pub progress: Progress,
    /// What it learns from and is measured on.
    pub material: Material,
}

/// What steps work with: kept from one to the next, so that a step allocates nothing.
pub struct Workspace {
    /// Where activations live.
    pub buffers: Buffers,
    /// Of the newest step.
    pub gradients: Gradients,
    tape: Tape,
    batch: Batch,
}

impl Workspace {
    /// For the steps of `trainer`.
    pub fn of(trainer: &Trainer) -> Self {
        // Where only some targets are asked for, their number differs from step to step.
        let buffers = if trainer.material.is_uneven() {
            Buffers::rounding_up()
        } else {
            Buffers::new()
        };
        Self {
            buffers,
            gradients: Gradients::zeros(trainer.model.parameters.trained().layout()),
            tape: Tape::new(trainer.options.recompute),
            batch: trainer.material.room(),
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
    /// Tokens that were read.
    pub tokens: usize,
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
            window.add(&report);
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
                self.score(pool, &mut metrics);
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
        let (total, count, tokens) = self.learn_batches(pool, workspace);
        // Where nothing is asked there is no loss.
        let loss = total / count.max(1) as f64;
        let step = self.progress.step + 1;
        if !loss.is_finite() {
            return Err(TrainError::Diverged { step, loss });
        }
        let rate = learning_rate(&self.options, step);
        let norm = self.optimizer.step(
            pool,
            &mut self.model,
            &mut workspace.gradients,
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
            tokens,
            grad_norm: norm,
            learning_rate: rate,
        })
    }

    /// Adds up the gradients of a step's batches: the sum of their losses, the targets that were asked for, the tokens read.
    fn learn_batches(&self, pool: &Pool, workspace: &mut Workspace) -> (f64, usize, usize) {
        let Workspace {
            buffers,
            gradients,
            tape,
            batch,
        } = workspace;
        let accumulate = self.options.accumulate;
        let (mut total, mut count, mut tokens) = (0.0, 0, 0);
        let first = self.progress.step * accumulate as u64;
        let all = self.material.targets(first..first + accumulate as u64);
        for micro in 0..accumulate {
            let index = first + micro as u64;
            self.material.train(index, batch);
            let key = random::derive(self.options.seed ^ 0xd20, index);
            let mode = Mode::Training {
                tape,
                dropout: self.options.dropout,
                key,
            };
            let mut pass = batch.pass(self.model.run(pool, buffers), mode);
            if let Some(translation) = &self.options.translation {
                pass = pass.with_pattern_dropout(translation.attention_dropout);
            }
            let asked = batch.asked();
            let objective = self.objective(asked, all);
            total += learn(&self.model, pass, batch.tokens(), objective, gradients);
            count += asked;
            tokens += batch.read();
        }
        (total, count, tokens)
    }

    /// What a batch with so many targets is learned for, of `all` in the step, where they are known.
    fn objective(&self, asked: usize, all: Option<usize>) -> Objective {
        let translation = self.options.translation.as_ref();
        let even = 1.0 / self.options.accumulate as f32;
        Objective {
            weight: all.map_or(even, |all| asked as f32 / all as f32),
            smoothing: translation.map_or(0.0, |translation| translation.label_smoothing),
        }
    }

    /// Mean loss over the validation windows.
    pub fn evaluate(&self, pool: &Pool, buffers: &Buffers) -> f64 {
        let run = self.model.run(pool, buffers);
        let (network, head) = (&self.model.network, self.model.head());
        let (mut total, mut count) = (0.0, 0);
        let mut batch = self.material.room();
        for index in 0..self.material.validation_len() {
            self.material.validation(index, &mut batch);
            let mut pass = batch.pass(run, Mode::Inference);
            let [x, y] = batch.tokens();
            let asked = Asked::of(buffers, y);
            if asked.targets().is_empty() {
                continue;
            }
            let last = network.residual(&mut pass, x);
            let last = asked.pick(&mut pass, last);
            let normed = head.normed(&mut pass, &last);
            total += loss::sum(run, &head.linear, normed.tensor(), asked.targets());
            count += asked.targets().len();
        }
        total / count.max(1) as f64
    }

    /// Writes a checkpoint of where the run stands.
    fn save(&self, checkpoints: &Checkpoints) -> Result<PathBuf, TrainError> {
        checkpoints.save(
            &self.model,
            &self.tokenizers,
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
}

/// Forward and backward over one batch `x, y [B·T]`, cut into sequences as the pass says: adds the gradient of the mean
/// loss ÷ `parts` to `gradients` and returns the sum of the losses (nats), both over the targets that are asked for.
pub fn gradient(
    model: &Model,
    pass: Pass<'_>,
    tokens: [&[u32]; 2],
    parts: usize,
    gradients: &mut Gradients,
) -> f64 {
    let objective = Objective {
        weight: 1.0 / parts as f32,
        smoothing: 0.0,
    };
    learn(model, pass, tokens, objective, gradients)
}

/// As [`gradient`], of an objective.
fn learn(
    model: &Model,
    mut pass: Pass<'_>,
    [x, y]: [&[u32]; 2],
    objective: Objective,
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
    let (sum, d_normed) = loss::learn(
        run,
        &unembed.linear,
        normed.tensor(),
        asked.targets(),
        objective,
        gradients,
    );
    pass.backward(&normed, d_normed, gradients);
    sum
}
