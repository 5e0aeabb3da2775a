//! Shapes, buffers and the thread pool: kernels applied to whole tensors, on all threads.
//!
//! Level 1. [`Tensor`] is a dense row-major array of `f32` whose memory returns to a [`Buffers`] store when it is
//! dropped; [`Pool`] splits work over threads; [`ops`] are the kernels of `glassformer-kernels` split over the pool.

mod buffer;
pub mod ops;
mod pool;
mod tensor;

pub use buffer::Buffers;
pub use pool::Pool;
pub use tensor::Tensor;
