//! The log-probabilities of a step.

use glassformer_tensor::{Pool, ops};

/// Logits `[R,V]` of R hypotheses, and what makes log-probabilities of them.
pub(super) struct Scores<'a> {
    logits: &'a [f32],
    vocab: usize,
    /// log Σ exp of each row [R].
    log_sums: Vec<f64>,
}

impl<'a> Scores<'a> {
    pub(super) fn new(pool: &Pool, logits: &'a [f32], vocab: usize) -> Self {
        let likeliest: Vec<u32> = logits.chunks_exact(vocab).map(largest).collect();
        // −ln p of the likeliest: small, so that f32 holds it well.
        let mut losses = vec![0.0; likeliest.len()];
        ops::loss::losses(pool, &mut losses, logits, &likeliest);
        let rows = logits.chunks_exact(vocab).zip(&likeliest).zip(&losses);
        let log_sums =
            rows.map(|((row, &id), &loss)| f64::from(row[id as usize]) + f64::from(loss));
        Self {
            logits,
            vocab,
            log_sums: log_sums.collect(),
        }
    }

    /// The logits of a hypothesis [V].
    pub(super) fn row(&self, row: usize) -> &'a [f32] {
        &self.logits[row * self.vocab..][..self.vocab]
    }

    /// What its logits are above its log-probabilities.
    pub(super) fn log_sum(&self, row: usize) -> f64 {
        self.log_sums[row]
    }

    /// ln p of an id.
    pub(super) fn log_prob(&self, row: usize, id: u32) -> f64 {
        f64::from(self.row(row)[id as usize]) - self.log_sums[row]
    }
}

/// The place of the largest, the first of several.
fn largest(row: &[f32]) -> u32 {
    let ids = (0u32..).zip(row);
    let best = ids.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map_or(0, |(id, _)| id)
}
