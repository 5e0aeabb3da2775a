//! Slices in, slices out: the arithmetic of the Transformer.
//!
//! Level 0. Nothing here knows of tensors, threads, layers or models; every function reads and writes plain
//! `f32` slices on the calling thread. Who wants several threads splits the rows and calls per part
//! (`glassformer-tensor` does). Each kernel has a naive `f64` twin in the tests.
//!
//! | file | equation |
//! |---|---|
//! | [`matrix`], [`matmul`] | C = A·B (+ C), any strides |
//! | [`layer_norm`] | y = (x − μ)/σ · w + b |
//! | [`activation`] | GELU (tanh form), ReLU |
//! | [`softmax`] | exp(x − max)/Σ |
//! | [`attention`] | softmax(q·kᵀ/√E + mask)·v |
//! | [`cross_entropy`] | −log softmax(x)[target] |
//! | [`dropout`], [`random`] | masks from a counter, so that they can be made again |
//! | [`rows`] | bias, sums over rows, gather and scatter of embedding rows |
//! | [`adamw`] | one optimiser step over a flat arena |

mod arch;
mod exp;

pub mod activation;
pub mod adamw;
pub mod attention;
pub mod cross_entropy;
pub mod dropout;
pub mod layer_norm;
pub mod matmul;
pub mod matrix;
pub mod quantised;
pub mod random;
pub mod rows;
pub mod softmax;

pub use arch::instruction_set;
