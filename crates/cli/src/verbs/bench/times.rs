//! Doing a thing again and again, and what the times were.

use std::time::{Duration, Instant};

/// Seconds of one run: the middle one, the shortest, the longest; and how many there were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Times {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) runs: usize,
}

impl Times {
    fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        Self {
            median: middle(&seconds),
            min: seconds[0],
            max: seconds[seconds.len() - 1],
            runs: seconds.len(),
        }
    }

    /// The times of one part of `parts` equal ones.
    pub(super) fn per(self, parts: usize) -> Self {
        let part = |seconds: f64| seconds / parts as f64;
        Self {
            median: part(self.median),
            min: part(self.min),
            max: part(self.max),
            runs: self.runs,
        }
    }
}

/// The median of sorted numbers, of which there is at least one.
fn middle(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2])
}

/// How often to measure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// Exactly so many runs, if given. Else ten and as many as fit into a second, or three when ten seconds are over.
    pub(super) runs: Option<usize>,
}

impl Effort {
    fn is_enough(self, runs: usize, since: Instant) -> bool {
        let spent = since.elapsed();
        match self.runs {
            Some(wanted) => runs >= wanted,
            None => {
                runs >= 10 && spent >= Duration::from_secs(1)
                    || runs >= 3 && spent >= Duration::from_secs(10)
            }
        }
    }

    /// Times of `once`, which gives the time of one run, after `warm_up` runs that do not count.
    pub(super) fn measure(self, warm_up: usize, mut once: impl FnMut() -> Duration) -> Times {
        for _ in 0..warm_up {
            once();
        }
        let begin = Instant::now();
        let mut seconds = Vec::new();
        while seconds.is_empty() || !self.is_enough(seconds.len(), begin) {
            seconds.push(once().as_secs_f64());
        }
        Times::of(seconds)
    }

    /// Times of two things done in turn, and the median of second ÷ first over the pairs: what slows the machine for
    /// a while slows both.
    pub(super) fn compare(self, mut once: impl FnMut(bool) -> Duration) -> (Times, Times, f64) {
        let mut pair = || [false, true].map(|second| once(second).as_secs_f64());
        pair();
        let begin = Instant::now();
        let mut pairs: Vec<[f64; 2]> = Vec::new();
        while pairs.is_empty() || !self.is_enough(pairs.len(), begin) {
            pairs.push(pair());
        }
        let mut ratios: Vec<f64> = pairs.iter().map(|[first, second]| second / first).collect();
        ratios.sort_by(f64::total_cmp);
        let times = |i: usize| Times::of(pairs.iter().map(|pair| pair[i]).collect());
        (times(0), times(1), middle(&ratios))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Effort, Times};

    #[test]
    fn the_middle_of_odd_and_even_numbers() {
        let median = |seconds: &[f64]| Times::of(seconds.to_vec()).median;
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 8.0]), 3.0);
    }

    #[test]
    fn runs_are_counted_after_the_warm_up() {
        let mut calls = 0;
        let times = Effort { runs: Some(3) }.measure(2, || {
            calls += 1;
            Duration::from_secs(calls)
        });
        assert_eq!((calls, times.runs), (5, 3));
        assert_eq!((times.min, times.median, times.max), (3.0, 4.0, 5.0));
        assert_eq!(times.per(2).median, 2.0);
    }

    #[test]
    fn pairs_are_compared_with_each_other() {
        let mut slower = 1;
        let (first, second, ratio) = Effort { runs: Some(5) }.compare(|second| {
            slower += u32::from(!second);
            Duration::from_secs(if second { 3 } else { 2 }) * slower
        });
        assert_eq!((first.runs, second.runs), (5, 5));
        assert!((ratio - 1.5).abs() < 1e-9, "{ratio}");
    }
}
