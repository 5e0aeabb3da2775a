//! A bar for who waits longer than a second.

use std::cell::Cell;
use std::time::{Duration, Instant};

use glassformer_weights::NewTensor;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// After this long it shows itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many tensors of a file are written.
pub(super) struct Progress {
    bar: ProgressBar,
    begun: Instant,
    shown: Cell<bool>,
}

impl Progress {
    /// Of so many numbers.
    pub(super) fn new(numbers: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(numbers as u64), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {eta} left");
        bar.set_style(style.expect("the template is right"));
        Self {
            bar,
            begun: Instant::now(),
            shown: Cell::new(false),
        }
    }

    /// The tensor, which tells when its turn comes.
    pub(super) fn watch<'a>(&'a self, tensor: NewTensor<'a>) -> NewTensor<'a> {
        let (name, numbers) = (tensor.name.clone(), tensor.shape.iter().product::<usize>());
        tensor.before(move || {
            if !self.shown.get() && self.begun.elapsed() > PATIENCE {
                self.shown.set(true);
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            self.bar.set_message(name);
            self.bar.inc(numbers as u64);
        })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
