//! The learning rate of each step.

use serde::{Deserialize, Serialize};

use crate::Options;

/// What follows the linear warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Half a cosine wave down to the minimum (Loshchilov & Hutter 2017, eq. 5, without restarts).
    Cosine,
    /// Stays at the top.
    Constant,
    /// A straight line down to the minimum.
    Linear,
    /// Falls as 1/√step from the top on: Vaswani et al. 2017, eq. 3, with the highest rate as what is chosen (fairseq's
    /// `inverse_sqrt`). Never ends, and knows no minimum.
    InverseSqrt,
    /// The same curve as the paper writes it, D^−½ · min(step^−½, step · warmup^−3/2), times the learning rate of the
    /// options, which is 1 in the paper. Never ends, and knows no minimum.
    Noam,
}

/// Learning rate of step `step`, counted from 1.
pub fn learning_rate(options: &Options, step: u64) -> f64 {
    let warmup = options.warmup.max(1) as f64;
    let (top, bottom) = match options.schedule {
        Schedule::Noam => {
            let top = options.learning_rate / (options.d_model as f64 * warmup).sqrt();
            (top, 0.0)
        }
        _ => (options.learning_rate, options.min_learning_rate),
    };
    if step <= options.warmup {
        return top * step as f64 / warmup;
    }
    let rest = options.steps.saturating_sub(options.warmup).max(1) as f64;
    let progress = ((step - options.warmup) as f64 / rest).min(1.0);
    match options.schedule {
        Schedule::Constant => top,
        Schedule::InverseSqrt | Schedule::Noam => top * (warmup / step as f64).sqrt(),
        Schedule::Linear => bottom + (top - bottom) * (1.0 - progress),
        Schedule::Cosine => {
            bottom + (top - bottom) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Schedule, learning_rate};
    use crate::Options;

    #[test]
    fn warm_up_then_down_to_the_minimum() {
        for schedule in [Schedule::Cosine, Schedule::Linear] {
            let options = Options {
                schedule,
                ..Options::preset("nano").unwrap()
            };
            assert!((learning_rate(&options, 50) - 5e-4).abs() < 1e-12);
            assert!((learning_rate(&options, 100) - 1e-3).abs() < 1e-12);
            assert!((learning_rate(&options, 2_000) - 1e-4).abs() < 1e-12);
            assert!((learning_rate(&options, 1_050) - 5.5e-4).abs() < 1e-12);
            for step in 101..2_000 {
                assert!(learning_rate(&options, step + 1) < learning_rate(&options, step));
            }
        }
        let constant = Options {
            schedule: Schedule::Constant,
            warmup: 0,
            ..Options::preset("nano").unwrap()
        };
        assert_eq!(learning_rate(&constant, 1), learning_rate(&constant, 2_000));
    }
    #[test]
    fn both_forms_of_the_papers_schedule_are_one_curve() {
        let paper = Options {
            schedule: Schedule::Noam,
            learning_rate: 1.0,
            warmup: 4_000,
            d_model: 512,
            ..Options::preset("nano").unwrap()
        };
        let peak = (512.0f64 * 4_000.0).powf(-0.5);
        let fairseq = Options {
            schedule: Schedule::InverseSqrt,
            learning_rate: peak,
            ..paper.clone()
        };
        for step in [1u64, 7, 3_999, 4_000, 4_001, 16_000, 100_000] {
            let s = step as f64;
            // Equation 3, word for word.
            let expected = 512.0f64.powf(-0.5) * s.powf(-0.5).min(s * 4_000.0f64.powf(-1.5));
            for options in [&paper, &fairseq] {
                let rate = learning_rate(options, step);
                assert!(
                    (rate - expected).abs() < 1e-12 * expected.max(1e-3),
                    "{step}: {rate} for {expected}"
                );
            }
        }
        assert!((learning_rate(&fairseq, 16_000) - peak / 2.0).abs() < 1e-15);
        let at_once = Options {
            warmup: 0,
            learning_rate: 0.5,
            ..fairseq
        };
        assert!((learning_rate(&at_once, 4) - 0.25).abs() < 1e-15);
    }
}
