//! A small model that is trained here, on a visitor's text, while the page goes on.
//!
//! One run at a time, on one thread of its own. Whoever asks the page for something that has to be computed comes first: between two
//! steps the run waits until nobody does.

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use glassformer_kernels::product::Precision;
use glassformer_tensor::Pool;
use glassformer_train::metrics::Metrics;
use glassformer_train::{Observer, TrainError, Trainer, Workspace};

use crate::error::ApiError;
use crate::state::{Common, Explained};

/// The longest run.
const MOST_TIME: Duration = Duration::from_mins(30);

/// How long a run waits before it looks again whether somebody asks for something.
const GLANCE: Duration = Duration::from_millis(2);

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    Finished,
    Stopped,
    Failed,
}

impl Phase {
    /// Its name in answers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// What a run was asked for, for whoever comes to look.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) preset: &'static str,
    pub(crate) steps: u64,
    pub(crate) learning_rate: f64,
    pub(crate) n_layers: usize,
    pub(crate) d_model: usize,
    pub(crate) n_ctx: usize,
    pub(crate) vocab: usize,
    pub(crate) parameters: usize,
    /// Tokens to learn from.
    pub(crate) tokens: usize,
    /// What samples begin with.
    pub(crate) prompt: String,
    /// The visitor's text, named without being kept.
    pub(crate) fingerprint: u64,
}

/// How far a run has come.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) id: u64,
    pub(crate) plan: Plan,
    pub(crate) phase: Phase,
    /// Of each step.
    pub(crate) losses: Vec<f64>,
    /// (step, loss).
    pub(crate) validation: Vec<(u64, f64)>,
    /// (step, continuation of the prompt).
    pub(crate) samples: Vec<(u64, String)>,
    pub(crate) tokens_per_s: f64,
    pub(crate) seconds: f64,
    /// The name by which the trained model can be opened.
    pub(crate) model: Option<String>,
    /// Why it failed.
    pub(crate) error: Option<String>,
}

/// The newest run.
#[derive(Default)]
pub(crate) struct Training {
    newest: Mutex<Option<Run>>,
    stop: AtomicBool,
}

impl Training {
    /// The newest run, if there was one.
    pub(crate) fn newest(&self) -> MutexGuard<'_, Option<Run>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the run to end after its step.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Takes the place of the newest run; refused while one goes on. Gives its number.
    fn begin(&self, plan: Plan) -> Result<u64, ApiError> {
        let mut newest = self.newest();
        if newest
            .as_ref()
            .is_some_and(|run| run.phase == Phase::Running)
        {
            let message =
                "a model is being trained already; stop it first, or wait until it is done";
            return Err(ApiError::new(StatusCode::CONFLICT, message));
        }
        self.stop.store(false, Ordering::Relaxed);
        let id = newest.as_ref().map_or(1, |run| run.id + 1);
        *newest = Some(Run {
            id,
            plan,
            phase: Phase::Running,
            losses: Vec::new(),
            validation: Vec::new(),
            samples: Vec::new(),
            tokens_per_s: 0.0,
            seconds: 0.0,
            model: None,
            error: None,
        });
        Ok(id)
    }

    /// Notes something of the newest run.
    fn note(&self, what: impl FnOnce(&mut Run)) {
        if let Some(run) = self.newest().as_mut() {
            what(run);
        }
    }
}

/// Begins a run on a thread of its own; gives its number.
pub(crate) fn start(
    common: &Arc<Common>,
    plan: Plan,
    trainer: Trainer,
    begin_with: String,
) -> Result<u64, ApiError> {
    let id = common.training.begin(plan.clone())?;
    let work = Arc::clone(common);
    let spawned = thread::Builder::new()
        .name("training".to_owned())
        .spawn(move || {
            let run = AssertUnwindSafe(|| train(&work, &plan, trainer, begin_with));
            if panic::catch_unwind(run).is_err() {
                let reason = "the training failed; this is a bug".to_owned();
                end(&work, Phase::Failed, |run| run.error = Some(reason));
            }
        });
    spawned.map_err(|error| {
        let reason = format!("cannot start a thread for the training: {error}");
        end(common, Phase::Failed, |run| {
            run.error = Some(reason.clone());
        });
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, reason)
    })?;
    Ok(id)
}

fn end(common: &Common, phase: Phase, more: impl FnOnce(&mut Run)) {
    common.training.note(|run| {
        run.phase = phase;
        more(run);
    });
}

