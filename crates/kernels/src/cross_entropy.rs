//! Cross-entropy of a row of logits x [V] against a target t: loss = log Σ exp(x) − x[t].
//! Derivative: dx = softmax(x) − onehot(t).

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

/// The loss of one row in nats; replaces `row [V]` by `weight · d loss/d row`.
pub fn loss_and_gradient(row: &mut [f32], target: usize, weight: f32) -> f32 {
    let logit = row[target];
    let log_sum = softmax(row, 1.0);
    row[target] -= 1.0;
    scale(row, weight);
    log_sum - logit
}

multiversion! {
    /// `x[i] *= factor`.
    pub fn scale(x: &mut [f32], factor: f32) {
        for x in x.iter_mut() {
            *x *= factor;
        }
    }
}
