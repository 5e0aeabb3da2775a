//! What a model's files say of the vectors of texts: how they are pooled, how long they are, how much of a text is read.

use std::path::{Component, Path};

use anyhow::{Context, Result, bail};
use glassformer_generate::Pooling;
use glassformer_generate::embed::{Modules, most_tokens};
use glassformer_weights::GgufFile;
use glassformer_weights::gguf::Metadata;

use super::Found;
use super::folder::optional;

/// What is said; the rest is for the caller to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// How the vectors of a text's tokens become one.
    pub(crate) pooling: Option<Pooling>,
    /// Whether vectors are made 1 long.
    pub(crate) normalises: bool,
    /// Most tokens of a text.
    pub(crate) most: Option<usize>,
}

impl Said {
    /// Of the files of a model; the built-in one has none. Errors: they cannot be read, or ask for what cannot be computed.
    pub(crate) fn of(found: Option<&Found>) -> Result<Self> {
        match found {
            // An adapter's folder says nothing of vectors.
            None | Some(Found::Adapter(_)) => Ok(Self::default()),
            Some(Found::Gguf(path)) => of_gguf(path),
            Some(Found::Folder(folder)) => {
                of_folder(folder).with_context(|| folder.display().to_string())
            }
        }
    }
}

/// The key `ARCHITECTURE.pooling_type`.
fn of_gguf(path: &Path) -> Result<Said> {
    /// For a model that ends at the vectors of its tokens.
    const NONE: u64 = 0;
    let file = GgufFile::open(path)?;
    let metadata = file.metadata();
    let key = format!("{}.pooling_type", metadata.string("general.architecture")?);
    let number = metadata.optional(&key, Metadata::u64)?;
    let Some(number) = number.filter(|&number| number != NONE) else {
        return Ok(Said::default());
    };
    let pooling = Pooling::from_gguf(number);
    if pooling.is_none() {
        bail!(
            "{}: {key} is {number}, a pooling that cannot be computed; choose one by --pooling",
            path.display()
        );
    }
    Ok(Said {
        pooling,
        ..Said::default()
    })
}

/// What sentence-transformers writes beside a model.
fn of_folder(folder: &Path) -> Result<Said> {
    let mut said = Said::default();
    if let Some(json) = text(folder, "sentence_bert_config.json")? {
        said.most = most_tokens(&json)?;
    }
    let Some(json) = text(folder, "modules.json")? else {
        return Ok(said);
    };
    let modules = Modules::from_json(&json)?;
    said.normalises = modules.normalises;
    if let Some(path) = modules.pooling {
        if !Path::new(&path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            bail!("modules.json names the folder {path:?}, which is not one within the model's");
        }
        let name = format!("{path}/config.json");
        let json = text(folder, &name)?.with_context(|| format!("{name} is missing"))?;
        said.pooling = Some(Pooling::from_json(&json).with_context(|| name)?);
    }
    Ok(said)
}

fn text(folder: &Path, name: &str) -> Result<Option<String>> {
    let bytes = optional(folder, name)?;
    let text = bytes.map(String::from_utf8).transpose();
    text.with_context(|| format!("{name} is not UTF-8 text"))
}
