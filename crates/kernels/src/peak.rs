//! What the processor can do at best, measured on the spot: the 100 % that kernels are held against.
//!
//! Arithmetic: chains of dependent multiply-adds in registers, enough of them to fill the pipelines; nothing is read
//! from memory. Reading: each thread adds up its own part of an array that no cache holds. Every figure is the best of
//! several short runs, with all threads at work at once, as clocks and memory are shared.
//!
//! | figure | one instruction counts |
//! |---|---|
//! | f32 | a ← a·x + y: 2 operations per lane |
//! | bf16 | `vdpbf16ps`, a ← a + x₀·y₀ + x₁·y₁: 4 operations per 32-bit lane |
//! | int8 | `vpdpbusd`, a ← a + Σ of four products: 8 operations per 32-bit lane |

use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::arch::multiversion;

/// Calls what it is given once for each thread 0..n, at the same time, and returns when all are done.
pub type OnAll<'a> = &'a dyn Fn(&(dyn Fn(usize) + Sync));

/// The best that this processor has shown, all threads together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peaks {
    /// f32 multiply-add, in 10⁹ operations per second (a product and a sum are two).
    pub f32_gflops: f64,
    /// Products of bf16 added up in f32, in 10⁹ operations per second; `None` without AVX512-BF16.
    pub bf16_gflops: Option<f64>,
    /// Products of 8-bit integers added up in 32 bits, in 10⁹ operations per second; `None` without AVX512-VNNI.
    pub int8_gops: Option<f64>,
    /// Reading from memory, in 10⁹ bytes per second.
    pub read_gbs: f64,
}

/// How long a run should be: long against starting threads, short against whatever else the machine does.
const RUN: Duration = Duration::from_millis(8);
/// How long one figure is sought.
const SEARCH: Duration = Duration::from_millis(100);
/// Bytes read by all threads together in one run, and by each thread at the least.
const READ_BYTES: usize = 256 << 20;
const READ_BYTES_EACH: usize = 32 << 20;

/// `rounds` rounds of a chain of operations, and how many operations these were.
type Chain = fn(rounds: u64) -> u64;

impl Peaks {
    /// Measures for about half a second on the `threads` threads of `on_all`. What the processor has counts, also
    /// where `GLASSFORMER_ISA` keeps the kernels from using it.
    pub fn measure(threads: usize, on_all: OnAll<'_>) -> Self {
        let rate = |chain: Chain| arithmetic(threads, on_all, chain);
        Self {
            f32_gflops: rate(f32_chain()),
            bf16_gflops: bf16_chain().map(rate),
            int8_gops: int8_chain().map(rate),
            read_gbs: reading(threads, on_all),
        }
    }
}

/// 10⁹ operations per second of `chain` on all threads.
fn arithmetic(threads: usize, on_all: OnAll<'_>, chain: Chain) -> f64 {
    let run = |rounds: u64| {
        seconds(|| {
            on_all(&|_| {
                black_box(chain(rounds));
            });
        })
    };
    let mut rounds = 1 << 12;
    while run(rounds) < RUN.as_secs_f64() {
        rounds *= 2;
    }
    let operations = (chain(1) * rounds) as f64 * threads as f64;
    operations / best(|| run(rounds)) / 1e9
}

/// 10⁹ bytes per second that all threads read.
fn reading(threads: usize, on_all: OnAll<'_>) -> f64 {
    let bytes = (READ_BYTES / threads.max(1)).max(READ_BYTES_EACH);
    let parts: Vec<Mutex<Vec<f32>>> = (0..threads).map(|_| Mutex::default()).collect();
    let part = |i: usize| parts[i].lock().unwrap_or_else(PoisonError::into_inner);
    // Each thread writes what it will read, so that the memory is near it where that matters.
    on_all(&|i| part(i).resize(bytes / size_of::<f32>(), 1.0));
    let run = || {
        seconds(|| {
            on_all(&|i| {
                black_box(sum(&part(i)));
            });
        })
    };
    (bytes * threads) as f64 / best(run) / 1e9
}

fn seconds(work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_secs_f64()
}

/// The shortest of as many runs as fit the time, at least three.
fn best(run: impl Fn() -> f64) -> f64 {
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    let mut runs = 0;
    while runs < 3 || begin.elapsed() < SEARCH {
        best = best.min(run());
        runs += 1;
    }
    best
}

multiversion! {
    /// Σ x in 128 partial sums: eight AVX-512 registers, more than the latency of an addition needs.
    fn sum(x: &[f32]) -> f32 {
        let mut lanes = [0.0f32; 128];
        for part in x.chunks_exact(128) {
            for (lane, &value) in lanes.iter_mut().zip(part) {
                *lane += value;
            }
        }
        lanes.iter().sum()
    }
}

/// The widest multiply-add there is.
fn f32_chain() -> Chain {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature was just detected.
            return |rounds| unsafe { x86::f32_avx512(rounds) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: both features were just detected.
            return |rounds| unsafe { x86::f32_avx2(rounds) };
        }
    }
    f32_portable
}

