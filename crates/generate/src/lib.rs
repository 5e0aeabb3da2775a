//! From logits to text: prefill, decode with the KV cache, sampling, stop strings.
//!
//! Level 4. [`Generation`] is the loop (ids in, ids out); [`sampling`] turns logits into the next id; [`TextStream`]
//! turns ids into text that never ends in half a character. Models that read rather than write make vectors of texts:
//! [`embed`]. Encoder–decoders [`translate`](mod@translate). How near a translation is to a reference says [`score`].

pub mod embed;
mod generation;
pub mod perplexity;
pub mod sampling;
pub mod score;
mod text;
pub mod translate;

pub use embed::{Embedder, Pooling};
pub use generation::{Generation, Step, Work};
pub use sampling::{Candidate, Distribution, Sampling, SamplingError};
pub use text::TextStream;
pub use translate::greedy;
