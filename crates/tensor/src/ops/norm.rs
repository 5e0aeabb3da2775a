//! Layer normalisation over all rows.

use glassformer_kernels::{layer_norm, rows};

use crate::Pool;

const MIN_ROWS: usize = 64;

/// `y [N,D]` and `stats [N,2]` (mean, 1/σ of each row) from `x [N,D]`.
pub fn forward(
    pool: &Pool,
    y: &mut [f32],
    stats: &mut [f32],
    x: &[f32],
    w: &[f32],
    b: &[f32],
    eps: f32,
) {
    let d = w.len();
    pool.rows2((y, d), (stats, 2), MIN_ROWS, |first, y, stats| {
        let rows = y.len() / d;
        let (mean, inv_std) = stats.split_at_mut(rows);
        layer_norm::forward(y, mean, inv_std, &x[first * d..][..rows * d], w, b, eps);
    });
}

/// `dx [N,D]` (overwritten), `dw, db [D]` (added to); `stats` as [`forward`] left them on the same pool.
pub fn backward(
    pool: &Pool,
    dx: &mut [f32],
    (dw, db): (&mut [f32], &mut [f32]),
    dy: &[f32],
    x: &[f32],
    w: &[f32],
    stats: &[f32],
) {
    let d = w.len();
    let n = dx.len() / d;
    // The same cut as in `forward`: mean and 1/σ lie part by part in `stats`.
    let each = pool.rows_each(n, MIN_ROWS);
    let parts = n.div_ceil(each);
    let mut partial = vec![0.0; parts * 2 * d];
    pool.chunks2((dx, each * d), (&mut partial, 2 * d), |i, dx, sums| {
        let first = i * each;
        let rows = dx.len() / d;
        let (mean, inv_std) = stats[2 * first..2 * (first + rows)].split_at(rows);
        let (dw, db) = sums.split_at_mut(d);
        let range = first * d..(first + rows) * d;
        layer_norm::backward(dx, dw, db, &dy[range.clone()], &x[range], w, mean, inv_std);
    });
    for part in partial.chunks_exact(2 * d) {
        rows::add(dw, &part[..d]);
        rows::add(db, &part[d..]);
    }
}
