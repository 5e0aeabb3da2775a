//! C = A·B, or C += A·B, in f32 for any strides; the product of every linear layer, forward and backward.
//!
//! Departure from the three nested loops: the `gemm` crate packs blocks of A and B into registers' shape and runs
//! AVX-512, AVX2 or portable micro-kernels. The naive loops stand in the tests.

use crate::matrix::{MatMut, MatRef};

/// `dst = a·b`, or `dst += a·b` when `accumulate`. a: M×K, b: K×N, dst: M×N.
pub fn matmul(dst: MatMut<'_>, a: MatRef<'_>, b: MatRef<'_>, accumulate: bool) {
    let MatMut {
        data: dst,
        rows: m,
        cols: n,
        row_stride,
    } = dst;
    let k = a.cols;
    assert_eq!(
        (a.rows, b.rows, b.cols),
        (m, k, n),
        "a is M×K, b is K×N, dst is M×N"
    );
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        if !accumulate {
            for r in 0..m {
                dst[r * row_stride..r * row_stride + n].fill(0.0);
            }
        }
        return;
    }
    // SAFETY: the views were bounds-checked when made, `dst` is exclusively borrowed and does not overlap itself
    // (row_stride ≥ cols), and the sizes were compared above.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.as_mut_ptr(),
            1,
            row_stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
