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
}

/// Learning rate of step `step`, counted from 1.
pub fn learning_rate(options: &Options, step: u64) -> f64 {
    let (top, bottom) = (options.learning_rate, options.min_learning_rate);
    if step <= options.warmup {
        return top * step as f64 / options.warmup as f64;
    }
    let rest = options.steps.saturating_sub(options.warmup).max(1) as f64;
    let progress = ((step - options.warmup) as f64 / rest).min(1.0);
    match options.schedule {
        Schedule::Constant => top,
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
}
