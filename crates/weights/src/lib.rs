//! Weights on disk: safetensors, GGUF, memory maps, and files that are written whole or not at all.
//!
//! Level 2. Knows formats, not models: no tensor name of any model stands here. Whatever the format, a file is a
//! [`TensorSource`]: named tensors, read as f32 or taken as they stand.

pub mod atomic;
mod bytes;
mod data_type;
mod detect;
mod error;
pub mod gguf;
mod index;
mod mapped;
pub mod safetensors;
mod source;

pub use data_type::DataType;
pub use error::WeightsError;
pub use gguf::GgufFile;
pub use mapped::MappedFile;
pub use safetensors::{FloatType, NamedTensor, TensorFile};
pub use source::{TensorInfo, TensorSource};
