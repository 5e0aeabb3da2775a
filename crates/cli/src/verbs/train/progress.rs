//! What people see while they wait: the preparation, then the bar.

use std::path::Path;
use std::time::Duration;

use glassformer_train::Observer;
use glassformer_train::metrics::Metrics;
use glassformer_train::setup::Stage;
use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal::{style, thousands};

/// Seconds as people say them.
pub(super) fn duration(seconds: f64) -> String {
    let s = seconds as u64;
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

/// A line that tells what is prepared, on terminals.
pub(super) struct Preparation(ProgressBar);

impl Preparation {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    pub(super) fn show(&self, stage: Stage) {
        self.0.set_message(match stage {
            Stage::Vocabulary => "learning the vocabulary …".to_owned(),
            Stage::Tokens(progress) => format!(
                "tokenizing: {} of {} MB, {} tokens",
                progress.bytes / 1_000_000,
                progress.total_bytes / 1_000_000,
                thousands(progress.tokens)
            ),
        });
    }
}

impl Drop for Preparation {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// BLEU and chrF, where a model translates.
fn scores(metrics: &Metrics) -> String {
    match (metrics.bleu, metrics.chrf) {
        (Some(bleu), Some(chrf)) => format!("  BLEU {bleu:.1}  chrF {chrf:.1}"),
        _ => String::new(),
    }
}

/// The progress bar; where there is no terminal, a line per evaluation.
pub(super) struct Bar {
    pub(super) bar: ProgressBar,
    smoothed: Option<f64>,
}

impl Bar {
    pub(super) fn new(step: u64, steps: u64) -> Self {
        let bar = ProgressBar::new(steps).with_position(step);
        let template = "{bar:28.cyan/blue} {pos}/{len}  {msg}  {eta} left";
        bar.set_style(
            ProgressStyle::with_template(template)
                .expect("a valid template")
                .progress_chars("━╸─"),
        );
        bar.reset_eta();
        Self {
            bar,
            smoothed: None,
        }
    }

    /// A line above the bar, or on standard error where there is no bar.
    fn line(&self, text: &str) {
        if self.bar.is_hidden() {
            eprintln!("{text}");
        } else {
            self.bar.println(text);
        }
    }
}

impl Observer for Bar {
    fn step(&mut self, step: u64, train_loss: f64, tokens_per_s: f64) {
        let smoothed = self
            .smoothed
            .map_or(train_loss, |old| old + 0.05 * (train_loss - old));
        self.smoothed = Some(smoothed);
        self.bar.set_message(format!(
            "loss {smoothed:.3}  {} tokens/s",
            thousands(tokens_per_s as u64)
        ));
        self.bar.set_position(step);
    }

    fn evaluated(&mut self, metrics: &Metrics, is_best: bool) {
        self.line(&format!(
            "step {:>6}  train {:.4}  val {:.4}{}{}  {} tokens/s  {}",
            metrics.step,
            metrics.train_loss,
            metrics.val_loss.unwrap_or(f64::NAN),
            if is_best { " (best)" } else { "" },
            scores(metrics),
            thousands(metrics.tokens_per_s as u64),
            duration(metrics.seconds),
        ));
    }

    fn sample(&mut self, prompt: &str, continuation: &str) {
        let text = format!("{}{}", style("1", prompt), continuation.trim_end());
        self.line(&format!("  {}", text.replace('\n', "\n  ")));
    }

    fn saved(&mut self, _path: &Path) {}
}
