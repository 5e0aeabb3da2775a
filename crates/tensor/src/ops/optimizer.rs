//! The optimiser's passes over flat arenas.

use glassformer_kernels::adamw::{self, AdamW};
use rayon::prelude::*;

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
    match pool.rayon() {
        Some(rayon) if theta.len() > PIECE => rayon.install(|| {
            theta
                .par_chunks_mut(PIECE)
                .zip(m.par_chunks_mut(PIECE))
                .zip(v.par_chunks_mut(PIECE))
                .zip(g.par_chunks(PIECE))
                .for_each(|(((theta, m), v), g)| adamw::step(theta, m, v, g, options));
        }),
        _ => adamw::step(theta, m, v, g, options),
    }
}
