//! What comes from a stranger's `config.json`.

use std::path::Path;
use std::sync::Arc;

use glassformer_model::{Keep, families};
use glassformer_weights::{TensorInfo, TensorSource, WeightsError};

/// Weights that have no tensor: whatever a config asks for, it is not there, and no memory may be taken for it.
#[derive(Debug)]
struct Nothing;

impl TensorSource for Nothing {
    fn origin(&self) -> &Path {
        Path::new("fuzz.safetensors")
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn info(&self, _name: &str) -> Option<TensorInfo> {
        None
    }

    fn bytes(&self, name: &str) -> Result<&[u8], WeightsError> {
        Err(WeightsError::Missing {
            path: self.origin().to_owned(),
            name: name.to_owned(),
        })
    }
}

/// Composes the network that a config describes; without weights no model comes of it, but a refusal in one line.
pub fn read_config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for keep in [Keep::InMemory, Keep::InFile] {
        let Err(error) = families::open(&text, Arc::new(Nothing), keep, "fuzz") else {
            panic!("a model without weights");
        };
        let line = error.to_string();
        assert!(!line.contains('\n'), "{line}");
    }
}
