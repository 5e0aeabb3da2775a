//! The threads that share the work: they spin for a moment after a job, then sleep.
//!
//! A model's step is some hundred jobs of microseconds to milliseconds, one after another. So between two jobs
//! a worker spins, ready within a fraction of a microsecond; without work for 50 µs it sleeps and costs nothing.
//!
//! The caller never waits for a worker that has not come: a job has seats, a worker that is free takes one, and
//! all who have a seat take indices until none is left: each from the front of its own share, then from the backs of
//! the others'. Shares are runs of neighbours, so that what a thread wrote in one job is in its caches in the next. Then the caller closes the job, waits for
//! those who still work on their last index, and only then returns, because the job lives on its stack.

mod shared;
mod split;

use std::fmt;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use shared::{MOST_INDICES, Shared};
pub use split::{Parts, Split};

/// More threads than this are not made; both counts must fit their bits.
const MOST_THREADS: usize = 1 << 10;

/// A fixed number of threads. Work is cut by a rule that depends on the number of threads and the sizes alone.
///
/// One job runs at a time. A job that is begun from within another one, or while another thread's job runs, is
/// done on the calling thread.
pub struct Pool {
    /// None: the calling thread alone.
    team: Option<Team>,
}

impl Pool {
    /// The calling thread alone.
    pub fn single() -> Self {
        Self { team: None }
    }

    /// `threads` threads, of which the caller is one; 0 means as many as the machine has. A system that gives
    /// fewer leaves the work to those.
    pub fn new(threads: usize) -> Self {
        let threads = if threads == 0 {
            thread::available_parallelism().map_or(1, usize::from)
        } else {
            threads
        };
        Self {
            team: Team::start(threads.min(MOST_THREADS) - 1),
        }
    }

    /// How many threads share the work.
    pub fn threads(&self) -> usize {
        1 + self.team.as_ref().map_or(0, |team| team.workers.len())
    }

    /// Calls `f(i)` once for each `i` in `0..n` and returns when all are done.
    ///
    /// Each thread begins with its own run of neighbouring indices. Allocates nothing.
    ///
    /// # Panics
    /// When `f` does, with the first panic's payload; indices that were not begun are left out.
    pub fn each<F>(&self, n: usize, f: F)
    where
        F: Fn(usize) + Sync,
    {
        self.share(n, 0, &f);
    }

    /// Calls `f(t)` once for each `t` in `0..threads()`, for work that keeps something per thread.
    ///
    /// The caller does 0. Nothing may wait within `f` for another `t`: where a worker does not come (it is late,
    /// or the pool is busy), another thread does its part after its own.
    ///
    /// # Panics
    /// As [`Pool::each`].
    pub fn on_all<F>(&self, f: F)
    where
        F: Fn(usize) + Sync,
    {
        self.share(self.threads(), 1, &f);
    }

    /// [`Pool::each`], where the first `own` indices are the caller's.
    fn share<F>(&self, n: usize, own: usize, f: &F)
    where
        F: Fn(usize) + Sync,
    {
        match &self.team {
            Some(Team { shared, workers })
                if (2..=MOST_INDICES).contains(&n) && shared.reserve() =>
            {
                shared.lead(n, own, f, workers.len());
            }
            _ => (0..n).for_each(f),
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Pool")
            .field("threads", &self.threads())
            .finish()
    }
}

/// The workers and what they and the callers have in common.
struct Team {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

impl Team {
    fn start(count: usize) -> Option<Self> {
        let shared = Arc::new(Shared::new(1 + count));
        let workers: Vec<_> = (1..=count)
            .map_while(|i| {
                let shared = Arc::clone(&shared);
                thread::Builder::new()
                    .name(format!("glassformer-{i}"))
                    .spawn(move || shared.work(i))
                    .ok()
            })
            .collect();
        (!workers.is_empty()).then_some(Self { shared, workers })
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        // Nobody else holds the pool, so no job runs.
        self.shared.end();
        for worker in self.workers.drain(..) {
            // A worker catches every panic of a job, so there is none to report.
            let _ = worker.join();
        }
    }
}
