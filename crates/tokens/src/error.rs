//! What can go wrong between text and ids. Each message is one line; the caller, who knows the file, adds its name.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// Why a tokenizer could not be read, made or used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizeError {
    /// The bytes are no JSON at all.
    #[error("not a tokenizer.json: {0}; pass the `tokenizer.json` saved beside the model")]
    Json(String),
    /// JSON, but not a tokenizer that can be used.
    #[error(
        "unusable tokenizer.json, {part}: {why}; fetch the file again, or save it anew with the `tokenizers` library"
    )]
    Malformed {
        /// Which part of the file.
        part: &'static str,
        /// What is wrong there.
        why: String,
    },
    /// The tokenizer in a GGUF file's metadata is of a kind that is not known, or damaged.
    #[error(
        "unusable tokenizer in the GGUF metadata, {part}: {why}; fetch the file again, or use the model's original folder with its `tokenizer.json`"
    )]
    Gguf {
        /// Which part of the metadata.
        part: &'static str,
        /// What is wrong there.
        why: String,
    },
    /// A tokenizer of llama2.c cannot be used.
    #[error("unusable tokenizer.bin: {0}; fetch the file again")]
    Llama2c(String),
    /// A GGUF file cannot say how this tokenizer cuts texts.
    #[error("llama.cpp has no tokenizer like this one: {0}; the model can be written as a folder")]
    NoGguf(String),
    /// The file beside `tokenizer.json` is damaged.
    #[error("unusable tokenizer_config.json: {0}; fetch the file again")]
    Config(String),
    /// Nothing to learn a vocabulary from.
    #[error(
        "no text to make a vocabulary from: every document is empty; pass a corpus that holds text"
    )]
    NoText,
    /// A byte-level vocabulary holds at least the 256 bytes and the end of text.
    #[error(
        "a byte-level vocabulary of {asked} is too small: 256 bytes and the end-of-text token need at least {least}"
    )]
    VocabularyTooSmall {
        /// The size asked for.
        asked: usize,
        /// The smallest size possible.
        least: usize,
    },
    /// The library refused the text.
    #[error(
        "this text cannot be tokenized: {0}; use a tokenizer that has an unknown token or all 256 bytes"
    )]
    Text(String),
    /// The library could not learn the vocabulary.
    #[error("the vocabulary could not be learned: {0}")]
    Train(String),
}

thread_local! {
    /// Whether this thread is inside [`guard`].
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Calls the library, turning a panic inside it into an error: a damaged file must never end the program, nor fill the
/// terminal with what was going on inside the library.
pub(crate) fn guard<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                tell(panic);
            }
        }));
    });
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(outer);
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(one_line(&error.to_string())),
        Err(_) => Err("the tokenizers library gave up on it".into()),
    }
}

/// Errors are one line, whatever a library puts into its message.
pub(crate) fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
