//! Normalisation over all rows.

use glassformer_kernels::{layer_norm, rms_norm, rows};

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

/// `dx [N,D]` (overwritten, or added to when it `adds`), `[dw, db] [D]` (added to, where they are wanted); `stats` as
/// [`forward`] left them.
pub fn backward(
    pool: &Pool,
    buffers: &Buffers,
    dx: &mut Tensor,
    d_parameters: Option<[&mut [f32]; 2]>,
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
    if let Some([dw, db]) = d_parameters {
        for part in partial.data().chunks_exact(2 * d) {
            rows::add(dw, &part[..d]);
            rows::add(db, &part[d..]);
        }
    }
}

/// `y [N,D]` in its own precision and `inverse [1,N]` (1/√(mean(x²) + ε)) from `x [N,D]`.
pub fn rms_forward(
    pool: &Pool,
    y: &mut Tensor,
    inverse: &mut Tensor,
    x: &Tensor,
    gain: &[f32],
    eps: f32,
) {
    let (d, precision) = (gain.len(), y.precision());
    let arrays = (
        (y.words_mut(), ROWS * precision.words(d)),
        (inverse.data_mut(), ROWS),
        (x.data(), ROWS * d),
    );
    pool.split(arrays, |_, (y, inverse, x)| {
        rms_norm::forward(y, precision, inverse, x, gain, eps);
    });
}

/// `dx [N,D]` (overwritten, or added to when it `adds`), `dw [D]` (added to, where it is wanted); `inverse` as [`rms_forward`] left it.
pub fn rms_backward(
    pool: &Pool,
    buffers: &Buffers,
    dx: &mut Tensor,
    dw: Option<&mut [f32]>,
    [dy, x, inverse]: [&Tensor; 3],
    gain: &[f32],
    adds: bool,
) {
    let (n, d) = (x.rows(), gain.len());
    let mut partial = Tensor::zeros(buffers, &[n.div_ceil(ROWS), d]);
    let arrays = (
        (dx.data_mut(), ROWS * d),
        (partial.data_mut(), d),
        ((dy.data(), ROWS * d), (x.data(), ROWS * d)),
        (inverse.data(), ROWS),
    );
    pool.split(arrays, |_, (dx, dw, (dy, x), inverse)| {
        rms_norm::backward(dx, dw, dy, x, gain, inverse, adds);
    });
    if let Some(dw) = dw {
        rows::sum_rows(dw, partial.data());
    }
}
