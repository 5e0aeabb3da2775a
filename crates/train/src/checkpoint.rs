//! Checkpoints: a folder that is written whole or not at all, and from which a run goes on bit for bit.
//!
//! `checkpoints/step-000500/` holds `config.json`, `model.safetensors` and `tokenizer.json` as Hugging Face lays them
//! out (so each checkpoint is a model by itself), or an adapter as PEFT does, which names its base; and
//! `optimizer.safetensors` and `trainer.json` for going on.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use glassformer_model::{Adapter, Model, Parameters, families};
use glassformer_weights::{FloatType, NamedTensor, TensorFile, atomic, safetensors};
use serde::{Deserialize, Serialize};

use crate::data::pairs::PairTokenizers;
use crate::{Optimizer, TrainError, adapter};

/// Where a run stands. With the seed of its options this is all its random state: batches and dropout masks are
/// functions of (seed, step).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done; the next batch's number follows from it.
    pub step: u64,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Lowest validation loss so far.
    pub best_val_loss: Option<f64>,
    /// The step at which it was seen.
    pub best_step: u64,
    /// Validation loss at this step, where it was measured.
    #[serde(default)]
    pub val_loss: Option<f64>,
    /// Evaluations since the best one.
    #[serde(default)]
    pub evaluations_since_best: u64,
}

const MODEL: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const PROGRESS: &str = "trainer.json";

/// The checkpoints of the run in `run`.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    /// How many of the newest stay when one is added.
    keep: usize,
}

impl Checkpoints {
    /// Those of the run folder `run`.
    pub fn of(run: &Path) -> Self {
        Self {
            folder: run.join("checkpoints"),
            keep: 2,
        }
    }

    /// The same, of which the newest `keep` stay when one is added.
    #[must_use]
    pub fn keeping(self, keep: usize) -> Self {
        Self { keep, ..self }
    }

    /// All complete checkpoints, the oldest first.
    pub fn list(&self) -> Vec<(u64, PathBuf)> {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let mut found: Vec<(u64, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| {
                let step = entry
                    .file_name()
                    .to_str()?
                    .strip_prefix("step-")?
                    .parse()
                    .ok()?;
                Some((step, entry.path()))
            })
            .collect();
        found.sort();
        found
    }

