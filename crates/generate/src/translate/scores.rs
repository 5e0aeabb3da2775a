//! The log-probabilities of a step.

use glassformer_kernels::cross_entropy::{largest_of_blocks, log_sum_above};

/// Logits whose largest is kept: few blocks have one that is among the best of a hypothesis.
const BLOCK: usize = 64;

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

    /// The same, looked through.
    pub(super) fn of(&self, row: usize) -> Looked<'a> {
        let logits = self.row(row);
        let mut largest = vec![f32::NEG_INFINITY; logits.len().div_ceil(BLOCK)];
        largest_of_blocks(logits, BLOCK, &mut largest);
        Looked { logits, largest }
    }
}

/// A hypothesis's logits [V], and the largest of each block of them.
pub(super) struct Looked<'a> {
    logits: &'a [f32],
    largest: Vec<f32>,
}

impl Looked<'_> {
    /// log Σ exp of the logits: what they are above log-probabilities. NaN where one of them is.
    pub(super) fn log_sum(&self) -> f64 {
        let max = self
            .largest
            .iter()
            .copied()
            .fold(f32::NEG_INFINITY, f32::max);
        f64::from(max) + f64::from(log_sum_above(self.logits, max))
    }

    /// Calls `f` with each id whose logit is above a floor, which is what the last call has said. NaN is above nothing.
    pub(super) fn each_above(&self, mut floor: f32, mut f: impl FnMut(u32, f32) -> f32) {
        let blocks = self.logits.chunks(BLOCK).zip((0u32..).step_by(BLOCK));
        for ((logits, first), &largest) in blocks.zip(&self.largest) {
            if largest <= floor {
                continue;
            }
            for (id, &logit) in (first..).zip(logits) {
                if logit > floor {
                    floor = f(id, logit);
                }
            }
        }
    }
}
