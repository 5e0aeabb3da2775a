//! softmax(x)ᵢ = exp(xᵢ − max x) / Σⱼ exp(xⱼ − max x); the shift changes nothing but keeps exp from overflowing.

use crate::arch::multiversion;
use crate::exp::exp;
use crate::reduce::{max_of, sum_of};

/// Replaces `row` by exp(scale·row − m) and returns m, the largest scale·row, and the sum of the exponentials. A row of
/// nothing but −∞ becomes all 0, with m = −∞.
#[inline(always)]
pub(crate) fn exponentials<const FUSED: bool>(row: &mut [f32], scale: f32) -> [f32; 2] {
    let max = max_of(row, |x| x * scale);
    if max == f32::NEG_INFINITY {
        row.fill(0.0);
        return [max, 0.0];
    }
    for x in row.iter_mut() {
        *x = exp::<FUSED>(*x * scale - max);
    }
    [max, sum_of([row], |[x]| x)]
}

multiversion! {
    /// Replaces `row` by `softmax(scale·row)` and returns log Σ exp(scale·row).
    ///
    /// Entries of −∞ become 0; a row of nothing but −∞ becomes all 0 with a result of −∞.
    pub fn softmax(row: &mut [f32], scale: f32) -> f32 {
        let [max, total] = exponentials::<FUSED>(row, scale);
        if max == f32::NEG_INFINITY {
            return max;
        }
        let inverse = 1.0 / total;
        for x in row.iter_mut() {
            *x *= inverse;
        }
        max + total.ln()
    }
}

multiversion! {
    /// Replaces `row` by `exp(scale·row − log_sum)`: the softmax made again from its saved log Σ exp.
    pub fn softmax_again(row: &mut [f32], scale: f32, log_sum: f32) {
        for x in row.iter_mut() {
            *x = exp::<FUSED>(*x * scale - log_sum);
        }
    }
}
