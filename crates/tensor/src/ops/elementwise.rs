//! Element by element: activations, residual sums, dropout.

use glassformer_kernels::dropout::{self, Mask};
use glassformer_kernels::rows;

use crate::Pool;

/// Elements below which a second thread does not pay.
const MIN: usize = 16_384;

/// `y[i] = f(x[i])` through a kernel over slices.
pub fn map(pool: &Pool, y: &mut [f32], x: &[f32], f: impl Fn(&mut [f32], &[f32]) + Sync) {
    pool.rows(y, 1, MIN, |first, y| f(y, &x[first..first + y.len()]));
}

/// `y[i] = f(a[i], b[i])` through a kernel over slices.
pub fn map2(
    pool: &Pool,
    y: &mut [f32],
    a: &[f32],
    b: &[f32],
    f: impl Fn(&mut [f32], &[f32], &[f32]) + Sync,
) {
    pool.rows(y, 1, MIN, |first, y| {
        f(y, &a[first..first + y.len()], &b[first..first + y.len()]);
    });
}

/// `y[i] = a[i] + b[i]`.
pub fn sum(pool: &Pool, y: &mut [f32], a: &[f32], b: &[f32]) {
    map2(pool, y, a, b, rows::sum);
}

/// `y[i] += x[i]`.
pub fn add(pool: &Pool, y: &mut [f32], x: &[f32]) {
    map(pool, y, x, rows::add);
}

/// `y[i] += x[i] · mask(i)`; of x the masked numbers are left.
pub fn dropout_add(pool: &Pool, y: &mut [f32], x: &mut [f32], mask: Mask) {
    pool.split(((y, MIN), (x, MIN)), |i, (y, x)| {
        dropout::apply(x, mask, (i * MIN) as u64);
        rows::add(y, x);
    });
}

/// `y[i] = x[i] · mask(i)`.
pub fn dropout(pool: &Pool, y: &mut [f32], x: &[f32], mask: Mask) {
    pool.rows(y, 1, MIN, |first, y| {
        y.copy_from_slice(&x[first..first + y.len()]);
        dropout::apply(y, mask, first as u64);
    });
}
