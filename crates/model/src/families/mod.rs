//! One file per family: its config's field names, its checkpoint's tensor names, its composition.

pub mod gpt2;

use glassformer_weights::TensorFile;
use serde::Deserialize;

use crate::{Model, ModelError};

/// The families that can be loaded.
pub const NAMES: &[&str] = &["gpt2"];

#[derive(Deserialize)]
struct Kind {
    model_type: Option<String>,
}

/// Binds weights to the network that `config` (the text of a `config.json`) describes; `origin` names it in messages.
pub fn load(config: &str, weights: &TensorFile, origin: &str) -> Result<Model, ModelError> {
    let error = |reason: String| ModelError::Config {
        origin: origin.to_owned(),
        reason,
    };
    let kind: Kind =
        serde_json::from_str(config).map_err(|e| error(format!("cannot be read: {e}")))?;
    match kind.model_type.as_deref() {
        Some("gpt2") => {
            let config: gpt2::Config = serde_json::from_str(config)
                .map_err(|e| error(format!("is not that of a GPT-2: {e}")))?;
            config.check().map_err(error)?;
            gpt2::load(&config, weights)
        }
        Some(other) => Err(error(format!(
            "asks for the family {other:?}, which this version cannot load; it can load: {}",
            NAMES.join(", ")
        ))),
        None => Err(error(
            "has no model_type; a Hugging Face config.json has one".to_owned(),
        )),
    }
}
