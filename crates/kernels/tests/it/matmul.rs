//! C = A·B in every layout that a view can have.

use glassformer_kernels::matmul::matmul;
use glassformer_kernels::matrix::{MatMut, MatRef};
use proptest::prelude::*;

use crate::support::{cases, normals};

/// How a matrix lies in memory: row and column stride.
fn strides(layout: usize, rows: usize, cols: usize) -> (usize, usize) {
    match layout {
        0 => (cols, 1),
        1 => (1, rows),
        2 => (cols + 3, 1),
        3 => (2, 2 * rows + 1),
        _ => (2 * cols + 1, 2),
    }
}

/// A random matrix in one of the layouts; what lies between its elements is NaN.
struct Matrix {
    data: Vec<f32>,
    size: (usize, usize),
    strides: (usize, usize),
}

impl Matrix {
    fn new(seed: u64, purpose: u64, layout: usize, rows: usize, cols: usize) -> Self {
        let (row_stride, col_stride) = strides(layout, rows, cols);
        let mut data = vec![f32::NAN; rows * row_stride + cols * col_stride];
        let values = normals(seed, purpose, rows * cols);
        for r in 0..rows {
            for c in 0..cols {
                data[r * row_stride + c * col_stride] = values[r * cols + c];
            }
        }
        Self {
            data,
            size: (rows, cols),
            strides: (row_stride, col_stride),
        }
    }

    fn view(&self) -> MatRef<'_> {
        MatRef::strided(
            &self.data,
            self.size.0,
            self.size.1,
            self.strides.0,
            self.strides.1,
        )
    }

    fn at(&self, r: usize, c: usize) -> f64 {
        f64::from(self.data[r * self.strides.0 + c * self.strides.1])
    }
}

/// The three nested loops, and what may be lost by rounding.
fn check(a: &Matrix, b: &Matrix, pad: usize, accumulate: bool, [a_view, b_view]: [MatRef<'_>; 2]) {
    let ((m, k), n) = (a.size, b.size.1);
    let stride = n + pad;
    // What `dst` held before must not matter unless it is added to.
    let before: Vec<f32> = if accumulate {
        normals(9, 9, m * stride)
    } else {
        vec![f32::NAN; m * stride]
    };
    let mut dst = before.clone();
    matmul(
        MatMut::strided(&mut dst, m, n, stride),
        a_view,
        b_view,
        accumulate,
    );
    for r in 0..m {
        for c in 0..n {
            let products = (0..k).map(|i| a.at(r, i) * b.at(i, c));
            let start = if accumulate {
                f64::from(before[r * stride + c])
            } else {
                0.0
            };
            let expected = start + products.clone().sum::<f64>();
            let size = start.abs() + products.map(f64::abs).sum::<f64>();
            let actual = f64::from(dst[r * stride + c]);
            assert!(
                (actual - expected).abs() <= 1e-6 * size,
                "({r}, {c}) of {m}×{k}·{k}×{n}: {actual}, expected {expected}"
            );
        }
        let unused = r * stride + n..(r + 1) * stride;
        let same = dst[unused.clone()]
            .iter()
            .zip(&before[unused])
            .all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "wrote behind row {r}");
    }
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn is_the_sum_of_products(
        (m, k, n) in (0usize..38, 0usize..38, 0usize..38),
        layouts in (0usize..5, 0usize..5),
        pad in 0usize..4,
        accumulate: bool,
        seed: u64,
    ) {
        let a = Matrix::new(seed, 1, layouts.0, m, k);
        let b = Matrix::new(seed, 2, layouts.1, k, n);
        check(&a, &b, pad, accumulate, [a.view(), b.view()]);
        // The same through transposes of transposed data.
        let at = Matrix::new(seed, 3, layouts.0, k, m);
        let bt = Matrix::new(seed, 4, layouts.1, n, k);
        let plain = |x: &Matrix| Matrix {
            data: x.data.clone(),
            size: (x.size.1, x.size.0),
            strides: (x.strides.1, x.strides.0),
        };
        check(&plain(&at), &plain(&bt), pad, accumulate, [at.view().t(), bt.view().t()]);
    }

    #[test]
    fn parts_of_views_are_parts(
        (rows, cols) in (1usize..20, 1usize..20),
        layout in 0usize..5,
        (r0, r1, c0, c1) in (0usize..20, 0usize..20, 0usize..20, 0usize..20),
        seed: u64,
    ) {
        let whole = Matrix::new(seed, 1, layout, rows, cols);
        let (r0, r1) = (r0.min(r1).min(rows), r0.max(r1).min(rows));
        let (c0, c1) = (c0.min(c1).min(cols), c0.max(c1).min(cols));
        let part = whole.view().rows(r0, r1).cols(c0, c1);
        prop_assert_eq!((part.row_count(), part.col_count()), (r1 - r0, c1 - c0));
        for r in r0..r1 {
            for c in c0..c1 {
                prop_assert_eq!(f64::from(part.at(r - r0, c - c0)), whole.at(r, c));
                prop_assert_eq!(f64::from(part.t().at(c - c0, r - r0)), whole.at(r, c));
            }
        }
    }
}

#[test]
fn larger_than_any_block() {
    for (m, k, n) in [(131, 521, 67), (1, 300, 257), (257, 300, 1), (5, 1, 1031)] {
        let (a, b) = (Matrix::new(5, 1, 0, m, k), Matrix::new(5, 2, 1, k, n));
        check(&a, &b, 0, true, [a.view(), b.view()]);
        check(&a, &b, 1, false, [a.view(), b.view()]);
    }
}

#[test]
#[should_panic(expected = "needs more than 11 elements")]
fn a_view_beyond_its_data_is_refused() {
    MatRef::new(&[0.0; 11], 3, 4);
}

#[test]
#[should_panic(expected = "does not fit")]
fn a_destination_that_overlaps_itself_is_refused() {
    MatMut::strided(&mut [0.0; 12], 3, 4, 3);
}

#[test]
#[should_panic(expected = "a is M×K")]
fn sizes_must_fit() {
    let x = [0.0; 12];
    matmul(
        MatMut::new(&mut [0.0; 9], 3, 3),
        MatRef::new(&x, 3, 4),
        MatRef::new(&x, 3, 4),
        false,
    );
}
