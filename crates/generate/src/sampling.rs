//! From a row of logits to the next id.
//!
//! logits ► repetition penalty ► ÷ temperature ► top-k ► softmax ► min-p ► top-p ► renormalise ► draw with u.
//! The draw takes the first candidate, from the most likely down, whose running sum exceeds u ∈ [0,1).

use glassformer_kernels::random;
use serde::{Deserialize, Serialize};

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// Logits are divided by it; 0 takes the most likely token always.
    pub temperature: f32,
    /// Only the k most likely are kept; 0 keeps all.
    pub top_k: usize,
    /// Only the most likely that together reach this probability are kept (Holtzman et al. 2020); 1 keeps all.
    pub top_p: f32,
    /// Only those at least this fraction as likely as the most likely one are kept; 0 keeps all.
    pub min_p: f32,
    /// Logits of tokens already in the text are divided by it when positive, multiplied when negative
    /// (Keskar et al. 2019, §4.1); 1 changes nothing.
    pub repetition_penalty: f32,
    /// The same seed gives the same text.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.0,
            repetition_penalty: 1.0,
            seed: 0,
        }
    }
}

/// A sampling number out of range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{name} is {value}; it must be {range}")]
pub struct SamplingError {
    name: &'static str,
    value: f32,
    range: &'static str,
}

/// A token that may come next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Its id.
    pub id: u32,
    /// As the model gave it.
    pub logit: f32,
    /// After penalty and temperature.
    pub scaled: f32,
    /// softmax of the logits as the model gave them.
    pub prob: f32,
    /// After truncation and renormalising; 0 for those not kept.
    pub final_prob: f32,
}

/// All candidates, the most likely first; the first `kept` can be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    /// Sorted by `scaled`, largest first; with equal ones the smaller id first.
    pub candidates: Vec<Candidate>,
    /// How many have a chance.
    pub kept: usize,
    /// exp(scaled − largest) of the top k: kept for its memory.
    weights: Vec<f64>,
}

impl Sampling {
    /// Always the most likely token.
    pub fn greedy() -> Self {
        Self {
            temperature: 0.0,
            ..Self::default()
        }
    }

    /// Checks the ranges.
    pub fn check(&self) -> Result<(), SamplingError> {
        let error = |name, value, range| Err(SamplingError { name, value, range });
        match *self {
            Self { temperature: t, .. } if !(0.0..=100.0).contains(&t) => {
                error("temperature", t, "between 0 and 100")
            }
            Self { top_p: p, .. } if !(p > 0.0 && p <= 1.0) => {
                error("top-p", p, "above 0 and at most 1")
            }
            Self { min_p: p, .. } if !(0.0..=1.0).contains(&p) => {
                error("min-p", p, "between 0 and 1")
            }
            Self {
                repetition_penalty: r,
                ..
            } if !(0.01..=100.0).contains(&r) => error(
                "repetition penalty",
                r,
                "between 0.01 and 100 (1 changes nothing)",
            ),
            _ => Ok(()),
        }
    }

    /// The number in [0,1) that decides draw `step`; none when greedy.
    pub fn draw_number(&self, step: u64) -> Option<f64> {
        (self.temperature > 0.0).then(|| random::uniform(random::derive(self.seed, 0x5a3d), step))
    }

    /// Every candidate with its chances. `seen` are the ids already in the text, for the penalty.
    pub fn distribution(&self, logits: &[f32], seen: &[u32]) -> Distribution {
        let mut distribution = Distribution::default();
        self.fill(&mut distribution, logits, seen);
        distribution
    }

    /// As [`Sampling::distribution`], in the memory of one that is no longer needed.
    pub fn fill(&self, distribution: &mut Distribution, logits: &[f32], seen: &[u32]) {
        let Distribution {
            candidates,
            kept,
            weights,
        } = distribution;
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f64 = logits.iter().map(|&x| f64::from(x - max).exp()).sum();
        candidates.clear();
        candidates.extend(logits.iter().enumerate().map(|(id, &logit)| Candidate {
            id: id as u32,
            logit,
            scaled: logit,
            prob: (f64::from(logit - max).exp() / total) as f32,
            final_prob: 0.0,
        }));
        self.scale(candidates, seen);
        // No two are equal, as ids differ: an unstable sort, which needs no memory, has one result.
        candidates.sort_unstable_by(|a, b| b.scaled.total_cmp(&a.scaled).then(a.id.cmp(&b.id)));
        *kept = self.truncate(candidates, weights);
    }

    fn scale(&self, candidates: &mut [Candidate], seen: &[u32]) {
        if self.repetition_penalty != 1.0 {
            for &id in seen {
                // From the logit, so that a token which was there twice is penalised once.
                let Candidate { logit, scaled, .. } = &mut candidates[id as usize];
                *scaled = if *logit > 0.0 {
                    *logit / self.repetition_penalty
                } else {
                    *logit * self.repetition_penalty
                };
            }
        }
        if self.temperature > 0.0 {
            for candidate in candidates {
                candidate.scaled /= self.temperature;
            }
        }
    }

