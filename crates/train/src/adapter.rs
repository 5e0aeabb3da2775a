//! Adapters as folders, as PEFT lays them out: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use glassformer_model::{Adapter, LoraConfig, Model, Targets};
use glassformer_weights::{FloatType, TensorFile, atomic, safetensors};
use serde::{Deserialize, Serialize};

use crate::TrainError;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// What of an adapter is chosen for a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lora {
    /// r.
    pub rank: usize,
    /// α.
    pub alpha: f32,
    /// Probability of dropping what A reads.
    pub dropout: f32,
    /// `all-linear`, or names of layers with commas between them.
    pub targets: String,
}

impl Default for Lora {
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.0,
            dropout: 0.0,
            targets: "all-linear".to_owned(),
        }
    }
}

impl Lora {
    /// As an adapter's config, of the model `base`.
    pub fn config(&self, base: &Path) -> LoraConfig {
        LoraConfig {
            base: Some(base.display().to_string()),
            ..LoraConfig::new(
                self.rank,
                self.alpha,
                self.dropout,
                Targets::parse(&self.targets),
            )
        }
    }
}

/// Whether the folder holds an adapter.
pub fn is_adapter(folder: &Path) -> bool {
    folder.join(CONFIG).exists()
}

/// The config of the adapter in `folder`.
pub fn read_config(folder: &Path) -> Result<LoraConfig, TrainError> {
    let path = folder.join(CONFIG);
    let bytes = fs::read(&path).map_err(|source| TrainError::Read { path, source })?;
    let config = LoraConfig::from_json(&String::from_utf8_lossy(&bytes));
    config.map_err(|source| TrainError::adapter(folder, source))
}

/// The adapter in `folder`, for `model`.
pub fn read(folder: &Path, model: &Model) -> Result<Adapter, TrainError> {
    let config = read_config(folder)?;
    let file = TensorFile::open(&folder.join(WEIGHTS))?;
    Adapter::load(model, config, &file).map_err(|source| TrainError::adapter(folder, source))
}

/// Writes an adapter's two files into `folder`.
pub(crate) fn write(folder: &Path, adapter: &Adapter) -> io::Result<()> {
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let tensors = adapter.parameters().named(adapter.parameters().arena());
    let bytes =
        safetensors::to_bytes(&tensors, FloatType::F32, &metadata).map_err(io::Error::other)?;
    atomic::write_synced(&folder.join(WEIGHTS), &bytes)?;
    atomic::write_synced(&folder.join(CONFIG), adapter.config.to_json().as_bytes())
}
