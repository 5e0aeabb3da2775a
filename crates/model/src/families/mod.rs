//! One file per family: its config's field names, its checkpoint's tensor names, its composition.

mod bart;
mod bert;
mod bert_config;
mod bert_names;
mod decoder;
mod decoder_config;
mod decoder_gguf;
pub mod gpt2;
mod gpt2_files;
mod llama;
mod llama2c;
mod marian;
mod names;
mod pair;
mod pair_config;
mod parts;
mod qwen;
mod rope_config;
mod t5;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use glassformer_tensor::Pool;
use glassformer_weights::{GgufFile, Llama2cFile, TensorFile, TensorSource, WeightsError};
use serde::Deserialize;

use crate::{Checkpoint, Keep, Model, ModelError, Parameters};
pub use bert_config::EncoderConfig;
use decoder::Decoder;
pub use decoder_config::DecoderConfig;
use names::Naming;
pub use pair_config::PairConfig;
pub use rope_config::RopeScaling;

/// The families that can be loaded.
pub const NAMES: &[&str] = &[
    "gpt2",
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "bert",
    "roberta",
    "xlm-roberta",
    "camembert",
    "marian",
    "bart",
    "mbart",
    "t5",
    "mt5",
];

#[derive(Deserialize)]
struct Kind {
    model_type: Option<String>,
}

/// As [`open`], all parameters in memory.
pub fn load(config: &str, weights: &TensorFile, origin: &str) -> Result<Model, ModelError> {
    open(config, Arc::new(weights.clone()), Keep::InMemory, origin)
}

/// Binds weights to the network that `config` (the text of a `config.json`) describes; `origin` names it in messages.
pub fn open(
    config: &str,
    source: Arc<dyn TensorSource>,
    keep: Keep,
    origin: &str,
) -> Result<Model, ModelError> {
    let error = |reason: String| ModelError::Config {
        origin: origin.to_owned(),
        reason,
    };
    let kind: Kind =
        serde_json::from_str(config).map_err(|e| error(format!("cannot be read: {e}")))?;
    let unreadable =
        |kind: &str, e: serde_json::Error| error(format!("is not that of a {kind}: {e}"));
    match kind.model_type.as_deref() {
        Some("gpt2") => {
            let config: gpt2::Config =
                serde_json::from_str(config).map_err(|e| unreadable("GPT-2", e))?;
            config.check().map_err(error)?;
            gpt2_files::open(&config, source, keep).map_err(|e| e.or(&error))
        }
        Some(name) if is_decoder(name) => {
            let mut config: DecoderConfig =
                serde_json::from_str(config).map_err(|e| unreadable(name, e))?;
            let naming = Naming::hugging_face(&*source);
            // Old files do not say, and some say wrongly: a matrix of its own in the file settles it.
            config.tie_word_embeddings &= !naming.has_unembed(&*source);
            decoder(&config, source, keep, naming).map_err(|e| e.or(&error))
        }
        Some(name) if bert::NAMES.contains(&name) => {
            let config: EncoderConfig =
                serde_json::from_str(config).map_err(|e| unreadable(name, e))?;
            bert::open(&config, source, keep).map_err(|e| e.or(&error))
        }
        Some(name) if is_pair(name) => {
            let config: PairConfig =
                serde_json::from_str(config).map_err(|e| unreadable(name, e))?;
            let open = if name == marian::NAME {
                marian::open
            } else {
                bart::open
            };
            open(&config, source, keep).map_err(|e| e.or(&error))
        }
        Some(name) if t5::NAMES.contains(&name) => {
            let config: t5::Config =
                serde_json::from_str(config).map_err(|e| unreadable(name, e))?;
            t5::open(&config, source, keep).map_err(|e| e.or(&error))
        }
        Some(other) => Err(error(unknown(other))),
        None => Err(error(
            "has no model_type; a Hugging Face config.json has one".to_owned(),
        )),
    }
}

/// The model in a GGUF file.
pub fn open_gguf(file: &GgufFile, keep: Keep) -> Result<Model, ModelError> {
    let metadata = file.metadata();
    let origin = file.origin().display().to_string();
    let error = |reason: String| ModelError::Metadata {
        origin: origin.clone(),
        reason,
    };
    let architecture = metadata.string("general.architecture")?;
    if architecture == "bert" {
        return bert::open_gguf(file, keep).map_err(|e| e.or(&error));
    }
    if architecture == gpt2_files::ARCHITECTURE {
        return gpt2_files::open_gguf(file, keep).map_err(|e| e.or(&error));
    }
    if !decoder_gguf::ARCHITECTURES.contains(&architecture) {
        return Err(error(unknown(architecture)));
    }
    decoder_gguf::open(file, architecture, keep).map_err(|e| e.or(&error))
}