    /// Gives the kept ones their final probability; returns how many they are.
    fn truncate(&self, candidates: &mut [Candidate], weights: &mut Vec<f64>) -> usize {
        weights.clear();
        if self.temperature == 0.0 {
            candidates[0].final_prob = 1.0;
            return 1;
        }
        let top_k = if self.top_k == 0 {
            candidates.len()
        } else {
            self.top_k.min(candidates.len())
        };
        let max = f64::from(candidates[0].scaled);
        let ratios = candidates[..top_k]
            .iter()
            .map(|c| (f64::from(c.scaled) - max).exp());
        weights.extend(ratios);
        let total: f64 = weights.iter().sum();
        // weights[0] is 1, so each weight is the ratio to the most likely one.
        let mut kept = weights
            .iter()
            .take_while(|&&w| w > 0.0 && w >= f64::from(self.min_p))
            .count()
            .max(1);
        let mut sum = 0.0;
        for (i, weight) in weights[..kept].iter().enumerate() {
            sum += weight / total;
            if sum >= f64::from(self.top_p) && self.top_p < 1.0 {
                kept = i + 1;
                break;
            }
        }
        let total: f64 = weights[..kept].iter().sum();
        for (candidate, weight) in candidates.iter_mut().zip(&weights[..kept]) {
            candidate.final_prob = (weight / total) as f32;
        }
        kept
    }

    /// What draw `step` takes from the distribution.
    pub fn choose(&self, distribution: &Distribution, step: u64) -> Candidate {
        distribution.draw(self.draw_number(step).unwrap_or(0.0))
    }
}

impl Distribution {
    /// The first kept candidate whose running sum of `final_prob` exceeds `u`.
    pub fn draw(&self, u: f64) -> Candidate {
        let mut sum = 0.0;
        for candidate in &self.candidates[..self.kept] {
            sum += f64::from(candidate.final_prob);
            if sum > u {
                return *candidate;
            }
        }
        // The sum may end just below 1 by rounding.
        self.candidates[self.kept - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::Sampling;

    const LOGITS: [f32; 5] = [1.0, 3.0, 2.0, -1.0, 3.0];

    #[test]
    fn greedy_takes_the_first_of_the_largest() {
        let greedy = Sampling::greedy();
        assert_eq!(greedy.choose(&greedy.distribution(&LOGITS, &[]), 9).id, 1);
    }

    #[test]
    fn frequencies_follow_the_probabilities() {
        let sampling = Sampling {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            ..Sampling::default()
        };
        let distribution = sampling.distribution(&LOGITS, &[]);
        let mut counts = [0u32; 5];
        for step in 0..20_000 {
            counts[sampling.choose(&distribution, step).id as usize] += 1;
        }
        for candidate in &distribution.candidates {
            let frequency = counts[candidate.id as usize] as f32 / 20_000.0;
            assert!(
                (frequency - candidate.final_prob).abs() < 0.015,
                "{candidate:?} came {frequency}"
            );
            assert!((candidate.prob - candidate.final_prob).abs() < 1e-6);
        }
    }

    #[test]
    fn truncation_keeps_what_it_says() {
        let base = Sampling {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            ..Sampling::default()
        };
        let kept = |s: Sampling| s.distribution(&LOGITS, &[]).kept;
        assert_eq!(kept(base), 5);
        assert_eq!(kept(Sampling { top_k: 3, ..base }), 3);
        assert_eq!(kept(Sampling { top_p: 0.5, ..base }), 2);
        assert_eq!(kept(Sampling { min_p: 0.3, ..base }), 3);
        let sum: f32 = Sampling { top_p: 0.5, ..base }
            .distribution(&LOGITS, &[])
            .candidates
            .iter()
            .map(|c| c.final_prob)
            .sum();
        assert!((sum - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_penalty_lowers_seen_tokens_only() {
        let sampling = Sampling {
            temperature: 1.0,
            repetition_penalty: 2.0,
            ..Sampling::default()
        };
        let distribution = sampling.distribution(&LOGITS, &[1, 1, 3]);
        for candidate in &distribution.candidates {
            let expected = match candidate.id {
                1 => 1.5,
                3 => -2.0,
                id => LOGITS[id as usize],
            };
            assert_eq!(candidate.scaled, expected);
        }
    }

    #[test]
    fn a_used_distribution_is_filled_as_a_new_one() {
        let sampling = Sampling {
            top_k: 3,
            repetition_penalty: 1.3,
            ..Sampling::default()
        };
        let mut used = sampling.distribution(&LOGITS, &[1]);
        sampling.fill(&mut used, &LOGITS[1..], &[0, 2]);
        assert_eq!(used, sampling.distribution(&LOGITS[1..], &[0, 2]));
    }

    #[test]
    fn ranges_are_checked() {
        for wrong in [
            Sampling {
                temperature: -1.0,
                ..Sampling::default()
            },
            Sampling {
                temperature: f32::NAN,
                ..Sampling::default()
            },
            Sampling {
                top_p: 0.0,
                ..Sampling::default()
            },
            Sampling {
                min_p: 1.5,
                ..Sampling::default()
            },
            Sampling {
                repetition_penalty: 0.0,
                ..Sampling::default()
            },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
