//! The built-in models, inside the program.

use anyhow::Result;
use glassformer_model::families;
use glassformer_tokens::Tokenizer;
use glassformer_weights::TensorFile;

use crate::source::{About, Loaded, PairSettings};

/// The one that goes on with texts.
pub(crate) const WRITER: &str = "builtin";

/// The one that translates, English into Chinese and Chinese into English.
pub(crate) const TRANSLATOR: &str = "builtin-translator";

/// A model's files.
struct Files {
    config: &'static str,
    weights: &'static [u8],
    tokenizer: &'static [u8],
}

macro_rules! files {
    ($folder:literal) => {
        Files {
            config: include_str!(concat!("../../../models/", $folder, "/config.json")),
            weights: include_bytes!(concat!("../../../models/", $folder, "/model.safetensors")),
            tokenizer: include_bytes!(concat!("../../../models/", $folder, "/tokenizer.json")),
        }
    };
}

static MODELS: [(&str, Files); 2] = [
    (WRITER, files!("builtin")),
    (TRANSLATOR, files!("builtin-translator")),
];

/// Whether a MODEL is in the program.
pub(crate) fn has(source: &str) -> bool {
    files(source).is_some()
}

fn files(source: &str) -> Option<&'static Files> {
    let found = MODELS.iter().find(|(name, _)| *name == source)?;
    Some(&found.1)
}

/// Reads the built-in model of this name, if there is one. It was tested with the program, so a failure is a bug.
pub(crate) fn load(source: &str) -> Option<Result<Loaded>> {
    files(source).map(|files| files.load(source))
}

impl Files {
    fn load(&self, name: &str) -> Result<Loaded> {
        let weights = TensorFile::from_static(self.weights, name)?;
        Ok(Loaded {
            name: name.to_owned(),
            model: families::load(self.config, &weights, name)?,
            tokenizer: Tokenizer::from_json(self.tokenizer)?,
            about: About {
                pair: PairSettings::read(self.config.as_bytes()),
                ..About::default()
            },
        })
    }
}
