//! `glassformer bench`, from a release build.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{command, output, run, target_folder};

/// The program, and the threads it may use.
pub(super) struct Program {
    path: PathBuf,
    threads: usize,
}

impl Program {
    /// Builds it.
    pub(super) fn build(root: &Path, threads: usize) -> Result<Self> {
        run(&mut command(
            root,
            "cargo",
            "build --release --package glassformer-cli",
        ))?;
        let name = format!("glassformer{}", std::env::consts::EXE_SUFFIX);
        Ok(Self {
            path: target_folder(root)?.join("release").join(name),
            threads,
        })
    }

    /// What `glassformer bench WORDS --json` prints, one object per measurement.
    pub(super) fn measure(&self, words: &str) -> Result<Vec<Value>> {
        let arguments = self.arguments(words);
        let text = output(&mut command(
            Path::new("."),
            &self.path.to_string_lossy(),
            &arguments,
        ))?;
        let lines = text.lines().map(serde_json::from_str);
        lines
            .collect::<Result<_, _>>()
            .with_context(|| format!("`glassformer {arguments}` did not print JSON lines"))
    }

    fn arguments(&self, words: &str) -> String {
        format!("bench {words} --threads {} --json", self.threads)
    }

    /// The command as one would type it.
    pub(super) fn shown(&self, words: &str) -> String {
        format!("glassformer {}", self.arguments(words))
    }

    /// The fastest of the measurements: its milliseconds and precision.
    pub(super) fn fastest(&self, words: &str) -> Result<(f64, String)> {
        let measured = self.measure(words)?;
        measured
            .iter()
            .filter_map(|one| Some((one["ms"].as_f64()?, one["precision"].as_str()?.to_owned())))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .with_context(|| format!("`glassformer bench {words}` measured nothing"))
    }
}
