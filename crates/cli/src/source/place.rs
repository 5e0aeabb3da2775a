//! Where a model is: which of the formats lies at a path.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use glassformer_train::adapter::is_adapter;
use glassformer_train::checkpoint::Checkpoints;
use glassformer_weights::WeightsFile;

use super::nanogpt;

/// Where a model is.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// A GGUF file.
    Gguf(PathBuf),
    /// A file of llama2.c.
    Llama2c(PathBuf),
    /// A checkpoint of nanoGPT, saved as safetensors.
    NanoGpt(PathBuf),
    /// A folder as Hugging Face lays it out.
    Folder(PathBuf),
    /// An adapter, which names its model.
    Adapter(PathBuf),
}

impl Found {
    /// The format, for people.
    pub(crate) fn format(&self) -> &'static str {
        match self {
            Self::Gguf(_) => "GGUF",
            Self::Llama2c(_) => "llama2.c",
            Self::NanoGpt(_) => "nanoGPT, safetensors",
            Self::Folder(_) => "folder, safetensors",
            Self::Adapter(_) => "LoRA adapter",
        }
    }

    /// The file or folder.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Gguf(path)
            | Self::Llama2c(path)
            | Self::NanoGpt(path)
            | Self::Folder(path)
            | Self::Adapter(path) => path,
        }
    }
}

/// What lies at the path: a file, a folder, or the best checkpoint of a training run.
pub(super) fn find(path: &Path) -> Result<Found> {
    if !path.exists() {
        bail!(
            "no model {}: give `builtin`, `builtin-translator`, a model's folder or file, or the --out folder of a training run",
            path.display()
        );
    }
    if path.is_file() {
        find_file(path)
    } else {
        find_in_folder(path)
    }
}

fn find_file(path: &Path) -> Result<Found> {
    let has_extension = |name: &str| path.extension().is_some_and(|extension| extension == name);
    let path = path.to_owned();
    // Whether it is what its name says shows when it is read; what has no name of a model is looked into.
    if has_extension("gguf") {
        return Ok(Found::Gguf(path));
    }
    if !has_extension("safetensors") {
        return Ok(match WeightsFile::open(&path)? {
            WeightsFile::Gguf(_) => Found::Gguf(path),
            WeightsFile::Llama2c(_) => Found::Llama2c(path),
            WeightsFile::Safetensors(_) | WeightsFile::Sharded(_) => beside(path),
        });
    }
    Ok(beside(path))
}

/// Weights as safetensors: of the folder that they lie in, if that has a config.
fn beside(path: PathBuf) -> Found {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    if folder.join("config.json").exists() && !nanogpt::is_config(folder) {
        Found::Folder(folder.to_owned())
    } else {
        Found::NanoGpt(path)
    }
}

fn find_in_folder(folder: &Path) -> Result<Found> {
    if folder.join("config.json").exists() && !nanogpt::is_config(folder) {
        return Ok(Found::Folder(folder.to_owned()));
    }
    if is_adapter(folder) {
        return Ok(Found::Adapter(folder.to_owned()));
    }
    if let Some(best) = Checkpoints::of(folder).best() {
        return Ok(if is_adapter(&best) {
            Found::Adapter(best)
        } else {
            Found::Folder(best)
        });
    }
    if let Some(file) = only_gguf(folder) {
        return Ok(Found::Gguf(file));
    }
    if let Some(file) = only(folder, "safetensors") {
        return Ok(Found::NanoGpt(file));
    }
    // It says what to do with pickles too.
    WeightsFile::open(folder)
        .map(|_| ())
        .with_context(|| format!("{} holds no model", folder.display()))?;
    bail!(
        "{}: config.json is missing; get it from where the weights are from",
        folder.display()
    );
}

/// The GGUF file in a folder that holds exactly one.
pub(super) fn only_gguf(folder: &Path) -> Option<PathBuf> {
    only(folder, "gguf")
}

/// The file with this extension in a folder that holds exactly one.
fn only(folder: &Path, extension: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let mut files = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == extension));
    let first = files.next()?;
    files.next().is_none().then_some(first)
}
