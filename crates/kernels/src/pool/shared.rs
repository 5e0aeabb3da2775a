//! How a caller and its workers meet: one word, `state`.
//!
//! | bits | holds |
//! |---|---|
//! | 0–15 | `joined`: workers that are within the job |
//! | 16–31 | `seats`: how many more may come; 0 is a closed job |
//! | 32–62 | the number of the job, so that nobody comes to the same one twice |
//! | 63 | the pool ends |
//!
//! A worker may look at the job while it is counted in `joined`, and the caller returns when the job has no seats and
//! nobody is within.

use std::any::Any;
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a worker without work spins before it sleeps: longer than the gap between two kernels.
const SPIN: Duration = Duration::from_micros(200);

/// Looks at `state` between two looks at the clock.
const SPINS_PER_CLOCK: u32 = 64;

/// Looks at `state` before a caller that waits for the last worker lets others run.
const SPINS_AT_END: u32 = 2_000;

const JOINED: u64 = 0xffff;
const SEAT: u64 = 1 << 16;
const SEATS: u64 = 0xffff * SEAT;
const JOB: u64 = 1 << 32;
const JOBS: u64 = 0x7fff_ffff * JOB;
const END: u64 = 1 << 63;

/// What is called for a job: the closure without its type, and the loop that was compiled for that type.
#[derive(Clone, Copy)]
struct Job {
    closure: *const (),
    take: unsafe fn(*const (), &[Apart<Share>], usize),
}

/// Takes indices until none is left: thread `me` those of its own share, then what others have left of theirs.
///
/// # Safety
/// `closure` points to an `F` that lives until this returns.
unsafe fn take<F>(closure: *const (), shares: &[Apart<Share>], me: usize)
where
    F: Fn(usize) + Sync,
{
    // SAFETY: the caller's promise; `F` is `Sync`, so any thread may hold a reference to it.
    let f = unsafe { &*closure.cast::<F>() };
    let (before, own) = shares.split_at(me);
    while let Some(i) = own[0].0.first() {
        f(i);
    }
    for other in own[1..].iter().chain(before) {
        while let Some(i) = other.0.last() {
            f(i);
        }
    }
}

/// The indices of a job that one thread begins with; it takes them from the front, others from the back.
///
/// Start in the lower half, end in the upper one. Relaxed: it only shares indices out; that the job's data are there
/// and its results arrive is the business of `state`.
#[derive(Default)]
struct Share(AtomicU64);

/// Most indices of a job that can be shared out.
pub(super) const MOST_INDICES: usize = u32::MAX as usize >> 1;

impl Share {
    fn set(&self, start: usize, end: usize) {
        self.0.store((end as u64) << 32 | start as u64, Relaxed);
    }

    /// The first index. A share that is empty may end up with its start behind its end, at most one for each thread.
    fn first(&self) -> Option<usize> {
        let (start, end) = Self::bounds(self.0.fetch_add(1, Relaxed));
        (start < end).then_some(start)
    }

    /// The last index.
    fn last(&self) -> Option<usize> {
        let shorter = |share| {
            let (start, end) = Self::bounds(share);
            (start < end).then(|| share - (1 << 32))
        };
        let before = self.0.fetch_update(Relaxed, Relaxed, shorter).ok()?;
        Some(Self::bounds(before).1 - 1)
    }

    fn bounds(share: u64) -> (usize, usize) {
        (share as u32 as usize, (share >> 32) as usize)
    }
}

/// Alone on its cache lines (two, as processors fetch them in pairs).
#[derive(Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// What the workers and the callers of a pool have in common.
pub(super) struct Shared {
    state: Apart<AtomicU64>,
    /// What is left of the job for each thread, the caller's first.
    shares: Box<[Apart<Share>]>,
    /// Written by the caller that holds `busy` while the job is closed and empty; read by workers that joined.
    job: UnsafeCell<Job>,
    /// A caller has the workers.
    busy: AtomicBool,
    /// Set with `panic`, so that a job without a panic takes no lock.
    panicked: AtomicBool,
    /// What the first panic of the job carried.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// How many sleep or are about to; changed under `sleep`.
    asleep: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
}

