//! The optimiser's passes over flat arenas.

use glassformer_kernels::adamw::{self, AdamW};

use crate::Pool;

/// Elements per piece: small enough to share evenly, large enough to stream.
const PIECE: usize = 65_536;

/// √Σ g²; the same for any number of threads.
pub fn norm(pool: &Pool, g: &[f32]) -> f64 {
    let pieces = g.len().div_ceil(PIECE);
    pool.sum(pieces, |i| {
        adamw::sum_of_squares(&g[i * PIECE..((i + 1) * PIECE).min(g.len())])
    })
    .sqrt()
}

/// One AdamW step on a run of parameters, their moments and their gradients.
pub fn step(
    pool: &Pool,
    theta: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
    g: &[f32],
    options: AdamW,
) {
    let arrays = ((theta, PIECE), (m, PIECE), (v, PIECE), (g, PIECE));
    pool.split(arrays, |_, (theta, m, v, g)| {
        adamw::step(theta, m, v, g, options);
    });
}
