//! The built-in model, inside the program.

use anyhow::Result;
use glassformer_model::families;
use glassformer_tokens::Tokenizer;
use glassformer_weights::TensorFile;

use crate::source::{About, Loaded};

static CONFIG: &str = include_str!("../../../models/builtin/config.json");
static WEIGHTS: &[u8] = include_bytes!("../../../models/builtin/model.safetensors");
static TOKENIZER: &[u8] = include_bytes!("../../../models/builtin/tokenizer.json");

/// Reads it. It was tested with the program, so a failure is a bug.
pub(crate) fn load() -> Result<Loaded> {
    let weights = TensorFile::from_static(WEIGHTS, "the built-in model")?;
    Ok(Loaded {
        name: "builtin".to_owned(),
        model: families::load(CONFIG, &weights, "the built-in model")?,
        tokenizer: Tokenizer::from_json(TOKENIZER)?,
        about: About::default(),
    })
}
