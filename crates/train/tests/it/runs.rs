//! Tiny runs for the tests of the loop.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use glassformer_kernels::random;
use glassformer_tensor::Pool;
use glassformer_train::data::CorpusOptions;
use glassformer_train::metrics::Metrics;
use glassformer_train::setup::{self, Ready, Request};
use glassformer_train::{Observer, Options, Outcome, TrainError, Trainer, Vocabulary};
use tempfile::TempDir;

/// A few hundred parameters, 40 steps, a checkpoint every 10.
pub(crate) fn options() -> Options {
    Options {
        n_layers: 1,
        n_heads: 2,
        d_model: 6,
        d_ff: Some(11),
        n_ctx: 7,
        vocabulary: Vocabulary::Characters,
        steps: 40,
        batch_size: 3,
        learning_rate: 1e-2,
        min_learning_rate: 1e-3,
        warmup: 5,
        eval_every: 10,
        eval_batches: 2,
        log_every: 4,
        sample_tokens: 3,
        val_fraction: 0.1,
        ..Options::preset("nano").unwrap()
    }
}

/// A folder with a corpus, and room for runs.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let words = ["the ", "cat ", "sat ", "on ", "a ", "mat.\n"];
        let text: String = (0..600)
            .map(|i| words[(random::bits(1, i) % 6) as usize])
            .collect();
        fs::write(folder.path().join("corpus.txt"), text).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn request(&self, options: Options) -> Request {
        Request {
            base: None,
            pairs: None,
            corpora: vec![self.path("corpus.txt")],
            reading: CorpusOptions::default(),
            options,
        }
    }

    pub(crate) fn start(&self, name: &str, options: Options) -> Trainer {
        let ready = setup::start(
            &self.path(name),
            self.request(options),
            None,
            &Pool::single(),
            &|_| (),
        );
        ready.unwrap().trainer
    }

    /// A run that nothing disturbs.
    pub(crate) fn undisturbed(&self, name: &str, options: Options) -> Trainer {
        let mut trainer = self.start(name, options);
        assert_eq!(
            run(&mut trainer, &self.path(name), u64::MAX).unwrap(),
            Outcome::Finished
        );
        trainer
    }

    pub(crate) fn resume(&self, name: &str) -> Ready {
        resume(&self.path(name)).unwrap()
    }
}

pub(crate) fn resume(folder: &Path) -> Result<Ready, TrainError> {
    setup::resume(folder, |_| (), None, &Pool::single(), &|_| ())
}

/// Runs until step `last` is done, as if Ctrl-C were pressed then.
pub(crate) fn run(trainer: &mut Trainer, folder: &Path, last: u64) -> Result<Outcome, TrainError> {
    run_with(trainer, folder, last, &Pool::single())
}

pub(crate) fn run_with(
    trainer: &mut Trainer,
    folder: &Path,
    last: u64,
    pool: &Pool,
) -> Result<Outcome, TrainError> {
    let stop = AtomicBool::new(last == 0);
    trainer.run(pool, folder, &stop, &mut StopAfter { last, stop: &stop })
}

struct StopAfter<'a> {
    last: u64,
    stop: &'a AtomicBool,
}

impl Observer for StopAfter<'_> {
    fn step(&mut self, step: u64, train_loss: f64, _tokens_per_s: f64) {
        assert!(train_loss.is_finite());
        self.stop.store(step >= self.last, Ordering::Relaxed);
    }

    fn evaluated(&mut self, metrics: &Metrics, _is_best: bool) {
        assert!(metrics.val_loss.is_some());
    }

    fn sample(&mut self, _prompt: &str, _continuation: &str) {}

    fn saved(&mut self, path: &Path) {
        assert!(path.join("trainer.json").exists());
    }
}

/// Fails unless both stand at the same step with the same bits.
#[track_caller]
pub(crate) fn assert_same(a: &Trainer, b: &Trainer) {
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let best = |t: &Trainer| {
        (
            t.progress.step,
            t.progress.best_val_loss.map(f64::to_bits),
            t.progress.best_step,
        )
    };
    assert_eq!(best(a), best(b));
    assert_eq!(
        bits(a.model.parameters.trained().arena()),
        bits(b.model.parameters.trained().arena()),
        "parameters"
    );
    assert_eq!(bits(&a.optimizer.m), bits(&b.optimizer.m), "first moments");
    assert_eq!(bits(&a.optimizer.v), bits(&b.optimizer.v), "second moments");
    assert_eq!(a.optimizer.step, b.optimizer.step);
}
