//! Work on whole rows: bias, sums, residual addition, and the gather and scatter of embedding rows.

use crate::arch::multiversion;
use crate::product::Rows;

multiversion! {
    /// `y[i] += x[i]`.
    pub fn add(y: &mut [f32], x: &[f32]) {
        assert_eq!(y.len(), x.len());
        for (y, &x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }
}

multiversion! {
    /// `y[i] = a[i] + b[i]`: the residual sum.
    pub fn sum(y: &mut [f32], a: &[f32], b: &[f32]) {
        assert!(y.len() == a.len() && y.len() == b.len());
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            *y = a + b;
        }
    }
}

/// Sets each row of `y [N,D]` to `bias [D]`, so that a product can be added onto it.
pub fn fill(y: &mut [f32], bias: &[f32]) {
    assert_eq!(y.len() % bias.len(), 0);
    for row in y.chunks_exact_mut(bias.len()) {
        row.copy_from_slice(bias);
    }
}

multiversion! {
    /// `sums [D] += Σ_rows x [N,D]`: the gradient of a bias.
    pub fn sum_rows(sums: &mut [f32], x: &[f32]) {
        let d = sums.len();
        assert_eq!(x.len() % d, 0);
        for row in x.chunks_exact(d) {
            for (sum, &x) in sums.iter_mut().zip(row) {
                *sum += x;
            }
        }
    }
}

multiversion! {
    /// `sums [D] = Σ_rows x [N,D]`, of rows in any precision.
    pub fn sum_rounded(sums: &mut [f32], x: Rows<'_>) {
        const RUN: usize = 256;
        let mut run = [0.0; RUN];
        for first in (0..x.cols).step_by(RUN) {
            let last = (first + RUN).min(x.cols);
            let (part, run) = (x.columns(first, last), &mut run[..last - first]);
            let sums = &mut sums[first..last];
            sums.fill(0.0);
            for r in 0..part.rows {
                part.read(r, run);
                sums.iter_mut().zip(&*run).for_each(|(sum, x)| *sum += *x);
            }
        }
    }
}

/// `y [N,D]`: row n is row `ids[n]` of `table [V,D]`.
pub fn gather(y: &mut [f32], table: &[f32], ids: &[u32]) {
    if ids.is_empty() {
        return;
    }
    let d = y.len() / ids.len();
    assert_eq!(y.len(), ids.len() * d);
    for (row, &id) in y.chunks_exact_mut(d).zip(ids) {
        row.copy_from_slice(&table[id as usize * d..][..d]);
    }
}

/// `d_table [V,D]`: adds row n of `dy [N,D]` to row `ids[n]`; the backward of [`gather`].
pub fn scatter_add(d_table: &mut [f32], dy: &[f32], ids: &[u32]) {
    if ids.is_empty() {
        return;
    }
    let d = dy.len() / ids.len();
    assert_eq!(dy.len(), ids.len() * d);
    for (row, &id) in dy.chunks_exact(d).zip(ids) {
        add(&mut d_table[id as usize * d..][..d], row);
    }
}