/// The whole run, and the model put where it can be asked about.
fn train(common: &Common, plan: &Plan, mut trainer: Trainer, begin_with: String) {
    let phase = match steps(common, &mut trainer) {
        Ok(phase) => phase,
        Err(error) => {
            let reason = told(&error);
            return end(common, Phase::Failed, |run| run.error = Some(reason));
        }
    };
    let name = name(plan, trainer.progress.step);
    let Trainer {
        mut model,
        tokenizers,
        ..
    } = trainer;
    // Traces are computed in f32, which what followed the training is not.
    model.precision = Precision::F32;
    model.packed = None;
    common.models.add(Explained {
        name: name.clone(),
        model,
        tokenizer: tokenizers.source,
        stored: None,
        chat: None,
        translating: None,
        initial_text: Some(begin_with),
    });
    end(common, phase, |run| run.model = Some(name));
}

/// Steps, evaluations and samples, until the last step, or somebody stops it, or its time is over.
fn steps(common: &Common, trainer: &mut Trainer) -> Result<Phase, TrainError> {
    let (pool, mut workspace) = (Pool::single(), Workspace::of(trainer));
    let (begin, mut busy) = (Instant::now(), Duration::ZERO);
    let per_step = trainer.material.batch_tokens() as f64;
    evaluate(common, trainer, &pool, &workspace);
    while trainer.progress.step < trainer.options.steps {
        while common.is_asked() {
            thread::sleep(GLANCE);
        }
        if common.training.stop.load(Ordering::Relaxed) || begin.elapsed() > MOST_TIME {
            return Ok(Phase::Stopped);
        }
        let since = Instant::now();
        let report = trainer.step(&pool, &mut workspace)?;
        busy += since.elapsed();
        let step = trainer.progress.step;
        common.training.note(|run| {
            run.losses.push(report.loss);
            run.seconds = begin.elapsed().as_secs_f64();
            run.tokens_per_s = step as f64 * per_step / busy.as_secs_f64().max(1e-9);
        });
        if step == trainer.options.steps || step.is_multiple_of(trainer.options.eval_every) {
            evaluate(common, trainer, &pool, &workspace);
        }
    }
    Ok(Phase::Finished)
}

/// The loss on the text's end, and a sample.
fn evaluate(common: &Common, trainer: &Trainer, pool: &Pool, workspace: &Workspace) {
    let step = trainer.progress.step;
    let loss = trainer.evaluate(pool, &workspace.buffers);
    common
        .training
        .note(|run| run.validation.push((step, loss)));
    trainer.sample(pool, &mut Samples { common, step });
}

/// Keeps samples.
struct Samples<'a> {
    common: &'a Common,
    step: u64,
}

impl Observer for Samples<'_> {
    fn step(&mut self, _step: u64, _train_loss: f64, _tokens_per_s: f64) {}

    fn evaluated(&mut self, _metrics: &Metrics, _is_best: bool) {}

    fn sample(&mut self, _prompt: &str, continuation: &str) {
        let sample = (self.step, continuation.to_owned());
        self.common.training.note(|run| run.samples.push(sample));
    }

    fn saved(&mut self, _path: &Path) {}
}

/// The error, in words for somebody who has no command line before him.
fn told(error: &TrainError) -> String {
    match error {
        TrainError::Diverged { step, .. } => format!(
            "at step {step} the loss was no number any more: the run diverged; train again with a lower learning rate"
        ),
        other => other.to_string(),
    }
}

/// The same name for the same text, plan and number of steps: what a link names is then that model, also after a restart.
fn name(plan: &Plan, step: u64) -> String {
    let parts = [
        plan.fingerprint,
        plan.steps,
        plan.learning_rate.to_bits(),
        step,
    ];
    let all = parts.iter().flat_map(|part| part.to_le_bytes());
    let print = fingerprint(all.chain(plan.preset.bytes()));
    format!("trained-{:06x}", print & 0xff_ffff)
}

/// FNV-1a.
pub(crate) fn fingerprint(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use glassformer_train::TrainError;

    use super::told;

    #[test]
    fn a_run_that_diverged_is_told_without_a_command_line() {
        let loss = f64::NAN;
        let told = told(&TrainError::Diverged { step: 7, loss });
        assert!(told.contains("step 7") && told.contains("learning rate"));
        assert!(!told.contains("--"), "{told}");
    }
}
