//! Which files of a repository a model needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use glassformer_generate::embed::Modules;
use serde::Deserialize;

use super::address::{Address, is_gguf, is_path};

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const MODULES: &str = "modules.json";

/// Small files that are read where a repository has them.
const OPTIONAL: [&str; 5] = [
    "tokenizer_config.json",
    "generation_config.json",
    "chat_template.jinja",
    "sentence_bert_config.json",
    MODULES,
];

/// GGUF files that a message names.
const SOME: usize = 12;

/// What to fetch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// One file.
    Gguf(String),
    /// A folder as Hugging Face lays it out: `small` files first, then what they name.
    Folder {
        small: Vec<String>,
        is_sharded: bool,
    },
}

impl Plan {
    /// For a repository that has the files `names`.
    pub(super) fn of(names: &BTreeSet<String>, address: &Address) -> Result<Self> {
        let has = |name: &str| names.contains(name);
        let ggufs: Vec<&String> = names.iter().filter(|name| is_gguf(name)).collect();
        if let Some(file) = &address.file {
            if !has(file) {
                bail!("there is no file {file}; {}", some(&ggufs));
            }
            return Ok(Self::Gguf(file.clone()));
        }
        if has(CONFIG) && (has(WHOLE) || has(INDEX)) {
            if !has(TOKENIZER) {
                bail!("it has no {TOKENIZER}, without which texts cannot be read");
            }
            let is_sharded = !has(WHOLE);
            let small = [CONFIG, TOKENIZER].into_iter().chain(OPTIONAL);
            let index = is_sharded.then_some(INDEX);
            let small = small.chain(index).filter(|name| has(name));
            return Ok(Self::Folder {
                small: small.map(str::to_owned).collect(),
                is_sharded,
            });
        }
        match ggufs[..] {
            [one] => Ok(Self::Gguf(one.clone())),
            [] if names.iter().any(|name| is_pickle(name)) => bail!(
                "its weights are pickles, which can run any code and are not read: look for a repository with safetensors or GGUF"
            ),
            [] => bail!("it has neither {WHOLE} with {CONFIG} nor a GGUF file"),
            _ => bail!(
                "it has several GGUF files: choose one, as in hf:{}:{}; {}",
                address.repository,
                ggufs[0],
                some(&ggufs)
            ),
        }
    }

    /// What the small files of a folder name: the pooling's config, and at last the weights.
    pub(super) fn further(&self, folder: &Path, names: &BTreeSet<String>) -> Result<Vec<String>> {
        let Self::Folder { is_sharded, .. } = self else {
            return Ok(Vec::new());
        };
        let mut further = Vec::new();
        // What cannot be understood of it, `embed` will say.
        if let Some(pooling) = std::fs::read_to_string(folder.join(MODULES))
            .ok()
            .and_then(|json| Modules::from_json(&json).ok()?.pooling)
        {
            let name = format!("{pooling}/{CONFIG}");
            further.extend(names.get(&name).cloned());
        }
        if !is_sharded {
            further.push(WHOLE.to_owned());
            return Ok(further);
        }
        for shard in shards(folder)? {
            if !names.contains(&shard) {
                bail!("{INDEX} names {shard:?}, which the repository does not have");
            }
            further.push(shard);
        }
        Ok(further)
    }
}

/// Whether a folder holds all that a model needs.
pub(super) fn is_whole(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).exists();
    let has_shards =
        || shards(folder).is_ok_and(|shards| shards.iter().all(|name| is_path(name) && has(name)));
    has(CONFIG) && has(TOKENIZER) && (has(WHOLE) || has_shards())
}

/// The files that the index names, each once.
fn shards(folder: &Path) -> Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let json = std::fs::read(folder.join(INDEX))?;
    let index: Index =
        serde_json::from_slice(&json).with_context(|| format!("{INDEX} cannot be read"))?;
    Ok(index.weight_map.into_values().collect())
}

fn is_pickle(name: &str) -> bool {
    [".bin", ".pt", ".pth", ".ckpt"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// What a message says of the GGUF files that there are.
fn some(ggufs: &[&String]) -> String {
    let shown: Vec<&str> = ggufs.iter().take(SOME).map(|name| name.as_str()).collect();
    match (shown.len(), ggufs.len() - shown.len()) {
        (0, _) => "it has no GGUF file".to_owned(),
        (_, 0) => format!("there are {}", shown.join(", ")),
        (_, more) => format!("there are {} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Plan;

    fn plan(names: &[&str], address: &str) -> Result<Plan, String> {
        let names: BTreeSet<String> = names.iter().map(|&name| name.to_owned()).collect();
        Plan::of(&names, &address.parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn only_what_is_needed_is_fetched() {
        let folder = [
            "README.md",
            "config.json",
            "model.safetensors",
            "pytorch_model.bin",
            "tokenizer.json",
            "tokenizer_config.json",
            "onnx/model.onnx",
        ];
        let small = ["config.json", "tokenizer.json", "tokenizer_config.json"];
        assert_eq!(
            plan(&folder, "hf:a/b"),
            Ok(Plan::Folder {
                small: small.map(str::to_owned).to_vec(),
                is_sharded: false
            })
        );
        let one = |name: &str| Ok(Plan::Gguf(name.to_owned()));
        assert_eq!(plan(&["README.md", "q4.gguf"], "hf:a/b"), one("q4.gguf"));
        assert_eq!(
            plan(&["q4.gguf", "q8.gguf"], "hf:a/b:q8.gguf"),
            one("q8.gguf")
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (names, address, words) in [
            (
                &["q4.gguf", "q8.gguf"][..],
                "hf:a/b",
                "hf:a/b:q4.gguf; there are q4.gguf, q8.gguf",
            ),
            (
                &["q4.gguf"],
                "hf:a/b:q5.gguf",
                "no file q5.gguf; there are q4.gguf",
            ),
            (&["config.json", "pytorch_model.bin"], "hf:a/b", "pickles"),
            (
                &["config.json", "model.safetensors"],
                "hf:a/b",
                "no tokenizer.json",
            ),
            (&["README.md"], "hf:a/b", "neither"),
        ] {
            let error = plan(names, address).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
