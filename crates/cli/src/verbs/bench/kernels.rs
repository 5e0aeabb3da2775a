//! The kernels that `bench kernels` measures: the products and the attention of GPT-2 over one context.

use std::time::Duration;

use glassformer_tensor::Pool;

use super::count::attention_pass;
use super::work::{self, Precision};

/// Positions: the rows of every product.
pub(super) const ROWS: usize = 1024;

/// One case.
pub(super) enum Kernel {
    /// [M,K]·[K,N], as M, K, N.
    Product([usize; 3]),
    /// Causal attention, forward and backward: H, T, E.
    Attention([usize; 3]),
}

/// q·k·v, the output of attention, both products of the MLP, the unembedding; attention.
pub(super) const KERNELS: &[Kernel] = &[
    Kernel::Product([ROWS, 768, 2304]),
    Kernel::Product([ROWS, 768, 768]),
    Kernel::Product([ROWS, 768, 3072]),
    Kernel::Product([ROWS, 3072, 768]),
    Kernel::Product([ROWS, 768, 50_304]),
    Kernel::Attention([12, ROWS, 64]),
];

impl Kernel {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Product([m, k, n]) => format!("product {m}×{k}×{n}"),
            Self::Attention([h, t, e]) => format!("attention {h}×{t}×{e}, both ways"),
        }
    }

    /// A product and a sum are two.
    pub(super) fn operations(&self) -> f64 {
        match *self {
            Self::Product([m, k, n]) => 2.0 * (m * k * n) as f64,
            Self::Attention([h, t, e]) => attention_pass(t as f64, (h * e) as f64),
        }
    }

    /// What runs it once and gives the time.
    pub(super) fn work<'a>(
        &self,
        pool: &'a Pool,
        precision: Precision,
    ) -> Box<dyn FnMut() -> Duration + 'a> {
        match *self {
            Self::Product(shape) => Box::new(work::product(pool, precision, shape)),
            Self::Attention(shape) => Box::new(work::causal_attention(pool, precision, shape)),
        }
    }
}
