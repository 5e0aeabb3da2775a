//! What can stop a training run.

use std::io;
use std::path::{Path, PathBuf};

use glassformer_model::{AdapterError, ModelError};
use glassformer_weights::WeightsError;

/// Each message is one line: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A checkpoint cannot be written.
    #[error(
        "cannot save {path}: {source}; the checkpoint before it is whole: make room (or rights) there, then go on with --resume",
        path = path.display()
    )]
    Save {
        /// Which checkpoint.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another file of the run cannot be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of a checkpoint cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `trainer.json` is damaged.
    #[error("{path} is damaged: {source}; remove this checkpoint's folder to go on from the one before", path = path.display())]
    Progress {
        /// Which file.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
    /// The loss is no number any more.
    #[error(
        "the loss became {loss} at step {step}: the run diverged; go back with --resume and a lower --learning-rate, or more --warmup"
    )]
    Diverged {
        /// When.
        step: u64,
        /// NaN or infinity.
        loss: f64,
    },
    /// A number out of range.
    #[error("{0}")]
    Options(String),
    /// The machine is too small.
    #[error(
        "this run needs {needs} of memory and {available} are free; {hint}lower --batch-size, --context, --layers or --d-model"
    )]
    Memory {
        /// How much.
        needs: String,
        /// How much there is.
        available: String,
        /// What would help besides, or nothing.
        hint: String,
    },
    /// The folder of a new run holds one already.
    #[error(
        "{path} already holds a run; go on with it by --resume, or name another folder with --out",
        path = path.display()
    )]
    RunExists {
        /// Which folder.
        path: PathBuf,
    },
    /// Nothing to take up again.
    #[error("{path} holds no run to resume; start one without --resume", path = path.display())]
    NoRun {
        /// Which folder.
        path: PathBuf,
    },
    /// Not as many checkpoints as a mean is asked of.
    #[error(
        "{path} holds {has} checkpoints that count, {wanted} are asked for; ask for fewer, or train with --keep {wanted}",
        path = path.display()
    )]
    TooFewCheckpoints {
        /// Which run.
        path: PathBuf,
        /// Checkpoints there are.
        has: usize,
        /// As many as are asked for.
        wanted: usize,
    },
    /// A checkpoint that cannot be averaged.
    #[error("{path} {why}; average checkpoints of one run that trains all its weights", path = path.display())]
    Average {
        /// Which checkpoint.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Weights that do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A model that cannot be made.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An adapter that does not fit its base.
    #[error("the adapter {path}: {source}", path = path.display())]
    Adapter {
        /// Which folder.
        path: PathBuf,
        /// Why not.
        source: AdapterError,
    },
    /// An adapter cannot be added to the model.
    #[error(transparent)]
    Targets(#[from] AdapterError),
    /// A run trains an adapter on a model that was not given.
    #[error("{path} trains an adapter on {base}, which is not at hand", path = path.display(), base = base.display())]
    NoBase {
        /// Which run.
        path: PathBuf,
        /// The model that it began with.
        base: PathBuf,
    },
    /// The corpus.
    #[error(transparent)]
    Data(#[from] crate::data::DataError),
}

impl TrainError {
    /// What is wrong with the adapter in `folder`.
    pub(crate) fn adapter(folder: &Path, source: AdapterError) -> Self {
        Self::Adapter {
            path: folder.to_owned(),
            source,
        }
    }
}
