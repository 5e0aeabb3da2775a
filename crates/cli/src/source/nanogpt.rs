//! Checkpoints of nanoGPT, saved as safetensors; with a tokenizer beside: GPT-2's, or the characters of `meta.pkl` as JSON.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use glassformer_model::{Keep, families};
use glassformer_tokens::Tokenizer;
use glassformer_weights::TensorFile;
use serde_json::Value;

use super::folder::optional;
use super::{About, Loaded, Stored};

/// The one size that shows in no tensor.
const HEADS: &str = "n_head";

/// Files of GPT-2's tokenizer, under Hugging Face's names and under OpenAI's.
const GPT2_FILES: [[&str; 2]; 2] = [["vocab.json", "merges.txt"], ["encoder.json", "vocab.bpe"]];

/// Whether the folder's `config.json` is no model's of Hugging Face but names the heads alone.
pub(super) fn is_config(folder: &Path) -> bool {
    let config = fs::read(folder.join("config.json"));
    let config: Option<Value> = config
        .ok()
        .and_then(|json| serde_json::from_slice(&json).ok());
    config.is_some_and(|config| config.get(HEADS).is_some() && config.get("model_type").is_none())
}

pub(super) fn load(path: &Path, keep: Keep) -> Result<Loaded> {
    let file = TensorFile::open(path)?;
    if !families::is_nanogpt(&file) {
        bail!(
            "{}: config.json is missing beside it, and its tensors are not those of a nanoGPT checkpoint, which needs none",
            path.display()
        );
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let heads = heads(&file, folder)?;
    let stored = Stored::of(&file);
    let model = families::open_nanogpt(Arc::new(file), heads, keep)?;
    let tokenizer = tokenizer(folder)?.with_context(|| {
        format!(
            "{} has no tokenizer beside it: put GPT-2's tokenizer.json there, or vocab.json and merges.txt, or the characters of meta.pkl as meta.json: json.dump({{\"stoi\": meta[\"stoi\"]}}, file)",
            path.display()
        )
    })?;
    Ok(Loaded {
        name: path.display().to_string(),
        model,
        tokenizer,
        about: About {
            stored,
            ..About::default()
        },
    })
}

/// From the file's own metadata, or from a `config.json` beside it.
fn heads(file: &TensorFile, folder: &Path) -> Result<usize> {
    let said = file
        .metadata()
        .get(HEADS)
        .and_then(|heads| heads.parse().ok());
    let beside = || -> Option<usize> {
        let json = fs::read(folder.join("config.json")).ok()?;
        let config: Value = serde_json::from_slice(&json).ok()?;
        Some(config.get(HEADS)?.as_u64()? as usize)
    };
    said.or_else(beside).with_context(|| {
        format!(
            "{} is a nanoGPT checkpoint that does not say how many heads it has: save it again with metadata={{\"n_head\": str(checkpoint[\"model_args\"][\"n_head\"])}}, or put a config.json beside it: {{\"n_head\": 12}}",
            file.origin().display()
        )
    })
}

/// The tokenizer in a folder, in whichever form it lies there.
fn tokenizer(folder: &Path) -> Result<Option<Tokenizer>> {
    if let Some(json) = optional(folder, "tokenizer.json")? {
        return Ok(Some(Tokenizer::from_json(&json)?));
    }
    if let Some(tokenizer) = gpt2_files(folder)? {
        return Ok(Some(tokenizer));
    }
    let meta = optional(folder, "meta.json")?;
    Ok(meta
        .map(|meta| Tokenizer::from_nanogpt_meta(&meta))
        .transpose()?)
}

/// GPT-2's tokenizer from the two files that it was published in, if they are there.
pub(super) fn gpt2_files(folder: &Path) -> Result<Option<Tokenizer>> {
    for [vocabulary, merges] in GPT2_FILES {
        if let (Some(vocabulary), Some(list)) =
            (optional(folder, vocabulary)?, optional(folder, merges)?)
        {
            let list =
                String::from_utf8(list).with_context(|| format!("{merges} is not UTF-8 text"))?;
            return Ok(Some(Tokenizer::from_gpt2_files(&vocabulary, &list)?));
        }
    }
    Ok(None)
}
