//! What a line of metrics is made from.

use std::time::Instant;

use crate::StepReport;
use crate::metrics::Metrics;

/// Means and speed since the last line of metrics.
pub(crate) struct Window {
    /// Sum over the targets that were asked for.
    loss: f64,
    asked: usize,
    tokens: usize,
    since: Instant,
    start: Instant,
    before: f64,
}

impl Window {
    pub(crate) fn new(before: f64) -> Self {
        let now = Instant::now();
        Self {
            loss: 0.0,
            asked: 0,
            tokens: 0,
            since: now,
            start: now,
            before,
        }
    }

    pub(crate) fn begin(&mut self) {
        *self = Self {
            loss: 0.0,
            asked: 0,
            tokens: 0,
            since: Instant::now(),
            ..*self
        };
    }

    pub(crate) fn add(&mut self, report: &StepReport) {
        self.loss += report.loss * report.asked as f64;
        self.asked += report.asked;
        self.tokens += report.tokens;
    }

    /// Seconds of the whole run.
    pub(crate) fn seconds(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }

    pub(crate) fn tokens_per_s(&self) -> f64 {
        self.tokens as f64 / self.since.elapsed().as_secs_f64().max(1e-9)
    }

    pub(crate) fn metrics(&self, step: u64, report: &StepReport) -> Metrics {
        Metrics {
            step,
            train_loss: self.loss / self.asked.max(1) as f64,
            val_loss: None,
            bleu: None,
            chrf: None,
            learning_rate: report.learning_rate,
            grad_norm: report.grad_norm,
            tokens_per_s: self.tokens_per_s(),
            seconds: self.seconds(),
        }
    }
}
