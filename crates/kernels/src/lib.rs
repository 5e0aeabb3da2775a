//! Slices in, slices out: the arithmetic of the Transformer.
//!
//! Level 0. Nothing here knows of tensors, layers or models; functions read and write plain `f32` slices, on the
//! calling thread unless they are handed a [`Pool`]. `glassformer-tensor` splits rows over the pool and calls them
//! per part. Each kernel has a naive `f64` twin in the tests.
//!
//! | file | equation |
//! |---|---|
//! | [`product`] | C = A·B, operands laid out for the processor, each tile finished while warm |
//! | [`matrix`], [`matmul`] | C = A·B (+ C), any strides: the portable form |
//! | [`layer_norm`] | y = (x − μ)/σ · w + b |
//! | [`activation`] | GELU (tanh form), ReLU |
//! | [`rms_norm`] | y = x/√(mean(x²) + ε)·w |
//! | [`rope`] | pairs of a head's numbers turned by position·frequency |
//! | [`softmax`] | exp(x − max)/Σ |
//! | [`attention`] | softmax(q·kᵀ/√E + mask)·v |
//! | [`cross_entropy`] | −log softmax(x)[target] |
//! | [`dropout`], [`random`] | masks from a counter, so that they can be made again |
//! | [`rows`] | bias, sums over rows, gather and scatter of embedding rows |
//! | [`adamw`] | one optimiser step over a flat arena |
//! | [`quantised`] | C = X·Wᵀ with W in GGUF's block formats, X rounded to 8 bits |
//! | [`pool`], [`memory`] | none: the threads that share the work, the memory that they work on |
//! | [`peak`] | what the processor can do at best, measured |

mod arch;
mod exp;
mod half;
mod reduce;
mod vector;

pub mod activation;
pub mod adamw;
pub mod attention;
pub mod cross_entropy;
pub mod dropout;
pub mod layer_norm;
pub mod matmul;
pub mod matrix;
pub mod memory;
pub mod peak;
pub mod pool;
pub mod product;
pub mod quantised;
pub mod random;
pub mod rms_norm;
pub mod rope;
pub mod rows;
pub mod softmax;

pub use arch::instruction_set;
pub use pool::Pool;
