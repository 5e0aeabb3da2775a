//! Models trained by llama2.c, in its own format, with its tokenizer beside.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use glassformer_model::{Keep, families};
use glassformer_tokens::{GgufVocabulary, Tokenizer, TokenizerConfig};
use glassformer_weights::Llama2cFile;

use super::{About, Loaded, Stored};

pub(super) fn load(path: &Path, keep: Keep) -> Result<Loaded> {
    let file = Llama2cFile::open(path)?;
    let model = families::open_llama2c(&file, keep)?;
    let size = file.header().vocab_size;
    let beside = tokenizer_beside(path, size)?;
    let of_tokenizer = || beside.display().to_string();
    let bytes = fs::read(&beside).with_context(of_tokenizer)?;
    let vocabulary = GgufVocabulary::from_llama2c(&bytes, size).with_context(of_tokenizer)?;
    let tokenizer = Tokenizer::from_gguf(&vocabulary).with_context(of_tokenizer)?;
    let name = |id: Option<u32>| id.and_then(|id| vocabulary.tokens.get(id as usize).cloned());
    let about = About {
        tokenizer: TokenizerConfig {
            bos: name(vocabulary.bos),
            eos: name(vocabulary.eos),
            unknown: name(vocabulary.unknown),
            ..TokenizerConfig::default()
        },
        stored: Stored::of(&file),
        vocabulary: Some(vocabulary),
        ..About::default()
    };
    Ok(Loaded {
        name: path.display().to_string(),
        model,
        tokenizer,
        about,
    })
}

/// `tokV.bin` for a vocabulary of V entries, as llama2.c names those that it trains, or `tokenizer.bin`.
fn tokenizer_beside(path: &Path, size: usize) -> Result<PathBuf> {
    let names = [format!("tok{size}.bin"), "tokenizer.bin".to_owned()];
    let found = names.iter().map(|name| path.with_file_name(name));
    match found.into_iter().find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => bail!(
            "{} has no tokenizer beside it: put llama2.c's {} or {} there",
            path.display(),
            names[0],
            names[1]
        ),
    }
}
