//! Ring 1: each kernel against a naive twin in `f64`.

mod activation;
mod adamw;
mod attention;
mod both_ways;
mod cross_entropy;
mod dropout;
mod isa;
mod layer_norm;
mod matmul;
mod pool;
mod product;
mod quantise;
mod quantised;
mod rms_norm;
mod rope;
mod rows;
mod softmax;
mod support;
