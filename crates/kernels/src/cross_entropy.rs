//! Cross-entropy of a row of logits x [V] against a target t: loss = log Σ exp(x) − x[t].
//! Derivative: dx = softmax(x) − onehot(t).
//!
//! With label smoothing ε (Szegedy et al. 2016, §7; Vaswani et al. 2017, §5.4) the target is q = (1 − ε)·onehot(t) + ε/V:
//! loss = log Σ exp(x) − (1 − ε)·x[t] − ε·mean(x), dx = softmax(x) − q.

use crate::arch::multiversion;
use crate::exp::exp;
use crate::reduce::{max_of, sum_of};
use crate::softmax::softmax;

multiversion! {
    /// The loss of one row in nats; `row [V]` is left as it is.
    pub fn loss(row: &[f32], target: usize) -> f32 {
        let max = max_of(row, |x| x);
        let total = sum_of([row], |[x]| exp::<FUSED>(x - max));
        max + total.ln() - row[target]
    }
}

multiversion! {
    /// log Σ exp(x) − `max` of one row, where `max` is its largest: in [0, ln V], which f32 holds well.
    pub fn log_sum_above(row: &[f32], max: f32) -> f32 {
        sum_of([row], |[x]| exp::<FUSED>(x - max)).ln()
    }
}

multiversion! {
    /// The largest of each block of `block` logits, the last of which may be shorter: −∞ where all are NaN.
    pub fn largest_of_blocks(row: &[f32], block: usize, largest: &mut [f32]) {
        for (largest, logits) in largest.iter_mut().zip(row.chunks(block)) {
            *largest = max_of(logits, |x| x);
        }
    }
}

/// The loss of one row in nats; replaces `row [V]` by `weight · d loss/d row`.
pub fn loss_and_gradient(row: &mut [f32], target: usize, weight: f32) -> f32 {
    smoothed_loss_and_gradient(row, target, 0.0, weight)
}

/// As [`loss_and_gradient`], of the target smoothed by ε = `smoothing`: a share ε of it belongs to all V words alike.
pub fn smoothed_loss_and_gradient(
    row: &mut [f32],
    target: usize,
    smoothing: f32,
    weight: f32,
) -> f32 {
    let mean = match smoothing {
        0.0 => 0.0,
        _ => sum_of([&*row], |[x]| x) / row.len() as f32,
    };
    let logit = row[target];
    let log_sum = softmax(row, 1.0);
    if smoothing > 0.0 {
        let share = smoothing / row.len() as f32;
        subtract(row, share);
    }
    row[target] -= 1.0 - smoothing;
    scale(row, weight);
    log_sum - (1.0 - smoothing) * logit - smoothing * mean
}

multiversion! {
    fn subtract(x: &mut [f32], share: f32) {
        for x in x.iter_mut() {
            *x -= share;
        }
    }
}

multiversion! {
    /// `x[i] *= factor`.
    pub fn scale(x: &mut [f32], factor: f32) {
        for x in x.iter_mut() {
            *x *= factor;
        }
    }
}
