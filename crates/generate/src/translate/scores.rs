//! The log-probabilities of a step.

use glassformer_kernels::cross_entropy;

/// Logits `[R,V]` of R hypotheses.
#[derive(Clone, Copy)]
pub(super) struct Scores<'a> {
    logits: &'a [f32],
    vocab: usize,
}

impl<'a> Scores<'a> {
    pub(super) fn new(logits: &'a [f32], vocab: usize) -> Self {
        Self { logits, vocab }
    }

    /// The logits of a hypothesis [V].
    pub(super) fn row(&self, row: usize) -> &'a [f32] {
        &self.logits[row * self.vocab..][..self.vocab]
    }

    /// log Σ exp of a hypothesis's logits: what they are above its log-probabilities.
    pub(super) fn log_sum(&self, row: usize) -> f64 {
        let row = self.row(row);
        let likeliest = largest(row);
        // −ln p of the likeliest is small, so that f32 holds it well.
        let loss = cross_entropy::loss(row, likeliest);
        f64::from(row[likeliest]) + f64::from(loss)
    }
}

/// The place of the largest, the first of several.
fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    each_above(row, f32::NEG_INFINITY, |id, logit| {
        best = id as usize;
        logit
    });
    best
}

/// Calls `f` with each id whose logit is above a floor, which is what the last call has said. Few are, so that they are
/// looked for by many at once.
pub(super) fn each_above(row: &[f32], mut floor: f32, mut f: impl FnMut(u32, f32) -> f32) {
    const MANY: usize = 32;
    for (logits, first) in row.chunks(MANY).zip((0u32..).step_by(MANY)) {
        // Counted, as that is done by vectors without a branch. NaN is above nothing.
        if logits.iter().filter(|logit| **logit > floor).count() == 0 {
            continue;
        }
        for (id, &logit) in (first..).zip(logits) {
            if logit > floor {
                floor = f(id, logit);
            }
        }
    }
}
