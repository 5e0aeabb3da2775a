//! What a MODEL on the command line is: a built-in one, a model's folder or file, or a training run's folder; and adapters on it.

mod adapter;
mod folder;
mod gguf;
mod hub;
mod llama2c;
mod nanogpt;
mod pair;
mod place;
mod stored;
mod vectors;
mod vocabulary;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use glassformer_model::{Keep, Model};
use glassformer_tokens::{GgufVocabulary, Tokenizer, TokenizerConfig};
use glassformer_weights::GgufFile;

use crate::builtin;
use crate::terminal::warning;
pub(crate) use pair::PairSettings;
pub(crate) use place::Found;
use place::{find, only_gguf};
pub(crate) use stored::Stored;
pub(crate) use vectors::Said;
pub(crate) use vocabulary::write as write_vocabulary;

/// A model ready to run.
pub(crate) struct Loaded {
    /// For people.
    pub(crate) name: String,
    pub(crate) model: Model,
    pub(crate) tokenizer: Tokenizer,
    /// What else its files say.
    pub(crate) about: About,
}

impl Loaded {
    /// The same, unless it is an encoder: for verbs that continue texts.
    pub(crate) fn continuing(self) -> Result<Self> {
        self.model.check_continues(&self.name)?;
        Ok(self)
    }

    /// A word about weights that are no numbers, if such were met so far: when the model was read, and when its weights
    /// were laid out.
    pub(crate) fn warn_of_weights(&self) {
        if let Some(tensor) = self.model.not_finite() {
            warning(&format!(
                "{}: the tensor {tensor} holds NaN or infinite numbers, so what the model says is nonsense; get the file again, or use an earlier checkpoint",
                self.name
            ));
        }
    }
}

/// What a model's files say beside weights and tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// Chat templates and the names of special tokens.
    pub(crate) tokenizer: TokenizerConfig,
    /// How its makers would sample, where they say so.
    pub(crate) sampling: Suggested,
    /// How its makers would search, of an encoder–decoder.
    pub(crate) pair: PairSettings,
    /// What an encoder–decoder writes, where that is not what it reads.
    pub(crate) target: Option<Tokenizer>,
    /// As its makers write it.
    pub(crate) license: Option<String>,
    /// How its numbers are stored, and how many bytes they take.
    pub(crate) stored: Option<Stored>,
    /// Its `config.json`, where it has one.
    pub(crate) config: Option<String>,
    /// The GGUF file that it is.
    pub(crate) gguf: Option<GgufFile>,
    /// The vocabulary, where it came as a GGUF file has it.
    pub(crate) vocabulary: Option<GgufVocabulary>,
    /// Where it lies; the built-in model lies in the program.
    pub(crate) found: Option<Found>,
    /// Whether it came without a tokenizer that can be read, and can be run on ids alone.
    pub(crate) ids_alone: bool,
}

/// Settings that a model's makers suggest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Suggested {
    pub(crate) temperature: Option<f32>,
    pub(crate) top_k: Option<usize>,
    pub(crate) top_p: Option<f32>,
    pub(crate) min_p: Option<f32>,
    pub(crate) repetition_penalty: Option<f32>,
}

/// The flags `-m` and `--lora` that most verbs have.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ModelFlag {
    /// `builtin`, `builtin-translator`, a model's folder or file (.gguf, llama2.c's .bin, nanoGPT's .safetensors), the --out folder
    /// of a training run, or a model on the Hugging Face hub: hf:org/name, hf:org/name@revision, hf:org/name:file.gguf.
    #[arg(
        short = 'm',
        long = "model",
        value_name = "MODEL",
        default_value = builtin::WRITER
    )]
    pub(crate) model: String,
    /// The folder of a LoRA adapter of that model, as PEFT or `train --lora-rank` writes it.
    #[arg(long, value_name = "DIR")]
    pub(crate) lora: Option<PathBuf>,
}

impl Default for ModelFlag {
    fn default() -> Self {
        Self {
            model: builtin::WRITER.to_owned(),
            lora: None,
        }
    }
}

impl ModelFlag {
    /// Reads the model, all its parameters in `f32`, an adapter merged into them.
    pub(crate) fn load(&self) -> Result<Loaded> {
        self.read(Keep::InMemory)
    }

    /// Opens the model to run it: its matrices stay in their file until they are laid out for products.
    pub(crate) fn open(&self) -> Result<Loaded> {
        self.read(Keep::InFile)
    }

    /// Reads a model that may have come without a tokenizer.
    pub(crate) fn read_for_ids(&self, keep: Keep) -> Result<Loaded> {
        match self.lora {
            Some(_) => self.read(keep),
            None => load_for_ids(&self.model, keep),
        }
    }

    fn read(&self, keep: Keep) -> Result<Loaded> {
        let loaded = load(&self.model, keep)?;
        match &self.lora {
            Some(folder) => adapter::add(loaded, folder, keep),
            None => Ok(loaded),
        }
    }
}

/// Reads a MODEL.
pub(crate) fn load(source: &str, keep: Keep) -> Result<Loaded> {
    let loaded = load_for_ids(source, keep)?;
    if loaded.about.ids_alone {
        bail!(
            "{source}: tokenizer.json is missing{}: transformers' AutoTokenizer writes it (save_pretrained); without it the model can be traced on ids alone",
            pair::beside(&loaded)
        );
    }
    Ok(loaded)
}

/// As [`load`], of a model that may have come without a tokenizer.
fn load_for_ids(source: &str, keep: Keep) -> Result<Loaded> {
    if let Some(loaded) = builtin::load(source) {
        return loaded;
    }
    let is_remote = source.starts_with("hf:");
    let found = if is_remote {
        find(&hub::fetch(source)?)?
    } else {
        find(Path::new(source))?
    };
    let mut loaded = match &found {
        Found::Gguf(file) => gguf::load(file, keep)?,
        Found::Llama2c(file) => llama2c::load(file, keep)?,
        Found::NanoGpt(file) => nanogpt::load(file, keep)?,
        Found::Folder(folder) => folder::load(folder, keep)
            .with_context(|| format!("cannot load the model in {}", folder.display()))?,
        Found::Adapter(folder) => adapter::load(folder, keep)?,
    };
    loaded.about.found = Some(found);
    if is_remote {
        source.clone_into(&mut loaded.name);
    }
    for (tokenizer, vocab) in pair::tokenizers(&loaded) {
        let ids = tokenizer.vocab_size();
        if ids > vocab {
            bail!(
                "{source}: the tokenizer has {ids} tokens but the model a vocabulary of {vocab}: they are of different models"
            );
        }
    }
    loaded.warn_of_weights();
    Ok(loaded)
}

/// Where the files of a MODEL are: absolute, and of a training run its best checkpoint. Those in the program have none.
pub(crate) fn place(source: &str) -> Result<PathBuf> {
    if builtin::has(source) {
        return Ok(PathBuf::from(source));
    }
    let found = find(Path::new(source))?;
    let path = found.path();
    std::fs::canonicalize(path).with_context(|| format!("cannot read {}", path.display()))
}
