//! A model in several safetensors files, and the index that says which tensor is in which
//! (`model.safetensors.index.json`, as transformers writes it).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::TensorFile;
use crate::{TensorInfo, TensorSource, WeightsError};

const FORMAT: &str = "safetensors index";

/// The opened shards of one model.
#[derive(Clone, Debug)]
pub struct Sharded {
    /// The index.
    origin: PathBuf,
    shards: Vec<TensorFile>,
    /// Name of each tensor, and the number of its shard.
    tensors: BTreeMap<String, usize>,
}

impl Sharded {
    /// Opens every shard that the index at `path` names; they lie beside it. Errors: a shard is missing or damaged,
    /// or has not the tensors that the index promises.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let text = fs::read_to_string(path).map_err(|source| WeightsError::Read {
            path: path.to_owned(),
            source,
        })?;
        let map = weight_map(&text).map_err(|reason| WeightsError::Format {
            path: path.to_owned(),
            format: FORMAT,
            reason,
        })?;
        let mut names: Vec<&str> = map.values().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let shards = names
            .iter()
            .map(|name| TensorFile::open(&path.with_file_name(name)))
            .collect::<Result<Vec<_>, _>>()?;
        let mut tensors = BTreeMap::new();
        for (name, shard) in &map {
            // It is there: `names` was made of these.
            let number = names.partition_point(|other| *other < shard.as_str());
            if shards[number].info(name).is_none() {
                return Err(WeightsError::NotInShard {
                    path: path.to_owned(),
                    name: name.clone(),
                    shard: shards[number].origin().to_owned(),
                });
            }
            tensors.insert(name.clone(), number);
        }
        Ok(Self {
            origin: path.to_owned(),
            shards,
            tensors,
        })
    }

    fn shard(&self, name: &str) -> Option<&TensorFile> {
        Some(&self.shards[*self.tensors.get(name)?])
    }
}

/// Tensor to shard, from the index's text. A shard is the plain name of a file.
fn weight_map(text: &str) -> Result<BTreeMap<String, String>, String> {
    let index: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let map = index
        .get("weight_map")
        .and_then(Value::as_object)
        .ok_or("it has no object `weight_map`")?;
    map.iter()
        .map(|(name, shard)| match shard {
            Value::String(shard) if is_plain(shard) => Ok((name.clone(), shard.clone())),
            other => Err(format!(
                "tensor {name} is said to be in {other}, which is not the name of a file beside it"
            )),
        })
        .collect()
}

fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
}

impl TensorSource for Sharded {
    fn origin(&self) -> &Path {
        &self.origin
    }

    fn origin_of(&self, name: &str) -> &Path {
        self.shard(name).map_or(&self.origin, TensorFile::origin)
    }

    fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    fn info(&self, name: &str) -> Option<TensorInfo> {
        self.shard(name)?.info(name)
    }

    fn bytes(&self, name: &str) -> Result<&[u8], WeightsError> {
        let shard = self.shard(name).ok_or_else(|| WeightsError::Missing {
            path: self.origin.clone(),
            name: name.to_owned(),
        })?;
        shard.bytes(name)
    }
}
