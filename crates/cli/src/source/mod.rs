//! What a MODEL on the command line is: `builtin`, a model's folder or file, or a training run's folder; and adapters on it.

mod adapter;
mod folder;
mod gguf;
mod hub;
mod vectors;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use glassformer_model::{Keep, Model};
use glassformer_tokens::{Tokenizer, TokenizerConfig};
use glassformer_train::adapter::is_adapter;
use glassformer_train::checkpoint::Checkpoints;

pub(crate) use vectors::Said;

/// A model ready to run.
pub(crate) struct Loaded {
    /// For people.
    pub(crate) name: String,
    pub(crate) model: Model,
    pub(crate) tokenizer: Tokenizer,
    /// What else its files say.
    pub(crate) about: About,
}

impl Loaded {
    /// The same, unless it is an encoder: for verbs that continue texts.
    pub(crate) fn continuing(self) -> Result<Self> {
        self.model.check_continues(&self.name)?;
        Ok(self)
    }
}

/// What a model's files say beside weights and tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// Chat templates and the names of special tokens.
    pub(crate) tokenizer: TokenizerConfig,
    /// How its makers would sample, where they say so.
    pub(crate) sampling: Suggested,
    /// As its makers write it.
    pub(crate) license: Option<String>,
    /// How its numbers are stored, and how many bytes they take.
    pub(crate) stored: Option<(String, u64)>,
    /// Where it lies; the built-in model lies in the program.
    pub(crate) found: Option<Found>,
}

/// Settings that a model's makers suggest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Suggested {
    pub(crate) temperature: Option<f32>,
    pub(crate) top_k: Option<usize>,
    pub(crate) top_p: Option<f32>,
    pub(crate) min_p: Option<f32>,
    pub(crate) repetition_penalty: Option<f32>,
}

/// The flags `-m` and `--lora` that most verbs have.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ModelFlag {
    /// `builtin`, a model's folder or .gguf file, the --out folder of a training run, or a model on the Hugging Face hub:
    /// hf:org/name, hf:org/name@revision, hf:org/name:file.gguf.
    #[arg(
        short = 'm',
        long = "model",
        value_name = "MODEL",
        default_value = "builtin"
    )]
    pub(crate) model: String,
    /// The folder of a LoRA adapter of that model, as PEFT or `train --lora-rank` writes it.
    #[arg(long, value_name = "DIR")]
    pub(crate) lora: Option<PathBuf>,
}

impl Default for ModelFlag {
    fn default() -> Self {
        Self {
            model: "builtin".to_owned(),
            lora: None,
        }
    }
}

impl ModelFlag {
    /// Reads the model, all its parameters in `f32`, an adapter merged into them.
    pub(crate) fn load(&self) -> Result<Loaded> {
        self.read(Keep::InMemory)
    }

    /// Opens the model to run it: its matrices stay in their file until they are laid out for products.
    pub(crate) fn open(&self) -> Result<Loaded> {
        self.read(Keep::InFile)
    }

    fn read(&self, keep: Keep) -> Result<Loaded> {
        let loaded = load(&self.model, keep)?;
        match &self.lora {
            Some(folder) => adapter::add(loaded, folder, keep),
            None => Ok(loaded),
        }
    }
}

/// Reads a MODEL.
pub(crate) fn load(source: &str, keep: Keep) -> Result<Loaded> {
    if source == "builtin" {
        return crate::builtin::load();
    }
    let is_remote = source.starts_with("hf:");
    let found = if is_remote {
        find(&hub::fetch(source)?)?
    } else {
        find(Path::new(source))?
    };
    let mut loaded = match &found {
        Found::Gguf(file) => gguf::load(file, keep)?,
        Found::Folder(folder) => folder::load(folder, keep)
            .with_context(|| format!("cannot load the model in {}", folder.display()))?,
        Found::Adapter(folder) => adapter::load(folder, keep)?,
    };
    loaded.about.found = Some(found);
    if is_remote {
        source.clone_into(&mut loaded.name);
    }
    let (ids, vocab) = (
        loaded.tokenizer.vocab_size(),
        loaded.model.dimensions().vocab,
    );
    if ids > vocab {
        bail!(
            "{source}: the tokenizer has {ids} tokens but the model a vocabulary of {vocab}: they are of different models"
        );
    }
    Ok(loaded)
}

/// Where the files of a MODEL are: absolute, and of a training run its best checkpoint. `builtin` has none.
pub(crate) fn place(source: &str) -> Result<PathBuf> {
    if source == "builtin" {
        return Ok(PathBuf::from(source));
    }
    let (Found::Gguf(path) | Found::Folder(path) | Found::Adapter(path)) = find(Path::new(source))?;
    std::fs::canonicalize(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Where a model is.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Gguf(PathBuf),
    Folder(PathBuf),
    /// An adapter, which names its model.
    Adapter(PathBuf),
}

/// The file or folder given, or the best checkpoint of a training run.
fn find(path: &Path) -> Result<Found> {
    let has_extension = |name: &str| path.extension().is_some_and(|extension| extension == name);
    if !path.exists() {
        bail!(
            "no model {}: give `builtin`, a model's folder or .gguf file, or the --out folder of a training run",
            path.display()
        );
    }
    if path.is_file() {
        if has_extension("safetensors") {
            let folder = path.parent().filter(|folder| *folder != Path::new(""));
            return Ok(Found::Folder(folder.unwrap_or(Path::new(".")).to_owned()));
        }
        return Ok(Found::Gguf(path.to_owned()));
    }
    if path.join("config.json").exists() {
        return Ok(Found::Folder(path.to_owned()));
    }
    if is_adapter(path) {
        return Ok(Found::Adapter(path.to_owned()));
    }
    let best = Checkpoints::of(path).best();
    if best.is_none()
        && let Some(file) = only_gguf(path)
    {
        return Ok(Found::Gguf(file));
    }
    let found = best.map(|best| {
        if is_adapter(&best) {
            Found::Adapter(best)
        } else {
            Found::Folder(best)
        }
    });
    found.with_context(|| {
        format!(
            "{} holds no model: neither a config.json nor one .gguf file nor a checkpoint of a training run",
            path.display()
        )
    })
}

/// The GGUF file in a folder that holds exactly one.
fn only_gguf(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let mut files = entries.map(|entry| entry.path()).filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "gguf")
    });
    let first = files.next()?;
    files.next().is_none().then_some(first)
}