/// A model trained by llama2.c, from its own format.
pub fn open_llama2c(file: &Llama2cFile, keep: Keep) -> Result<Model, ModelError> {
    let origin = file.origin().display().to_string();
    let error = |reason: String| ModelError::Metadata {
        origin: origin.clone(),
        reason,
    };
    llama2c::open(file, keep).map_err(|e| e.or(&error))
}

/// A model trained by nanoGPT, from its tensors, of which `heads` cannot be told.
pub fn open_nanogpt(
    source: Arc<dyn TensorSource>,
    heads: usize,
    keep: Keep,
) -> Result<Model, ModelError> {
    let origin = source.origin().display().to_string();
    let error = |reason: String| ModelError::Metadata {
        origin: origin.clone(),
        reason,
    };
    gpt2_files::open_nanogpt(source, heads, keep).map_err(|e| e.or(&error))
}

/// Whether the tensors have nanoGPT's names and order.
pub fn is_nanogpt(source: &dyn TensorSource) -> bool {
    gpt2_files::is_nanogpt(source)
}

/// A fresh decoder of the Llama kind, to be trained.
pub fn new_decoder(config: &DecoderConfig, seed: u64, pool: &Pool) -> Result<Model, String> {
    config.check()?;
    let (network, layout) = Decoder::build(config.plan(traits(config)));
    Ok(Model::new(
        Box::new(network),
        Parameters::new(layout, seed, pool),
    ))
}

/// A fresh encoder of the BERT kind, to be trained; with a `head` that fills gaps, or ending at vectors.
pub fn new_encoder(
    config: &EncoderConfig,
    head: bool,
    seed: u64,
    pool: &Pool,
) -> Result<Model, String> {
    bert::new(config, head, seed, pool)
}

/// A fresh encoder–decoder of the kind of Marian or BART, to be trained.
pub fn new_pair(config: &PairConfig, seed: u64, pool: &Pool) -> Result<Model, String> {
    config.check()?;
    match config.model_type.as_str() {
        marian::NAME => Ok(marian::new(config, seed, pool)),
        name if bart::NAMES.contains(&name) => Ok(bart::new(config, seed, pool)),
        other => Err(format!(
            "has model_type {other:?}, which is no family of encoder–decoders that can be trained from nothing"
        )),
    }
}

/// Of BART and its kin.
fn is_pair(name: &str) -> bool {
    name == marian::NAME || bart::NAMES.contains(&name)
}

fn is_decoder(name: &str) -> bool {
    llama::NAMES.contains(&name) || qwen::NAMES.contains(&name)
}

fn traits(config: &DecoderConfig) -> decoder_config::Traits {
    if qwen::NAMES.contains(&config.model_type.as_str()) {
        qwen::traits(config)
    } else {
        llama::traits(config)
    }
}

fn unknown(name: &str) -> String {
    format!(
        "asks for the family {name:?}, which this version cannot load; it can load: {}",
        NAMES.join(", ")
    )
}

/// Either a config that cannot be computed, or weights that do not fit.
enum Refusal {
    Config(String),
    Model(ModelError),
}

impl From<WeightsError> for Refusal {
    fn from(error: WeightsError) -> Self {
        Self::Model(error.into())
    }
}

impl Refusal {
    fn or(self, error: &dyn Fn(String) -> ModelError) -> ModelError {
        match self {
            Self::Config(reason) => error(reason),
            Self::Model(error) => error,
        }
    }
}

fn decoder(
    config: &DecoderConfig,
    source: Arc<dyn TensorSource>,
    keep: Keep,
    naming: Naming,
) -> Result<Model, Refusal> {
    config.check().map_err(Refusal::Config)?;
    let (network, layout) = Decoder::build(config.plan(traits(config)));
    let checkpoint = Checkpoint {
        source,
        find: Box::new(move |name| naming.place(name)),
        keep,
    };
    let parameters = Parameters::load(layout, &checkpoint)?;
    Ok(Model::new(Box::new(network), parameters))
}
