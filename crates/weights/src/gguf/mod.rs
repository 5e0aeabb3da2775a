//! GGUF: metadata and named tensors in one file, many of them in blocks of few bits (ggml's `gguf.md`).
//!
//! ```text
//! "GGUF"  version u32 (2 or 3)  tensors u64  keys u64
//! keys    × ( key: string   type u32   value )                                               metadata
//! tensors × ( name: string  axes u32   axes × length u64   type u32   offset u64 )           innermost axis first
//! zeros up to a multiple of the alignment (`general.alignment`, else 32)
//! the tensors' bytes, each at its offset from here, which is a multiple of the alignment
//! ```
//!
//! A string is its length as u64 and UTF-8; numbers are little-endian. Nothing in a header is believed: every count is
//! held against the bytes that are left before anything is allocated.

mod cursor;
mod file;
mod metadata;
mod parse;
mod tensors;
mod types;
mod value;
mod write;

pub use file::GgufFile;
pub use metadata::Metadata;
pub use value::{Array, Value};
pub use write::write;

/// Where tensors begin when the file does not say otherwise: at multiples of this.
const DEFAULT_ALIGNMENT: u32 = 32;

/// The key that says otherwise.
const ALIGNMENT_KEY: &str = "general.alignment";
