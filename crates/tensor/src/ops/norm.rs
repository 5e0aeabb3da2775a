//! Layer normalisation over all rows.

use glassformer_kernels::{layer_norm, rows};

use crate::{Buffers, Pool, Tensor};

/// Rows whose sums are added up before they join the others: the same for any number of threads.
const ROWS: usize = 64;

/// A norm's parameters.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// w [D].
    pub gain: &'a [f32],
    /// b [D].
    pub bias: &'a [f32],
    /// ε under the root.
    pub eps: f32,
}

/// `y [N,D]` in its own precision and `stats [2,N]` (means, then 1/σ) from `x [N,D]`.
pub fn forward(pool: &Pool, y: &mut Tensor, stats: &mut Tensor, x: &Tensor, norm: Norm<'_>) {
    let (d, precision) = (norm.gain.len(), y.precision());
    let width = precision.words(d);
    let (mean, inv_std) = stats.data_mut().split_at_mut(x.rows());
    let arrays = (
        (y.words_mut(), ROWS * width),
        (mean, ROWS),
        (inv_std, ROWS),
        (x.data(), ROWS * d),
    );
    pool.split(arrays, |_, (y, mean, inv_std, x)| {
        layer_norm::forward_rounded(
            y, precision, mean, inv_std, x, norm.gain, norm.bias, norm.eps,
        );
    });
}

/// `dx [N,D]` (overwritten, or added to when it `adds`), `dw, db [D]` (added to); `stats` as [`forward`] left them.
pub fn backward(
    pool: &Pool,
    buffers: &Buffers,
    dx: &mut Tensor,
    (dw, db): (&mut [f32], &mut [f32]),
    [dy, x, stats]: [&Tensor; 3],
    gain: &[f32],
    adds: bool,
) {
    let (n, d) = (x.rows(), gain.len());
    let mut partial = Tensor::zeros(buffers, &[n.div_ceil(ROWS), 2 * d]);
    let (mean, inv_std) = stats.data().split_at(n);
    let arrays = (
        (dx.data_mut(), ROWS * d),
        (partial.data_mut(), 2 * d),
        ((dy.data(), ROWS * d), (x.data(), ROWS * d)),
        ((mean, ROWS), (inv_std, ROWS)),
    );
    pool.split(arrays, |_, (dx, sums, (dy, x), (mean, inv_std))| {
        let (dw, db) = sums.split_at_mut(d);
        layer_norm::backward(dx, dw, db, dy, x, gain, mean, inv_std, adds);
    });
    for part in partial.data().chunks_exact(2 * d) {
        rows::add(dw, &part[..d]);
        rows::add(db, &part[d..]);
    }
}
