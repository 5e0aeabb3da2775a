//! Products of few rows with a weight matrix where it lies, and the gradients of biases.

use glassformer_kernels::matmul::matmul;
use glassformer_kernels::matrix::{MatMut, MatRef};
use glassformer_kernels::product::Rows;
use glassformer_kernels::rows;

use crate::{Buffers, Pool, Tensor};

/// Rows up to which laying out the weights would cost more than it brings.
pub const FEW: usize = 4;

/// Rows whose bias gradients are added up before they join the others: the same for any number of threads.
const ROWS: usize = 128;

/// `y [N,out] = x [N,in] · w [in,out] (+ bias [out])`, the columns split over the threads.
pub fn few_rows(pool: &Pool, y: &mut [f32], x: &[f32], w: MatRef<'_>, bias: Option<&[f32]>) {
    let (d_in, d_out) = (w.row_count(), w.col_count());
    for (y, x) in y.chunks_exact_mut(d_out).zip(x.chunks_exact(d_in)) {
        let x = MatRef::new(x, 1, d_in);
        pool.rows(y, 1, 256, |first, y| {
            let cols = y.len();
            if let Some(bias) = bias {
                y.copy_from_slice(&bias[first..first + cols]);
            }
            let w = w.cols(first, first + cols);
            matmul(MatMut::new(y, 1, cols), x, w, bias.is_some());
        });
    }
}

/// `d_bias [D] += Σ_rows dy [N,D]`.
pub fn bias_gradient(pool: &Pool, buffers: &Buffers, d_bias: &mut [f32], dy: Rows<'_>) {
    let (n, d) = (dy.row_count(), d_bias.len());
    let mut partial = Tensor::uninitialised(buffers, &[n.div_ceil(ROWS), d]);
    pool.chunks(partial.data_mut(), d, |i, sums| {
        rows::sum_rounded(sums, dy.range(i * ROWS, ((i + 1) * ROWS).min(n)));
    });
    rows::sum_rows(d_bias, partial.data());
}
