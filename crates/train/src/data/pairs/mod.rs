//! From two languages to batches.
//!
//! ```text
//! two files, or columns of one ─► pairs ─► two token shards (memory-mapped, kept) ─► batches of pairs of like length
//!   PairFiles                     Pair     PairShard                                 PairBatches
//! ```
//!
//! A pair is a sentence to be read, the source, and one to be written, the target. In the shards sentences stand one behind
//! the other, each with the token that ends it. As elsewhere here, a batch is found by its number alone.

mod batches;
mod files;
mod prepare;
mod shards;
mod shuffle;
mod tokenizers;

pub use batches::{PairBatch, PairBatches};
pub use files::{Pair, PairFiles, Pairs};
pub use prepare::{PairsFrom, PreparePairs, Skipped};
pub use shards::{PairMeta, PairShard, PairShards};
pub use tokenizers::PairTokenizers;
