//! Products with a weight matrix, forward and for both gradients.

use glassformer_kernels::matmul::matmul;
use glassformer_kernels::matrix::{MatMut, MatRef};
use glassformer_kernels::rows;

use crate::Pool;

/// Rows below which splitting a product costs more than it brings.
const MIN_ROWS: usize = 8;

/// `y [N,out] = x [N,in] · w [in,out] (+ bias [out])`.
pub fn forward(pool: &Pool, y: &mut [f32], x: &[f32], w: MatRef<'_>, bias: Option<&[f32]>) {
    let (d_in, d_out) = (w.row_count(), w.col_count());
    let n = y.len() / d_out;
    if n == 1 {
        return single_row(pool, y, x, w, bias);
    }
    pool.rows(y, d_out, MIN_ROWS, |first, y| {
        let rows = y.len() / d_out;
        if let Some(bias) = bias {
            rows::fill(y, bias);
        }
        let x = MatRef::new(&x[first * d_in..], rows, d_in);
        matmul(MatMut::new(y, rows, d_out), x, w, bias.is_some());
    });
}

/// The same for one row, as in decoding: the columns are split instead.
fn single_row(pool: &Pool, y: &mut [f32], x: &[f32], w: MatRef<'_>, bias: Option<&[f32]>) {
    let x = MatRef::new(x, 1, w.row_count());
    pool.rows(y, 1, 256, |first, y| {
        let cols = y.len();
        if let Some(bias) = bias {
            y.copy_from_slice(&bias[first..first + cols]);
        }
        matmul(
            MatMut::new(y, 1, cols),
            x,
            w.cols(first, first + cols),
            bias.is_some(),
        );
    });
}

/// `dst [M,N] (+)= a [M,K] · b [K,N]`, rows of `dst` split over the threads.
pub fn product(pool: &Pool, dst: &mut [f32], a: MatRef<'_>, b: MatRef<'_>, accumulate: bool) {
    let n = b.col_count();
    pool.rows(dst, n, MIN_ROWS, |first, dst| {
        let rows = dst.len() / n;
        matmul(
            MatMut::new(dst, rows, n),
            a.rows(first, first + rows),
            b,
            accumulate,
        );
    });
}

/// `d_bias [D] += Σ_rows dy [N,D]`, in as many partial sums as there are threads.
pub fn bias_gradient(pool: &Pool, d_bias: &mut [f32], dy: &[f32]) {
    let d = d_bias.len();
    let rows_each = (dy.len() / d).div_ceil(pool.threads()).max(64);
    let parts = (dy.len() / d).div_ceil(rows_each);
    let mut partial = vec![0.0; parts * d];
    pool.chunks(&mut partial, d, |i, sums| {
        let end = ((i + 1) * rows_each * d).min(dy.len());
        rows::sum_rows(sums, &dy[i * rows_each * d..end]);
    });
    rows::sum_rows(d_bias, &partial);
}
