//! The optimiser's passes over flat arenas.

use std::ops::Range;

use glassformer_kernels::adamw::{self, AdamW};

use super::product::BothOperands;
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
/// them with its own options. The operands of `matrices`, each with the place where its matrix begins, in the order of the
/// arenas, follow.
pub fn step<'a>(
    pool: &Pool,
    theta: &mut [f32],
    [m, v]: [&mut [f32]; 2],
    g: &[f32],
    groups: &(impl Iterator<Item = (Range<usize>, AdamW)> + Clone + Sync),
    matrices: impl Iterator<Item = (usize, BothOperands<'a>)>,
) {
    // Numbers from `start` on.
    let step = |start: usize, [theta, m, v]: [&mut [f32]; 3]| {
        let range = start..start + theta.len();
        for (group, options) in groups.clone() {
            let (first, last) = (group.start.max(range.start), group.end.min(range.end));
            if first < last {
                let part = first - start..last - start;
                let (m, v) = (&mut m[part.clone()], &mut v[part.clone()]);
                adamw::step(&mut theta[part], m, v, &g[first..last], options);
            }
        }
    };
    let flat = |start: usize, [theta, m, v]: [&mut [f32]; 3]| {
        let arrays = ((theta, PIECE), (m, PIECE), (v, PIECE));
        pool.split(arrays, |i, (theta, m, v)| {
            step(start + i * PIECE, [theta, m, v]);
        });
    };
    let mut rest = [theta, m, v];
    let mut done = 0;
    for (start, operands) in matrices {
        let len = operands.len();
        flat(done, take(&mut rest, start - done));
        operands.follow(pool, take(&mut rest, len), |range, parts| {
            step(start + range.start, parts);
        });
        done = start + len;
    }
    flat(done, rest);
}

/// The first `len` numbers of each of the arrays, which are left with what is behind them.
fn take<'a>(arrays: &mut [&'a mut [f32]; 3], len: usize) -> [&'a mut [f32]; 3] {
    arrays.each_mut().map(|array| {
        let first = array.split_off_mut(..len);
        first.expect("as long as the parameters")
    })
}
