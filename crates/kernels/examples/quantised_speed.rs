//! Speed of the integer products on one thread, for each format:
//! `cargo run --release -p glassformer-kernels --example quantised_speed`.
//!
//! Billions of operations per second (a multiply-add is two) for 512 rows, with the quantisation of the activations
//! and without; and, for one row, the rate at which weights that no cache holds are read. The best of several runs.

use std::time::Instant;

use glassformer_kernels::matrix::MatMut;
use glassformer_kernels::quantised::activations::{self, Block};
use glassformer_kernels::quantised::blocks::Kind;
use glassformer_kernels::quantised::integer_instruction_set;
use glassformer_kernels::quantised::matmul::matmul;
use glassformer_kernels::quantised::packed::Packed;
use glassformer_kernels::random;

fn main() {
    println!("path: {}", integer_instruction_set());
    let peak = peak();
    println!("peak: {peak:.0} GOP/s");
    println!("memory: {:.1} GB/s", memory());
    println!(
        "kind   512×576×1536 GOP/s (% of peak)   with activations   one row GB/s   bits a weight"
    );
    for kind in Kind::ALL {
        let [product, all] = many_rows(kind);
        let (rate, bits) = one_row(kind);
        println!(
            "{:6} {product:18.0} ({:3.0} %) {all:23.0} {rate:15.1} {bits:12.2}",
            format!("{kind:?}"),
            100.0 * product / peak
        );
    }
}

/// The least number of seconds of a call.
fn best(runs: usize, mut call: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..runs {
        let start = Instant::now();
        call();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

/// Weights whose f16 numbers are small, whatever their place.
fn weights(kind: Kind, n: usize, k: usize) -> Packed {
    let bytes: Vec<u8> = (0..(n * k / kind.weights() * kind.bytes() / 8) as u64)
        .flat_map(|i| (random::bits(7, i) & 0x1f1f_1f1f_1f1f_1f1f).to_le_bytes())
        .collect();
    Packed::new(kind, &bytes, n, k)
}

fn many_rows(kind: Kind) -> [f64; 2] {
    let (m, n, k) = (512, 576, 1536);
    let weights = weights(kind, n, k);
    let x: Vec<f32> = (0..m * k).map(|i| (i % 401) as f32 - 200.0).collect();
    let mut blocks = vec![Block::ZERO; m * k / 32];
    activations::quantise(&mut blocks, &x);
    let mut y = vec![0.0; m * n];
    let operations = (2 * m * n * k) as f64 * 1e-9;
    let product = best(100, || {
        matmul(MatMut::new(&mut y, m, n), &blocks, &weights, 0..n);
    });
    let all = best(100, || {
        activations::quantise(&mut blocks, &x);
        matmul(MatMut::new(&mut y, m, n), &blocks, &weights, 0..n);
    });
    [product, all].map(|seconds| operations / seconds)
}

fn one_row(kind: Kind) -> (f64, f64) {
    let (n, k) = (49152, 2048);
    let weights = weights(kind, n, k);
    let mut blocks = vec![Block::ZERO; k / 32];
    activations::quantise(&mut blocks, &vec![1.0; k]);
    let mut y = vec![0.0; n];
    let seconds = best(10, || {
        matmul(MatMut::new(&mut y, 1, n), &blocks, &weights, 0..n);
    });
    let bytes = weights.size() as f64;
    (bytes * 1e-9 / seconds, 8.0 * bytes / (n * k) as f64)
}

/// What a loop that only reads reaches, in GB/s.
fn memory() -> f64 {
    let numbers = vec![1u64; 1 << 24];
    let seconds = best(10, || {
        std::hint::black_box(numbers.iter().fold(0u64, |sum, &x| sum.wrapping_add(x)));
    });
    size_of_val(&numbers[..]) as f64 * 1e-9 / seconds
}

/// What `vpdpbusd` alone reaches, in GOP/s.
#[cfg(target_arch = "x86_64")]
fn peak() -> f64 {
    use std::arch::x86_64::{_mm512_dpbusd_epi32, _mm512_reduce_add_epi32, _mm512_set1_epi32};

    #[target_feature(enable = "avx512f,avx512vnni")]
    fn products(times: usize) -> i32 {
        let mut sums: [_; 16] = std::array::from_fn(|i| _mm512_set1_epi32(i as i32));
        let (u, v) = (std::hint::black_box(sums[1]), std::hint::black_box(sums[2]));
        for _ in 0..times {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, u, v);
            }
        }
        sums.into_iter()
            .map(|sum| _mm512_reduce_add_epi32(sum))
            .sum()
    }

    if !(is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")) {
        return f64::NAN;
    }
    let times = 1_000_000;
    let seconds = best(10, || {
        // SAFETY: the features were detected.
        std::hint::black_box(unsafe { products(times) });
    });
    (times * 16 * 64 * 2) as f64 * 1e-9 / seconds
}

#[cfg(not(target_arch = "x86_64"))]
fn peak() -> f64 {
    f64::NAN
}
