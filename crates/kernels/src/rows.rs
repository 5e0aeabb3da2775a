//! Work on whole rows: bias, sums, residual addition, and the gather and scatter of embedding rows.

use crate::arch::{mul_add, multiversion};
use crate::memory::{floats, halves};
use crate::pool::{Parts, Pool};
use crate::product::round::widened;
use crate::product::{GROUP, Precision, Rows};
use crate::reduce::sum_of;

/// Calls `f` with the pairs of `a` and `b`, as far as both go: whole groups in loops of a fixed length, which become
/// vectors also where rows are short. A group is taken out and put back, as the compiler does not know that a and b lie
/// apart where they come from raw parts, and would go number by number.
#[inline(always)]
pub(crate) fn in_groups<A: Copy, B: Copy>(a: &mut [A], b: &[B], f: impl Fn(&mut A, &B)) {
    let n = a.len().min(b.len());
    let (groups, tail) = a[..n].as_chunks_mut::<GROUP>();
    let (others, rest) = b[..n].as_chunks::<GROUP>();
    for (a, &b) in groups.iter_mut().zip(others) {
        let mut group = *a;
        for i in 0..GROUP {
            f(&mut group[i], &b[i]);
        }
        *a = group;
    }
    tail.iter_mut().zip(rest).for_each(|(a, b)| f(a, b));
}

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
        assert_eq!(sums.len(), x.cols);
        sums.fill(0.0);
        for r in 0..x.rows {
            match x.precision {
                Precision::F32 => sums.iter_mut().zip(floats(x.row(r))).for_each(|(sum, x)| *sum += *x),
                Precision::Bf16 => sums.iter_mut().zip(halves(x.row(r))).for_each(|(sum, &x)| *sum += widened(x)),
            }
        }
    }
}

multiversion! {
    /// `inner[n]` = Σ_d a[n,d]·b[n,d], of rows of one precision.
    pub fn inner_products(inner: &mut [f32], a: Rows<'_>, b: Rows<'_>) {
        assert!(a.precision == b.precision && a.cols == b.cols && inner.len() <= a.rows.min(b.rows));
        let precision = a.precision;
        for (r, inner) in inner.iter_mut().enumerate() {
            let words = [floats(a.row(r)), floats(b.row(r))];
            *inner = if precision == Precision::F32 {
                sum_of(words, |[a, b]| a * b)
            } else {
                // An odd last number has a 0 beside it.
                let low = |pair: f32| f32::from_bits(pair.to_bits() << 16);
                let high = |pair: f32| f32::from_bits(pair.to_bits() & 0xffff_0000);
                sum_of(words, |[a, b]| mul_add::<FUSED>(low(a), low(b), high(a) * high(b)))
            };
        }
    }
}

/// `y [N,D]`: row n is row `ids[n]` of `table [V,D]`.
pub fn gather(pool: &Pool, y: &mut [f32], table: &[f32], ids: &[u32]) {
    if ids.is_empty() {
        return;
    }
    let d = y.len() / ids.len();
    assert_eq!(y.len(), ids.len() * d);
    pool.rows(y, d, 64, |first, y| {
        for (row, &id) in y.chunks_exact_mut(d).zip(&ids[first..]) {
            row.copy_from_slice(&table[id as usize * d..][..d]);
        }
    });
}

/// Columns that one thread adds at a time in [`scatter_add`].
const COLUMNS: usize = 64;

/// `d_table [V,D]`: adds row n of `dy [N,D]` to row `ids[n]`; the backward of [`gather`].
///
/// Threads share the columns, so each sum is taken in the order of n.
pub fn scatter_add(pool: &Pool, d_table: &mut [f32], dy: &[f32], ids: &[u32]) {
    if ids.is_empty() {
        return;
    }
    let d = dy.len() / ids.len();
    assert_eq!(dy.len(), ids.len() * d);
    let table = Parts::new(d_table);
    pool.each(d.div_ceil(COLUMNS), |i| {
        let columns = i * COLUMNS..((i + 1) * COLUMNS).min(d);
        for (dy, &id) in dy.chunks_exact(d).zip(ids) {
            let start = id as usize * d;
            // SAFETY: each column belongs to one index of one call.
            let row = unsafe { table.slice(start + columns.start..start + columns.end) };
            add(row, &dy[columns.clone()]);
        }
    });
}
