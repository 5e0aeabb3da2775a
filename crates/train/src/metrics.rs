//! `metrics.jsonl`: one JSON object per line, for people with plots and for programs.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use glassformer_weights::atomic;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// One line. Losses are in nats per token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Steps done.
    pub step: u64,
    /// Mean training loss since the line before.
    pub train_loss: f64,
    /// Validation loss, at evaluations.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub val_loss: Option<f64>,
    /// BLEU of greedy translations, at evaluations of a model that translates.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bleu: Option<f64>,
    /// chrF of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chrf: Option<f64>,
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Training tokens per second since the line before.
    pub tokens_per_s: f64,
    /// Seconds of training, evaluations included.
    pub seconds: f64,
}

/// The file of a run.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    file: fs::File,
}

impl MetricsLog {
    /// Opens the log of the run folder `run`, without the lines after `step`: a run taken up again at a checkpoint
    /// repeats those steps.
    pub fn open(run: &Path, step: u64) -> Result<Self, TrainError> {
        let path = run.join("metrics.jsonl");
        let error = |source| TrainError::Write {
            path: path.clone(),
            source,
        };
        let kept: String = fs::read_to_string(&path)
            .unwrap_or_default()
            .lines()
            .filter(|line| {
                serde_json::from_str::<Metrics>(line).is_ok_and(|metrics| metrics.step <= step)
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        atomic::write_file(&path, kept.as_bytes()).map_err(error)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(error)?;
        Ok(Self { path, file })
    }

    /// Adds a line.
    pub fn write(&mut self, metrics: &Metrics) -> Result<(), TrainError> {
        let line = serde_json::to_string(metrics).expect("plain numbers") + "\n";
        let error = |source| TrainError::Write {
            path: self.path.clone(),
            source,
        };
        self.file.write_all(line.as_bytes()).map_err(error)
    }
}

/// All lines of a run's log.
pub fn read(run: &Path) -> Vec<Metrics> {
    fs::read_to_string(run.join("metrics.jsonl"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}
