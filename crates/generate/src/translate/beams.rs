//! Beam search for one sentence, with the decisions of transformers' `generate`, so that both find the same.
//!
//! Of the continuations of all running hypotheses the likeliest are looked at, in order of their log-probability. One that
//! ends is finished if it is among the first `width`; of those that go on, the first `width` run on. Finished ones are
//! compared by their score, and as many are kept.

use super::{Hypothesis, LengthPenalty, Step, Stopping};

/// A hypothesis that runs.
#[derive(Clone, Debug)]
struct Running {
    ids: Vec<u32>,
    log_prob: f64,
}

/// A hypothesis and one id more.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Continuation {
    parent: usize,
    id: u32,
    log_prob: f64,
}

/// The hypotheses of one sentence.
pub(super) struct Beams {
    width: usize,
    stopping: Stopping,
    penalty: LengthPenalty,
    /// The likeliest first, all of one length.
    running: Vec<Running>,
    /// The best score first, at most `width`.
    pub(super) finished: Vec<Hypothesis>,
}

impl Beams {
    pub(super) fn new(width: usize, stopping: Stopping, penalty: LengthPenalty) -> Self {
        let empty = Running {
            ids: Vec::new(),
            log_prob: 0.0,
        };
        Self {
            width,
            stopping,
            penalty,
            running: vec![empty],
            finished: Vec::new(),
        }
    }

    /// See [`Sentence::step`](super::Sentence).
    pub(super) fn step(&mut self, step: &Step<'_>) -> Vec<(usize, u32)> {
        let written = step.written + 1;
        let divisor = self.penalty.of(written);
        let continuations = self.continuations(step);
        if continuations.is_empty() {
            self.give_up();
            return Vec::new();
        }
        let mut running = Vec::new();
        let mut next = Vec::new();
        for (rank, one) in continuations.into_iter().enumerate() {
            let Continuation {
                parent,
                id,
                log_prob,
            } = one;
            let mut ids = self.running[parent].ids.clone();
            let is_ended = step.ids.ends.contains(&id);
            if !is_ended {
                ids.push(id);
            }
            if !is_ended && written < step.most {
                if running.len() < self.width {
                    running.push(Running { ids, log_prob });
                    next.push((parent, id));
                }
            } else if rank < self.width {
                self.finished.push(Hypothesis {
                    ids,
                    score: log_prob / divisor,
                    log_prob,
                    is_ended,
                });
            }
        }
        // Stable: of equals the one that was finished first stays before.
        self.finished.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.finished.truncate(self.width);
        self.running = running;
        if self.is_done(written, step.most) {
            next.clear();
        }
        next
    }

    /// Ends where nothing can follow, as the logits are no numbers.
    fn give_up(&mut self) {
        let left = self.running.drain(..).take(self.width);
        self.finished.extend(left.map(|one| Hypothesis {
            ids: one.ids,
            score: f64::NEG_INFINITY,
            log_prob: f64::NEG_INFINITY,
            is_ended: false,
        }));
        self.finished.truncate(self.width);
    }

    /// The likeliest continuations, the likeliest first; of equal ones that of the earlier hypothesis, then of the smaller
    /// id. Enough that `width` go on even if as many end in each way.
    fn continuations(&self, step: &Step<'_>) -> Vec<Continuation> {
        let most = self.width * (1 + step.ids.ends.len()).max(2);
        if let Some(id) = step.forced() {
            let certain = self.running.iter().enumerate();
            return certain
                .map(|(parent, one)| Continuation {
                    parent,
                    id,
                    log_prob: one.log_prob,
                })
                .collect();
        }
        let mut best: Vec<Continuation> = Vec::with_capacity(most + 1);
        for (parent, one) in self.running.iter().enumerate() {
            let scores = step.scores.of(step.first + parent);
            let above = one.log_prob - scores.log_sum();
            if above.is_nan() {
                continue;
            }
            // A logit below the floor is not among the best; one step lower than rounding may have made it.
            let floor = |best: &[Continuation]| match best.get(most - 1) {
                Some(last) => ((last.log_prob - above) as f32).next_down(),
                None => f32::NEG_INFINITY,
            };
            scores.each_above(floor(&best), |id, logit| {
                if !step.ids.never.contains(&id) {
                    let log_prob = above + f64::from(logit);
                    let place = best.partition_point(|other| other.log_prob >= log_prob);
                    let one = Continuation {
                        parent,
                        id,
                        log_prob,
                    };
                    best.insert(place, one);
                    best.truncate(most);
                }
                floor(&best)
            });
        }
        best
    }

    /// Whether nothing better can be hoped for, after `written` ids of at most `most`.
    fn is_done(&self, written: usize, most: usize) -> bool {
        let (Some(best), true) = (self.running.first(), self.finished.len() == self.width) else {
            return self.running.is_empty();
        };
        let length = match self.stopping {
            Stopping::WhenFull => return true,
            Stopping::WhenSure if self.penalty.alpha() > 0.0 => most,
            Stopping::WhenUnlikely | Stopping::WhenSure => written,
        };
        let hoped = best.log_prob / self.penalty.of(length);
        self.finished.iter().all(|one| hoped <= one.score)
    }
}
