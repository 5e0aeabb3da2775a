//! The safetensors format, through the crate of that name: named tensors in one file, mapped or in memory.

mod file;
mod write;

pub use file::TensorFile;
pub use write::{FloatType, NamedTensor, to_bytes};
