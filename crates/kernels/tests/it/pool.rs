//! The pool: every index once, whoever calls, whatever happens.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use glassformer_kernels::Pool;
use glassformer_kernels::pool::Parts;

use crate::support::under_miri;

const fn fewer(n: usize) -> usize {
    under_miri(n / 100 + 1, n)
}

fn pools() -> impl Iterator<Item = Pool> {
    std::iter::once(Pool::single()).chain((1..=5).map(Pool::new))
}

/// How often `run` called its function with each index below `n`.
fn calls(n: usize, run: impl FnOnce(&(dyn Fn(usize) + Sync))) -> Vec<u32> {
    let counts: Vec<AtomicU32> = (0..n).map(|_| AtomicU32::new(0)).collect();
    run(&|i| {
        counts[i].fetch_add(1, Relaxed);
    });
    counts.into_iter().map(AtomicU32::into_inner).collect()
}

#[test]
fn each_calls_every_index_once() {
    for pool in pools() {
        for n in [0, 1, 2, 3, 4, 5, 7, 64, fewer(1_001)] {
            assert_eq!(calls(n, |f| pool.each(n, f)), vec![1; n], "{pool:?}, {n}");
        }
    }
}

#[test]
fn on_all_calls_every_thread_once_and_the_caller_is_0() {
    let caller = thread::current().id();
    for pool in pools() {
        for _ in 0..fewer(200) {
            let counts = calls(pool.threads(), |f| {
                pool.on_all(|t| {
                    assert!(t != 0 || thread::current().id() == caller);
                    f(t);
                });
            });
            assert_eq!(counts, vec![1; pool.threads()]);
        }
    }
}

#[test]
fn zero_means_as_many_as_the_machine_has() {
    assert_eq!(
        Pool::new(0).threads(),
        thread::available_parallelism().map_or(1, usize::from)
    );
    assert_eq!(Pool::new(3).threads(), 3);
    assert_eq!(Pool::single().threads(), 1);
}

#[test]
fn several_threads_take_part() {
    let pool = Pool::new(3);
    let (names, arrived) = (Mutex::new(HashSet::new()), AtomicUsize::new(0));
    // Each waits for the others, so three threads must come.
    pool.each(3, |_| {
        let name = thread::current().name().map(str::to_owned);
        names.lock().unwrap().insert(name);
        arrived.fetch_add(1, Relaxed);
        while arrived.load(Relaxed) < 3 {
            thread::yield_now();
        }
    });
    let names = names.into_inner().unwrap();
    assert_eq!(names.len(), 3);
    for name in ["glassformer-1", "glassformer-2"] {
        assert!(names.contains(&Some(name.to_owned())), "{names:?}");
    }
}

#[test]
fn a_job_within_a_job_runs_where_it_is_called() {
    for pool in pools() {
        let counts = calls(35, |f| {
            pool.each(5, |i| {
                let here = thread::current().id();
                pool.each(7, |k| {
                    assert!(pool.threads() == 1 || thread::current().id() == here);
                    f(i * 7 + k);
                });
                pool.on_all(|_| assert_eq!(thread::current().id(), here));
            });
        });
        assert_eq!(counts, [1; 35]);
    }
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
    for pool in pools() {
        for bad in [0, 3, 15] {
            let run = || pool.each(16, |i| assert_ne!(i, bad, "index {i} failed"));
            let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
            let message = payload.downcast_ref::<String>().unwrap();
            assert!(message.contains(&format!("index {bad} failed")));
            assert_eq!(calls(9, |f| pool.each(9, f)), [1; 9]);
        }
        let everywhere = || pool.each(16, |_| panic!("all of them"));
        assert!(catch_unwind(AssertUnwindSafe(everywhere)).is_err());
        assert_eq!(calls(9, |f| pool.each(9, f)), [1; 9]);
    }
}

#[test]
fn two_callers_at_once() {
    // Both at once: where one stood, ThreadSanitizer does not see that the scope around it has ended.
    for pool in &[2, 3].map(Pool::new) {
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for n in 0..fewer(2_000) {
                        let n = n % 17;
                        assert_eq!(calls(n, |f| pool.each(n, f)), vec![1; n]);
                    }
                });
            }
        });
    }
}

#[test]
fn sleepers_wake() {
    let pool = Pool::new(3);
    for _ in 0..fewer(20) {
        thread::sleep(Duration::from_millis(5));
        // Only ends when a worker comes.
        let arrived = AtomicUsize::new(0);
        pool.each(3, |_| {
            arrived.fetch_add(1, Relaxed);
            while arrived.load(Relaxed) < 3 {
                thread::yield_now();
            }
        });
    }
    thread::sleep(Duration::from_millis(5));
    drop(pool);
}

