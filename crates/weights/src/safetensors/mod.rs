//! The safetensors format, through the crate of that name: named tensors in one file, mapped or in memory.

mod explain;
mod file;
mod sharded;
mod write;

pub use file::TensorFile;
pub use sharded::Sharded;
pub use write::{FloatType, NamedTensor, to_bytes, write};