    /// The folder of step `step`.
    pub fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("step-{step:06}"))
    }

    /// Writes a checkpoint and then removes those that are neither among the newest nor the best.
    pub fn save(
        &self,
        model: &Model,
        tokenizers: &PairTokenizers,
        optimizer: &Optimizer,
        progress: &Progress,
    ) -> Result<PathBuf, TrainError> {
        let path = self.path(progress.step);
        let error = |source| TrainError::Save {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(&self.folder).map_err(error)?;
        if path.exists() {
            // Saved at this very step already (a stop right after an evaluation): the contents are the same, …
            if read(&path, Some(model)).is_ok() {
                return Ok(path);
            }
            // … unless it is the damaged one that this run was resumed from before.
            fs::remove_dir_all(&path).map_err(error)?;
        }
        atomic::write_folder(&path, |folder| {
            match model.parameters.adapter() {
                Some(trained) => adapter::write(folder, trained)?,
                None => write_model(folder, model, tokenizers, FloatType::F32)?,
            }
            atomic::write_synced(&folder.join(OPTIMIZER), &optimizer_bytes(model, optimizer)?)?;
            atomic::write_synced(
                &folder.join(PROGRESS),
                &serde_json::to_vec_pretty(progress)?,
            )
        })
        .map_err(error)?;
        self.prune(progress);
        Ok(path)
    }

    fn prune(&self, progress: &Progress) {
        let all = self.list();
        let newest = all.len().saturating_sub(self.keep);
        for (step, path) in &all[..newest] {
            if *step != progress.best_step || progress.best_val_loss.is_none() {
                // What cannot be removed only takes up room.
                let _ = fs::remove_dir_all(path);
            }
        }
    }

    /// Removes the checkpoint of step 0: what a start that did not come to its end left behind. Nothing else: the
    /// folder may hold another run's work, or another program's.
    pub(crate) fn clear_beginning(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.path(0)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The newest checkpoint that can be read whole: model, optimiser, progress. `None` when there is none at all. What is
    /// trained is an adapter if a `base` is given.
    ///
    /// A damaged one is passed over in favour of the one before it, and named in the returned list.
    pub fn resume(&self, mut base: Option<Model>) -> Result<Option<Resumed>, TrainError> {
        let mut damaged = Vec::new();
        for (_, path) in self.list().into_iter().rev() {
            match read(&path, base.as_ref()) {
                Ok((trained, optimizer, progress)) => {
                    return Ok(Some(Resumed {
                        model: trained.onto(base.take()),
                        optimizer,
                        progress,
                        damaged,
                    }));
                }
                Err(error) => damaged.push(error),
            }
        }
        match damaged.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }

    /// The model to use: the checkpoint with the lowest validation loss, or the newest.
    pub fn best(&self) -> Option<PathBuf> {
        let all = self.list();
        let (_, newest) = all.last()?;
        let progress = progress(newest).ok();
        let best = progress
            .filter(|p| p.best_val_loss.is_some())
            .map(|p| self.path(p.best_step));
        Some(
            best.filter(|path| path.exists())
                .unwrap_or_else(|| newest.clone()),
        )
    }
}

/// A run taken up again.
pub struct Resumed {
    /// With the parameters of the checkpoint.
    pub model: Model,
    /// With its moments.
    pub optimizer: Optimizer,
    /// Where it stood.
    pub progress: Progress,
    /// Newer checkpoints that could not be read, and why.
    pub damaged: Vec<TrainError>,
}

/// Writes `config.json`, the weights and the tokenizers into `folder`.
pub fn write_model(
    folder: &Path,
    model: &Model,
    tokenizers: &PairTokenizers,
    dtype: FloatType,
) -> io::Result<()> {
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let tensors = model.parameters.named(model.parameters.arena());
    let bytes = safetensors::to_bytes(&tensors, dtype, &metadata).map_err(io::Error::other)?;
    atomic::write_synced(&folder.join(MODEL), &bytes)?;
    atomic::write_synced(
        &folder.join("config.json"),
        model.network.config_json().as_bytes(),
    )?;
    tokenizers.write(folder)
}

/// What a checkpoint holds.
enum Trained {
    Model(Box<Model>),
    Adapter(Box<Adapter>),
}

impl Trained {
    fn parameters(&self) -> &Parameters {
        match self {
            Self::Model(model) => &model.parameters,
            Self::Adapter(adapter) => adapter.parameters(),
        }
    }

    /// The model of it.
    fn onto(self, base: Option<Model>) -> Model {
        match (self, base) {
            (Self::Model(model), _) => *model,
            (Self::Adapter(adapter), base) => {
                let mut model = base.expect("an adapter is read for its base");
                model.adapt(*adapter);
                model
            }
        }
    }
}

fn optimizer_bytes(model: &Model, optimizer: &Optimizer) -> io::Result<Vec<u8>> {
    let moment = |arena, prefix: &str| -> Vec<NamedTensor<'_>> {
        let mut tensors = model.parameters.trained().named(arena);
        for tensor in &mut tensors {
            tensor.name = format!("{prefix}.{}", tensor.name);
        }
        tensors
    };
    let mut tensors = moment(&optimizer.m, "m");
    tensors.extend(moment(&optimizer.v, "v"));
    let metadata = BTreeMap::from([("step".to_owned(), optimizer.step.to_string())]);
    safetensors::to_bytes(&tensors, FloatType::F32, &metadata).map_err(io::Error::other)
}

/// A file of the checkpoint `path`.
fn read_file(path: &Path, name: &str) -> Result<Vec<u8>, TrainError> {
    let path = path.join(name);
    fs::read(&path).map_err(|source| TrainError::Read { path, source })
}

/// The model in the checkpoint `path`.
pub(crate) fn read_model(path: &Path) -> Result<Model, TrainError> {
    let config = read_file(path, "config.json")?;
    let weights = TensorFile::open(&path.join(MODEL))?;
    let config = String::from_utf8_lossy(&config);
    Ok(families::load(
        &config,
        &weights,
        &path.display().to_string(),
    )?)
}

/// Where the run stood at the checkpoint `path`.
pub(crate) fn progress(path: &Path) -> Result<Progress, TrainError> {
    let bytes = read_file(path, PROGRESS)?;
    serde_json::from_slice(&bytes).map_err(|source| TrainError::Progress {
        path: path.join(PROGRESS),
        source,
    })
}

fn read(path: &Path, base: Option<&Model>) -> Result<(Trained, Optimizer, Progress), TrainError> {
    let trained = if let Some(base) = base.filter(|_| adapter::is_adapter(path)) {
        Trained::Adapter(Box::new(adapter::read(path, base)?))
    } else {
        Trained::Model(Box::new(read_model(path)?))
    };
    let parameters = trained.parameters();
    let progress = progress(path)?;
    let file = TensorFile::open(&path.join(OPTIMIZER))?;
    let mut optimizer = Optimizer::new(parameters.arena().len());
    for spec in parameters.layout().specs() {
        let range = parameters.layout().range(spec.id);
        file.read_f32(
            &format!("m.{}", spec.name),
            &spec.shape,
            &mut optimizer.m[range.clone()],
        )?;
        file.read_f32(
            &format!("v.{}", spec.name),
            &spec.shape,
            &mut optimizer.v[range],
        )?;
    }
    optimizer.step = progress.step;
    Ok((trained, optimizer, progress))
}
