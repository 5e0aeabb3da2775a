//! Weights on disk: safetensors, memory maps, and files that are written whole or not at all.
//!
//! Level 2. Knows formats, not models: no tensor name of any model stands here.

pub mod atomic;
mod error;
mod mapped;
pub mod safetensors;

pub use error::WeightsError;
pub use mapped::MappedFile;
pub use safetensors::{FloatType, NamedTensor, TensorFile};
