//! Drawn translations of one sentence.

use glassformer_kernels::random;

use super::{Hypothesis, LengthPenalty, Step};
use crate::{Distribution, Sampling};

/// A hypothesis that is drawn id by id.
#[derive(Clone, Debug)]
struct Sample {
    sampling: Sampling,
    ids: Vec<u32>,
    log_prob: f64,
}

/// The hypotheses of one sentence. Their draws depend on the seed, on which of them it is, and on the step: not on the batch.
pub(super) struct Samples {
    penalty: LengthPenalty,
    running: Vec<Sample>,
    done: Vec<Hypothesis>,
    distribution: Distribution,
    /// The logits without what may not be written.
    logits: Vec<f32>,
}

impl Samples {
    pub(super) fn new(count: usize, sampling: Sampling, penalty: LengthPenalty) -> Self {
        let seed = |n| match n {
            0 => sampling.seed,
            n => random::derive(sampling.seed, n),
        };
        let sample = |n| Sample {
            sampling: Sampling {
                seed: seed(n),
                ..sampling
            },
            ids: Vec::new(),
            log_prob: 0.0,
        };
        Self {
            penalty,
            running: (0..count as u64).map(sample).collect(),
            done: Vec::new(),
            distribution: Distribution::default(),
            logits: Vec::new(),
        }
    }

    /// See [`Sentence::step`](super::Sentence).
    pub(super) fn step(&mut self, step: &Step<'_>) -> Vec<(usize, u32)> {
        let mut next = Vec::new();
        for (place, mut sample) in std::mem::take(&mut self.running).into_iter().enumerate() {
            // At the first step all samples come from the one row.
            let parent = if step.written == 0 { 0 } else { place };
            let id = match step.forced() {
                Some(id) => id,
                None => self.draw(&mut sample, step, step.first + parent),
            };
            let is_ended = step.ids.ends.contains(&id);
            if !is_ended {
                sample.ids.push(id);
            }
            if is_ended || step.written + 1 == step.most {
                self.done.push(Hypothesis {
                    score: sample.log_prob / self.penalty.of(step.written + 1),
                    ids: sample.ids,
                    log_prob: sample.log_prob,
                    is_ended,
                });
            } else {
                next.push((parent, id));
                self.running.push(sample);
            }
        }
        next
    }

    /// Draws the next id of a sample, whose logits are in `row`.
    fn draw(&mut self, sample: &mut Sample, step: &Step<'_>, row: usize) -> u32 {
        self.logits.clear();
        self.logits.extend_from_slice(step.scores.row(row));
        for &id in &step.ids.never {
            self.logits[id as usize] = f32::NEG_INFINITY;
        }
        let Sample { sampling, ids, .. } = &*sample;
        sampling.fill(&mut self.distribution, &self.logits, ids);
        let drawn = sampling.choose(&self.distribution, step.written as u64);
        sample.log_prob += f64::from(drawn.logit) - step.scores.of(row).log_sum();
        drawn.id
    }

    /// All of them, the best score first.
    pub(super) fn finished(mut self) -> Vec<Hypothesis> {
        self.done.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.done
    }
}
