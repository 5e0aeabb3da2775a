//! From corpora to batches.
//!
//! ```text
//! files, folders ─► documents ─► token shards (memory-mapped, kept) ─► batches of windows
//!   Corpus          Documents    Shards                                Batches, Windows
//! ```
//!
//! A corpus is tokenised once. What comes after it is numbers on disk, in nanoGPT's own format, and a
//! batch is found by its number alone: a run is resumed by knowing how far it came. Of conversations only answers are
//! learned: tokens that are read and not asked for are marked in the shards. Of two languages: [`pairs`].

mod batches;
mod conversation;
mod corpus;
mod documents;
mod error;
mod lines;
pub mod pairs;
mod prepare;
mod shards;
mod writer;

pub use batches::{Batches, Windows};
pub use conversation::{ChatFormat, Stretch};
pub use corpus::{Corpus, CorpusOptions, DocumentSplit, SourceFile};
pub use documents::{DOCUMENT_MARKER, Document, Documents};
pub use error::DataError;
pub use lines::read_lines;
pub use prepare::{Prepare, Progress};
pub use shards::{MadeFrom, Meta, Shard, Shards, Source, is_asked};
