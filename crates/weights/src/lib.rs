//! Weights on disk: safetensors, GGUF, memory maps, and files that are written whole or not at all.
//!
//! Level 2. Knows formats, not models: no tensor name of any model stands here. Whatever the format, a file is a
//! [`TensorSource`]: named tensors, read as f32 or taken as they stand.

pub mod atomic;
mod bytes;
mod data_type;
mod detect;
mod error;
mod finite;
pub mod gguf;
mod index;
pub mod llama2c;
mod mapped;
mod new_tensor;
mod open;
pub mod safetensors;
mod source;

pub use data_type::DataType;
pub use error::WeightsError;
pub use finite::{first_not_finite, is_finite};
pub use gguf::GgufFile;
pub use llama2c::Llama2cFile;
pub use mapped::MappedFile;
pub use new_tensor::{NewTensor, Values};
pub use open::WeightsFile;
pub use safetensors::{FloatType, NamedTensor, Sharded, TensorFile};
pub use source::{TensorInfo, TensorSource};
