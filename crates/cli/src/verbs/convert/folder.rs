//! A folder as Hugging Face lays it out.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use glassformer_generate::Pooling;
use glassformer_tensor::Pool;
use glassformer_weights::{DataType, atomic, safetensors};
use serde_json::{Map, Value, json};

use super::progress::Progress;
use crate::source::{Found, Loaded, Said, Stored};

/// Files that go along from a folder as they are: what a tokenizer needs, how its makers sample, how vectors are pooled.
const ALONG: [&str; 15] = [
    "tokenizer.json",
    "target_tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "generation_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
];

/// Writes it; gives remarks for the user.
pub(super) fn write(
    loaded: &Loaded,
    out: &Path,
    wanted: Option<DataType>,
    pool: &Pool,
) -> Result<Vec<String>> {
    let mut remarks = Vec::new();
    let kept = kept(loaded);
    if wanted.is_none()
        && let Some(stored) = &loaded.about.stored
        && matches!(stored.most(), DataType::Block(_))
    {
        remarks.push(format!(
            "the blocks of {} became f32, which loses nothing; --dtype f16 takes half the room",
            stored.most()
        ));
    }
    let config = config(loaded, wanted.unwrap_or(kept))?;
    let mut failure = None;
    let written = atomic::write_folder(out, |folder| {
        fill(loaded, folder, wanted, kept, &config, pool).map_err(|error| {
            failure = Some(error);
            io::Error::other("see the failure")
        })
    });
    match (failure, written) {
        (Some(error), _) => Err(error),
        (None, written) => {
            written?;
            Ok(remarks)
        }
    }
}

/// The type of vectors, and of what a folder has no room for, where nothing else is asked for.
fn kept(loaded: &Loaded) -> DataType {
    match loaded.about.stored.as_ref().map(Stored::most) {
        Some(float @ (DataType::F16 | DataType::Bf16)) if is_in_file(loaded) => float,
        _ => DataType::F32,
    }
}

fn is_in_file(loaded: &Loaded) -> bool {
    !loaded.model.parameters.are_in_memory()
}

fn fill(
    loaded: &Loaded,
    folder: &Path,
    wanted: Option<DataType>,
    kept: DataType,
    config: &str,
    pool: &Pool,
) -> Result<()> {
    let progress = Progress::new(loaded.model.parameters.layout().len());
    let tensors = loaded.model.as_hugging_face().into_iter().map(|tensor| {
        let stored = match tensor.stored {
            _ if tensor.shape.len() < 2 => kept,
            DataType::Block(_) | DataType::I32 | DataType::Other(_) => DataType::F32,
            float => float,
        };
        progress.watch(tensor.into_tensor(wanted.unwrap_or(stored)))
    });
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::write(
        &folder.join("model.safetensors"),
        tensors.collect(),
        &metadata,
        pool,
    )?;
    atomic::write_synced(&folder.join("config.json"), config.as_bytes())?;
    match &loaded.about.found {
        Some(Found::Folder(from)) => take_along(from, folder)?,
        _ => describe(loaded, folder)?,
    }
    let tokenizer = folder.join("tokenizer.json");
    if !tokenizer.exists() {
        atomic::write_synced(&tokenizer, loaded.tokenizer.to_json().as_bytes())?;
    }
    Ok(())
}

/// Ours, over what stood in the model's own, which may say more than is needed to run it.
fn config(loaded: &Loaded, most: DataType) -> Result<String> {
    let text = loaded.model.network.config_json();
    let ours: Map<String, Value> = serde_json::from_str(&text)?;
    let mut config: Map<String, Value> = match &loaded.about.config {
        Some(theirs) => serde_json::from_str(theirs)?,
        None => Map::new(),
    };
    config.extend(ours);
    let dtype = match most {
        DataType::F16 => "float16",
        DataType::Bf16 => "bfloat16",
        _ => "float32",
    };
    config.remove("dtype");
    config.insert("torch_dtype".to_owned(), json!(dtype));
    let eos = loaded.about.tokenizer.eos.as_ref();
    let eos = eos.and_then(|name| loaded.tokenizer.id_of(name));
    for (name, id) in [
        ("bos_token_id", loaded.tokenizer.bos()),
        ("eos_token_id", eos.or(loaded.tokenizer.end_of_text())),
    ] {
        // None is said too: what is not said has an id that the vocabulary may not have.
        if config.get(name).is_none_or(Value::is_null) {
            config.insert(name.to_owned(), json!(id));
        }
    }
    Ok(serde_json::to_string_pretty(&config)?)
}

fn take_along(from: &Path, to: &Path) -> Result<()> {
    for name in ALONG {
        let source = from.join(name);
        if !source.is_file() {
            continue;
        }
        let bytes =
            fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
        let target = to.join(name);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        atomic::write_synced(&target, &bytes)?;
    }
    Ok(())
}

/// What the tokenizer's files would say, of a model that came without.
fn describe(loaded: &Loaded, folder: &Path) -> Result<()> {
    let config = loaded.about.tokenizer.to_json();
    atomic::write_synced(&folder.join("tokenizer_config.json"), config.as_bytes())?;
    if let Some(pooling) = Said::of(loaded.about.found.as_ref())?.pooling {
        describe_pooling(loaded, pooling, folder)?;
    }
    let stops = loaded.tokenizer.stops();
    if loaded.model.network.is_encoder() || stops.is_empty() {
        return Ok(());
    }
    let generation = json!({ "bos_token_id": loaded.tokenizer.bos(), "eos_token_id": stops });
    let text = serde_json::to_string_pretty(&generation)?;
    Ok(atomic::write_synced(
        &folder.join("generation_config.json"),
        text.as_bytes(),
    )?)
}

/// As sentence-transformers writes it.
fn describe_pooling(loaded: &Loaded, pooling: Pooling, folder: &Path) -> Result<()> {
    let module = |number: usize, path: &str, kind: &str| {
        let kind = format!("sentence_transformers.models.{kind}");
        json!({ "idx": number, "name": number.to_string(), "path": path, "type": kind })
    };
    let modules = json!([
        module(0, "", "Transformer"),
        module(1, "1_Pooling", "Pooling")
    ]);
    let config = json!({
        "word_embedding_dimension": loaded.model.dimensions().d_model,
        "pooling_mode_cls_token": pooling == Pooling::Cls,
        "pooling_mode_mean_tokens": pooling == Pooling::Mean,
        "pooling_mode_max_tokens": pooling == Pooling::Max,
        "pooling_mode_lasttoken": pooling == Pooling::Last,
    });
    fs::create_dir(folder.join("1_Pooling"))?;
    for (name, value) in [("modules.json", modules), ("1_Pooling/config.json", config)] {
        let text = serde_json::to_string_pretty(&value)?;
        atomic::write_synced(&folder.join(name), text.as_bytes())?;
    }
    Ok(())
}