#[test]
fn many_tiny_jobs() {
    for threads in 2..=4 {
        let pool = Pool::new(threads);
        let jobs = fewer(10_000);
        // Not atomic on purpose: each slot is one index's, and jobs come one after the other.
        let mut slots = vec![0; 4];
        for _ in 0..jobs {
            pool.chunks(&mut slots, 1, |i, slot| slot[0] += i + 1);
        }
        assert_eq!(slots, [jobs, 2 * jobs, 3 * jobs, 4 * jobs]);
    }
}

#[test]
fn pools_come_and_go() {
    for round in 0..fewer(100) {
        let pool = Pool::new(1 + round % 4);
        if round % 3 > 0 {
            assert_eq!(calls(3, |f| pool.each(3, f)), [1; 3]);
        }
    }
}

#[test]
fn rows_are_whole_in_order_and_not_too_short() {
    for pool in pools() {
        for (rows, width, min_rows) in [(0, 3, 1), (1, 3, 1), (2, 5, 8), (101, 3, 4), (64, 1, 0)] {
            let mut data = vec![0; rows * width];
            let mut firsts = vec![0; rows];
            pool.rows(&mut data, width, min_rows, |first, part| {
                assert_eq!(part.len() % width, 0);
                let last = first + part.len() / width == rows;
                assert!(last || part.len() / width >= min_rows);
                for (at, value) in part.iter_mut().enumerate() {
                    *value += first * width + at;
                }
            });
            assert!(data.iter().copied().eq(0..rows * width), "{pool:?}");

            pool.rows2(
                (&mut data, width),
                (&mut firsts, 1),
                min_rows,
                |first, a, b| {
                    assert_eq!(a.len(), b.len() * width);
                    assert_eq!(a[0], first * width);
                    for b in b {
                        *b += first + 1;
                    }
                },
            );
            let each = pool.rows_each(rows, min_rows);
            let expected = (0..rows).map(|row| row / each * each + 1);
            assert!(firsts.into_iter().eq(expected), "{pool:?}");
        }
    }
    Pool::new(2).rows::<f32, _>(&mut [], 0, 1, |_, _| panic!("there are none"));
}

#[test]
fn chunks_of_four_arrays() {
    for pool in pools() {
        let (mut a, mut b) = (vec![0u8; 23], vec![String::new(); 12]);
        let (c, d) = ((0..34).collect::<Vec<u32>>(), vec![1.5; 46]);
        let arrays = ((&mut a[..], 2), (&mut b[..], 1), (&c[..], 3), (&d[..], 4));
        pool.split(arrays, |i, (a, b, c, d)| {
            assert_eq!(c[0] as usize, 3 * i);
            assert_eq!(d.len(), if i == 11 { 2 } else { 4 });
            a.fill(i as u8);
            b[0] = i.to_string();
        });
        assert!((0..23).all(|at| a[at] as usize == at / 2));
        assert!((0..12).all(|at| b[at] == at.to_string()));

        pool.chunks2((&mut a, 4), (&mut b, 2), |i, a, b| {
            assert!(i < 6);
            a[0] = b.len() as u8;
        });
    }
}

#[test]
#[should_panic(expected = "the same number of chunks")]
fn chunks_must_match() {
    Pool::new(2).chunks2((&mut [0; 4], 1), (&mut [0; 4], 2), |_, _, _| ());
}

#[test]
fn a_sum_has_the_same_bits_on_any_number_of_threads() {
    let f = |i: usize| 1.0 / (1.0 + i as f64);
    for n in [0, 1, 63, 64, 65, 200] {
        let expected = (0..n).fold(0.0, |total, i| total + f(i));
        for pool in pools() {
            assert_eq!(pool.sum(n, f).to_bits(), expected.to_bits(), "{pool:?}");
        }
    }
}

#[test]
fn parts_are_written_side_by_side_and_checked() {
    let mut data = vec![0; 30];
    let parts = Parts::new(&mut data);
    assert_eq!((parts.len(), parts.is_empty()), (30, false));
    // SAFETY: the ranges of different indices do not overlap.
    Pool::new(3).each(10, |i| unsafe { parts.slice(3 * i..3 * i + 3) }.fill(i));
    for (start, end) in [(0, 31), (31, 31), (2, 1), (usize::MAX, 0)] {
        // SAFETY: no other part is in use.
        let outside = || unsafe { parts.slice(start..end).len() };
        assert!(catch_unwind(AssertUnwindSafe(outside)).is_err());
    }
    assert!((0..30).all(|at| data[at] == at / 3));
}
