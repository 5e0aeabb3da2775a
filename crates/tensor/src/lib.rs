//! Shapes and buffers: kernels applied to whole tensors, on all threads.
//!
//! Level 1. [`Tensor`] is a dense row-major array of `f32` whose memory returns to a [`Buffers`] store when it is
//! dropped; [`Pool`] (from `glassformer-kernels`) splits work over threads; [`ops`] are the kernels of `glassformer-kernels` split over the pool.

mod buffer;
mod ids;
pub mod ops;
mod tensor;

pub use buffer::Buffers;
pub use glassformer_kernels::Pool;
pub use ids::Ids;
pub use tensor::Tensor;