// SAFETY: the pointers in `job` are used by workers within an open job only, whose closure is `Sync` and lives
// on the stack of the caller, which waits for them. The cell is written by one thread while nobody is within.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// For that many threads, the caller included.
    pub(super) fn new(threads: usize) -> Self {
        Self {
            state: Apart::default(),
            shares: (0..threads).map(|_| Apart::default()).collect(),
            job: UnsafeCell::new(Job {
                closure: std::ptr::null(),
                take: |_, _, _| (),
            }),
            busy: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            panic: Mutex::new(None),
            asleep: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    /// Takes the workers for one job, unless another one has them.
    ///
    /// Acquire: what the last job's caller saw of its workers has happened before what follows here.
    pub(super) fn reserve(&self) -> bool {
        self.busy
            .compare_exchange(false, true, Acquire, Relaxed)
            .is_ok()
    }

    /// Sends the workers home. No job runs and none will.
    pub(super) fn end(&self) {
        self.state.0.fetch_or(END, SeqCst);
        drop(locked(&self.sleep));
        self.wake.notify_all();
    }

    /// The caller's part of a job, after [`Shared::reserve`]; then the workers are free again.
    pub(super) fn lead<F>(&self, n: usize, own: usize, f: &F, workers: usize)
    where
        F: Fn(usize) + Sync,
    {
        let closure = (&raw const *f).cast::<()>();
        let take = take::<F>;
        // SAFETY: this thread holds `busy`, and whoever held it before waited until the last worker had left.
        unsafe { *self.job.get() = Job { closure, take } };
        self.share_out(own, n);
        self.open((n - 1).min(workers), workers);
        self.catch(|| {
            (0..own).for_each(f);
            // SAFETY: `f` is borrowed for longer than this call.
            unsafe { take(closure, &self.shares, 0) };
        });
        self.close();
        // Relaxed: `close` acquired what the workers did.
        let payload = if self.panicked.load(Relaxed) {
            self.panicked.store(false, Relaxed);
            locked(&self.panic).take()
        } else {
            None
        };
        self.busy.store(false, Release);
        if let Some(payload) = payload {
            resume_unwind(payload);
        }
    }

    /// Neighbouring indices to the same thread, in equal shares: indices are places in arrays, and what a thread wrote
    /// in one job is in its caches when it reads the same places in the next. The first `own` are done already.
    fn share_out(&self, own: usize, n: usize) {
        let threads = self.shares.len();
        for (t, share) in self.shares.iter().enumerate() {
            let [start, end] = [t, t + 1].map(|t| (n * t / threads).max(own));
            share.0.set(start, end);
        }
    }

    /// Opens the job and wakes as many sleepers as the seats need.
    fn open(&self, seats: usize, workers: usize) {
        // Nobody else changes `state` while the job is closed and empty.
        let job = (self.state.0.load(Relaxed) + JOB) & JOBS;
        // Releases the job to those who join. Sequentially consistent, as is the load after it, against
        // `sleep_until`: either this thread sees the sleeper, or the sleeper sees the job.
        self.state.0.store(job | (seats as u64 * SEAT), SeqCst);
        let asleep = self.asleep.load(SeqCst);
        let missing = seats.saturating_sub(workers - asleep);
        if missing > 0 {
            // Who counts as asleep holds the lock until it waits, so after this it hears the call.
            drop(locked(&self.sleep));
            for _ in 0..missing {
                self.wake.notify_one();
            }
        }
    }

    /// Lets nobody come any more and waits until the last worker has left.
    ///
    /// Acquire: workers leave with Release (each later change of `state` continues their sequence), so what they
    /// wrote is seen here, and the closure may end.
    fn close(&self) {
        let mut state = self.state.0.fetch_and(!SEATS, AcqRel);
        let mut spins = 0;
        while state & JOINED != 0 {
            if spins < SPINS_AT_END {
                spins += 1;
                spin_loop();
            } else {
                thread::yield_now();
            }
            state = self.state.0.load(Acquire);
        }
    }

    /// The life of worker `me`, counted from 1.
    pub(super) fn work(&self, me: usize) {
        let mut last = 0;
        while let Some(number) = self.join(last) {
            last = number;
            // SAFETY: this worker has joined; until it leaves, the caller neither writes the cell nor ends the
            // closure.
            let Job { closure, take } = unsafe { *self.job.get() };
            self.catch(|| {
                // SAFETY: as above; `take` was compiled for this closure's type.
                unsafe { take(closure, &self.shares, me) };
            });
            self.state.0.fetch_sub(1, Release);
        }
    }

    /// Waits for a job other than `last` and takes a seat; its number, or none when the pool ends.
    fn join(&self, last: u64) -> Option<u64> {
        let mut state = self.spin_until(last);
        loop {
            if state & END != 0 {
                return None;
            }
            if !is_for(state, last) {
                state = self.spin_until(last);
                continue;
            }
            let joined = state - SEAT + 1;
            // Acquire: sees the job that was written before it was opened.
            match self
                .state
                .0
                .compare_exchange_weak(state, joined, Acquire, Relaxed)
            {
                Ok(_) => return Some(state & JOBS),
                Err(now) => state = now,
            }
        }
    }

    /// Spins, then sleeps, until there is a job other than `last` or the pool ends.
    fn spin_until(&self, last: u64) -> u64 {
        let begin = Instant::now();
        loop {
            for _ in 0..SPINS_PER_CLOCK {
                let state = self.state.0.load(Relaxed);
                if is_for(state, last) {
                    return state;
                }
                spin_loop();
            }
            if begin.elapsed() > SPIN {
                return self.sleep_until(last);
            }
        }
    }

    fn sleep_until(&self, last: u64) -> u64 {
        let mut guard = locked(&self.sleep);
        // First counted, then looked: see `open`.
        self.asleep.fetch_add(1, SeqCst);
        let state = loop {
            let state = self.state.0.load(SeqCst);
            if is_for(state, last) {
                break state;
            }
            guard = self
                .wake
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        };
        self.asleep.fetch_sub(1, Relaxed);
        drop(guard);
        state
    }

    /// Runs one thread's part of a job. After a panic no index is begun any more, and the first payload is kept.
    fn catch(&self, part: impl FnOnce()) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(part)) {
            self.shares.iter().for_each(|share| share.0.set(0, 0));
            let mut first = locked(&self.panic);
            if first.is_none() {
                *first = Some(payload);
                self.panicked.store(true, Relaxed);
            } else {
                // To drop it could panic again, here where nobody would catch it.
                mem::forget(payload);
            }
        }
    }
}

/// Whether a worker that was at job `last` has to do something: a seat in another job, or the end.
fn is_for(state: u64, last: u64) -> bool {
    state & END != 0 || (state & SEATS != 0 && state & JOBS != last)
}

/// Nothing is left half done under these locks, so a poisoned one is as good.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
