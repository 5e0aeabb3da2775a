//! The optimiser's passes over flat arenas.

use std::ops::Range;

use glassformer_kernels::adamw::{self, AdamW};

use crate::Pool;

/// Elements per piece: small enough to share evenly, large enough to stream.
const PIECE: usize = 32_768;

/// √Σ g²; the same for any number of threads.
pub fn norm(pool: &Pool, g: &[f32]) -> f64 {
    let pieces = g.len().div_ceil(PIECE);
    pool.sum(pieces, |i| {
        adamw::sum_of_squares(&g[i * PIECE..((i + 1) * PIECE).min(g.len())])
    })
    .sqrt()
}

/// One AdamW step on parameters, their moments and their gradients, in one pass over the arenas. Each group is a run of
/// them with its own options.
pub fn step(
    pool: &Pool,
    theta: &mut [f32],
    [m, v]: [&mut [f32]; 2],
    g: &[f32],
    groups: &(impl Iterator<Item = (Range<usize>, AdamW)> + Clone + Sync),
) {
    let arrays = ((theta, PIECE), (m, PIECE), (v, PIECE), (g, PIECE));
    pool.split(arrays, |i, (theta, m, v, g)| {
        let piece = i * PIECE..i * PIECE + theta.len();
        for (group, options) in groups.clone() {
            let (start, end) = (group.start.max(piece.start), group.end.min(piece.end));
            if start < end {
                let part = start - piece.start..end - piece.start;
                let (m, v) = (&mut m[part.clone()], &mut v[part.clone()]);
                adamw::step(&mut theta[part.clone()], m, v, &g[part], options);
            }
        }
    });
}
