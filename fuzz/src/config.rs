//! What comes from a stranger's `config.json`.

use std::collections::BTreeMap;
use std::sync::Arc;

use glassformer_model::{Keep, families};
use glassformer_weights::{FloatType, TensorFile, safetensors};

/// A file of weights that has no tensor: whatever a config asks for, it is not there, and no memory may be taken for it.
fn nothing() -> Arc<TensorFile> {
    let bytes = safetensors::to_bytes(&[], FloatType::F32, &BTreeMap::new()).expect("no tensors");
    Arc::new(TensorFile::from_vec(bytes, "fuzz.safetensors").expect("just written"))
}

/// Composes the network that a config describes; without weights no model comes of it, but a refusal in one line.
pub fn read_config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for keep in [Keep::InMemory, Keep::InFile] {
        let Err(error) = families::open(&text, nothing(), keep, "fuzz") else {
            panic!("a model without weights");
        };
        let line = error.to_string();
        assert!(!line.contains('\n'), "{line}");
    }
}
