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

    /// The fastest of the measurements.
    pub(super) fn fastest(&self, words: &str) -> Result<Fastest> {
        let measured = self.measure(words)?;
        let read = |one: &Value| {
            Some(Fastest {
                ms: one["ms"].as_f64()?,
                precision: one["precision"].as_str()?.to_owned(),
                of_peak: of_peak(one),
            })
        };
        let all = measured.iter().filter_map(read);
        all.min_by(|a, b| a.ms.total_cmp(&b.ms))
            .with_context(|| format!("`glassformer bench {words}` measured nothing"))
    }
}

/// What the fastest measurement said.
pub(super) struct Fastest {
    pub(super) ms: f64,
    pub(super) precision: String,
    /// Of what the processor can do.
    pub(super) of_peak: String,
}

/// Of the reading speed where the measurement says that this is its limit, else of the operations; nothing if neither is said.
fn of_peak(one: &Value) -> String {
    let (read, operations) = (&one["percent_of_bandwidth"], &one["percent_of_peak"]);
    match (read.as_f64(), operations.as_f64()) {
        (Some(percent), _) => format!("{percent:.0} % of reading"),
        (None, Some(percent)) => format!("{percent:.0} %"),
        (None, None) => String::new(),
    }
}