/// `vdpbf16ps`, where the processor has it.
fn bf16_chain() -> Option<Chain> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16") {
        // SAFETY: both features were just detected.
        return Some(|rounds| unsafe { x86::bf16_avx512(rounds) });
    }
    None
}

/// `vpdpbusd`, where the processor has it.
fn int8_chain() -> Option<Chain> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
        // SAFETY: both features were just detected.
        return Some(|rounds| unsafe { x86::int8_avx512(rounds) });
    }
    None
}

/// Plain arrays, for processors without the instructions below: what the compiler makes of them.
fn f32_portable(rounds: u64) -> u64 {
    const LANES: usize = 32;
    let (x, y) = black_box((0.999f32, 0.001f32));
    let mut a = [0.5f32; LANES];
    for _ in 0..rounds {
        for a in &mut a {
            *a = *a * x + y;
        }
    }
    black_box(a);
    rounds * LANES as u64 * 2
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, __m512i, _mm256_fmadd_ps, _mm256_set1_ps, _mm512_cvtne2ps_pbh,
        _mm512_dpbf16_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_set1_epi8,
        _mm512_set1_epi32, _mm512_set1_ps,
    };
    use std::hint::black_box;

    /// Of the 32 registers: twice what two instructions per cycle with a latency of four need.
    const CHAINS: usize = 16;
    /// Of the 16 registers of AVX2, less the two factors.
    const AVX2_CHAINS: usize = 12;

    #[target_feature(enable = "avx512f")]
    pub(super) fn f32_avx512(rounds: u64) -> u64 {
        let (x, y) = black_box((0.999, 0.001));
        let (x, y) = (_mm512_set1_ps(x), _mm512_set1_ps(y));
        let mut a: [__m512; CHAINS] = [_mm512_set1_ps(0.5); CHAINS];
        for _ in 0..rounds {
            for a in &mut a {
                *a = _mm512_fmadd_ps(*a, x, y);
            }
        }
        black_box(a);
        rounds * CHAINS as u64 * 16 * 2
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn f32_avx2(rounds: u64) -> u64 {
        let (x, y) = black_box((0.999, 0.001));
        let (x, y) = (_mm256_set1_ps(x), _mm256_set1_ps(y));
        let mut a: [__m256; AVX2_CHAINS] = [_mm256_set1_ps(0.5); AVX2_CHAINS];
        for _ in 0..rounds {
            for a in &mut a {
                *a = _mm256_fmadd_ps(*a, x, y);
            }
        }
        black_box(a);
        rounds * AVX2_CHAINS as u64 * 8 * 2
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) fn bf16_avx512(rounds: u64) -> u64 {
        let (x, y) = black_box((1.0, 1e-6));
        let (x, y) = (_mm512_set1_ps(x), _mm512_set1_ps(y));
        let (x, y) = (_mm512_cvtne2ps_pbh(x, x), _mm512_cvtne2ps_pbh(y, y));
        let mut a: [__m512; CHAINS] = [_mm512_set1_ps(0.5); CHAINS];
        for _ in 0..rounds {
            for a in &mut a {
                *a = _mm512_dpbf16_ps(*a, x, y);
            }
        }
        black_box(a);
        rounds * CHAINS as u64 * 16 * 4
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn int8_avx512(rounds: u64) -> u64 {
        let (x, y) = black_box((3, 1));
        let (x, y) = (_mm512_set1_epi8(x), _mm512_set1_epi8(y));
        let mut a: [__m512i; CHAINS] = [_mm512_set1_epi32(0); CHAINS];
        for _ in 0..rounds {
            for a in &mut a {
                *a = _mm512_dpbusd_epi32(*a, x, y);
            }
        }
        black_box(a);
        rounds * CHAINS as u64 * 16 * 8
    }
}

#[cfg(test)]
mod tests {
    use super::{Peaks, bf16_chain, int8_chain, sum};

    fn scoped(threads: usize) -> impl Fn(&(dyn Fn(usize) + Sync)) {
        move |work| {
            std::thread::scope(|scope| {
                for i in 0..threads {
                    scope.spawn(move || work(i));
                }
            });
        }
    }

    #[test]
    fn every_figure_is_a_rate() {
        let peaks = Peaks::measure(2, &scoped(2));
        let figures = [
            Some(peaks.f32_gflops),
            peaks.bf16_gflops,
            peaks.int8_gops,
            Some(peaks.read_gbs),
        ];
        for figure in figures.into_iter().flatten() {
            assert!(figure.is_finite() && figure > 0.0, "{peaks:?}");
        }
        assert_eq!(peaks.bf16_gflops.is_some(), bf16_chain().is_some());
        assert_eq!(peaks.int8_gops.is_some(), int8_chain().is_some());
    }

    #[test]
    fn all_of_the_array_is_read() {
        assert_eq!(sum(&[1.0; 1280]), 1280.0);
    }
}
