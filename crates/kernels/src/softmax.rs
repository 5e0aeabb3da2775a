//! softmax(x)ᵢ = exp::<FUSED>(xᵢ − max x) / Σⱼ exp::<FUSED>(xⱼ − max x); the shift changes nothing but keeps exp from overflowing.

use crate::arch::{max_by, multiversion, sum_by};
use crate::exp::exp;

multiversion! {
    /// Replaces `row` by `softmax(scale·row)` and returns log Σ exp::<FUSED>(scale·row).
    ///
    /// Entries of −∞ become 0; a row of nothing but −∞ becomes all 0 with a result of −∞.
    pub fn softmax(row: &mut [f32], scale: f32) -> f32 {
        let max = max_by(row.len(), |i| row[i] * scale);
        if max == f32::NEG_INFINITY {
            row.fill(0.0);
            return max;
        }
        for x in row.iter_mut() {
            *x = exp::<FUSED>(*x * scale - max);
        }
        let total = sum_by(row.len(), |i| row[i]);
        let inverse = 1.0 / total;
        for x in row.iter_mut() {
            *x *= inverse;
        }
        max + total.ln()
    }
}

multiversion! {
    /// Replaces `row` by `exp::<FUSED>(scale·row − log_sum)`: the softmax made again from its saved log Σ exp.
    pub fn softmax_again(row: &mut [f32], scale: f32, log_sum: f32) {
        for x in row.iter_mut() {
            *x = exp::<FUSED>(*x * scale - log_sum);
        }
    }
}
