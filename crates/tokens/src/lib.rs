//! Stage 1: text to tokens and back.
//!
//! ```text
//! text ─► pre-tokens ─► bytes ─► merges ─► ids        encode
//! ids  ─► bytes ─► whole characters ─► text           decode, DecodeStream
//! ```
//!
//! The work is done by the `tokenizers` crate. This crate adds what a glass box needs: the exact bytes
//! of every token, the exact range of the text each token covers, the merges that made it, streaming that
//! never shows half a character, and a fingerprint by which prepared data knows its tokenizer.
//!
//! No files, no network, no threads of its own: bytes and strings in, ids and strings out.

mod added;
mod bytes;
mod chat;
mod config;
mod decode;
mod encode;
mod error;
mod file;
mod gguf;
mod growth;
mod library;
mod llama2c;
mod merges;
mod older;
mod prompt;
mod roles;
mod spec;
mod surround;
mod table;
mod tokenizer;
mod train;

pub use chat::{ChatError, ChatTemplate, Message};
pub use config::TokenizerConfig;
pub use decode::DecodeStream;
pub use encode::Encoding;
pub use error::TokenizeError;
pub use gguf::GgufVocabulary;
pub use merges::MergeStep;
pub use prompt::PairEncoding;
pub use spec::Kind;
pub use tokenizer::Tokenizer;
pub use train::{END, END_OF_TEXT, PAD};
