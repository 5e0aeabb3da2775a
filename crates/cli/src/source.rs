//! What a MODEL on the command line is: `builtin`, a model's folder, or a training run's folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use glassformer_model::{Model, families};
use glassformer_tokens::Tokenizer;
use glassformer_train::checkpoint::Checkpoints;
use glassformer_weights::TensorFile;

/// A model ready to run.
pub(crate) struct Loaded {
    /// For people.
    pub(crate) name: String,
    pub(crate) model: Model,
    pub(crate) tokenizer: Tokenizer,
}

/// The `-m` flag that most verbs have.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ModelFlag {
    /// `builtin`, a model's folder, or the --out folder of a training run.
    #[arg(
        short = 'm',
        long = "model",
        value_name = "MODEL",
        default_value = "builtin"
    )]
    pub(crate) model: String,
}

impl Default for ModelFlag {
    fn default() -> Self {
        Self {
            model: "builtin".to_owned(),
        }
    }
}

impl ModelFlag {
    /// Reads the model.
    pub(crate) fn load(&self) -> Result<Loaded> {
        load(&self.model)
    }
}

/// Reads a MODEL.
pub(crate) fn load(source: &str) -> Result<Loaded> {
    if source == "builtin" {
        return crate::builtin::load();
    }
    for (prefix, what) in [("hf:", "models of a hub"), (".gguf", "GGUF files")] {
        if source.starts_with(prefix) || source.ends_with(prefix) {
            bail!(
                "{source}: this version cannot load {what} yet; give a folder with config.json and model.safetensors"
            );
        }
    }
    let folder = find(Path::new(source))?;
    from_folder(&folder).with_context(|| format!("cannot load the model in {}", folder.display()))
}

/// The folder that holds the model: the one given, or the best checkpoint of a training run.
fn find(path: &Path) -> Result<PathBuf> {
    if path.is_file()
        && path
            .extension()
            .is_some_and(|extension| extension == "safetensors")
    {
        return Ok(path.parent().unwrap_or(Path::new(".")).to_owned());
    }
    if !path.exists() {
        bail!(
            "no model {}: give `builtin`, a model's folder, or the --out folder of a training run",
            path.display()
        );
    }
    if path.join("config.json").exists() {
        return Ok(path.to_owned());
    }
    Checkpoints::of(path).best().with_context(|| {
        format!(
            "{} holds no model: neither a config.json nor a checkpoint of a training run",
            path.display()
        )
    })
}

fn from_folder(folder: &Path) -> Result<Loaded> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let config =
        String::from_utf8(read("config.json")?).context("config.json is not UTF-8 text")?;
    let weights = TensorFile::open(&folder.join("model.safetensors"))?;
    let model = families::load(&config, &weights, &folder.display().to_string())?;
    let tokenizer = Tokenizer::from_json(&read("tokenizer.json")?)?;
    let (ids, vocab) = (tokenizer.vocab_size(), model.dimensions().vocab);
    if ids > vocab {
        bail!(
            "tokenizer.json has {ids} tokens but config.json a vocabulary of {vocab}: they are of different models"
        );
    }
    Ok(Loaded {
        name: folder.display().to_string(),
        model,
        tokenizer,
    })
}
