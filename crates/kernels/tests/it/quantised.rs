//! Products with GGUF's formats against the weights that the package `gguf` reads, multiplied in f64.

use glassformer_kernels::Pool;
use glassformer_kernels::matrix::MatMut;
use glassformer_kernels::quantised::activations::{self, Block};
use glassformer_kernels::quantised::blocks::{Kind, dequantise};
use glassformer_kernels::quantised::encode::quantise;
use glassformer_kernels::quantised::matmul::matmul;
use glassformer_kernels::quantised::packed::{PANEL, Packed};
use glassformer_kernels::random;
use proptest::prelude::*;

use crate::support::{below, cases, normals, to_f64, under_miri};

macro_rules! golden {
    ($($kind:ident)*) => {
        [$((Kind::$kind, include_bytes!(concat!("../golden/", stringify!($kind), ".bin")) as &[u8])),*]
    };
}

/// As `parity/quantised.py` writes them.
const GOLDEN: [(Kind, &[u8]); 10] = golden!(Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K);

fn numbers(bytes: &[u8]) -> Vec<f32> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty());
    numbers.iter().map(|&x| f32::from_le_bytes(x)).collect()
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

#[test]
fn blocks_mean_what_gguf_says() {
    for (kind, file) in GOLDEN {
        let (blocks, rest) = file.split_at(3 * kind.bytes());
        let (expected, rest) = rest.split_at(3 * kind.weights() * 4);
        let mut values = vec![0.0; 3 * kind.weights()];
        dequantise(kind, blocks, &mut values);
        assert!(
            same_bits(&values, &numbers(expected)),
            "{kind:?}: {values:?}"
        );
        if rest.is_empty() {
            continue;
        }
        let (source, expected) = rest.split_at(3 * kind.weights() * 4);
        let mut made = vec![0; 3 * kind.bytes()];
        quantise(kind, &numbers(source), &mut made);
        assert_eq!(made, expected, "{kind:?}");
    }
}

/// Random blocks, with f16 numbers between 2⁻⁸ and 2⁻⁶ of either sign.
fn random_blocks(kind: Kind, seed: u64, count: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..(count * kind.bytes()) as u64)
        .map(|i| random::bits(seed, i) as u8)
        .collect();
    for block in bytes.chunks_exact_mut(kind.bytes()) {
        for &at in kind.halves() {
            block[at + 1] = block[at + 1] & 0x87 | 0x1c;
        }
    }
    bytes
}

/// X·Wᵀ and Σ|x·w|, in f64.
fn reference(x: &[f64], w: &[f64], k: usize) -> Vec<(f64, f64)> {
    let products = |x: &[f64], w: &[f64]| {
        let terms = x.iter().zip(w).map(|(x, w)| x * w);
        (terms.clone().sum(), terms.map(f64::abs).sum())
    };
    x.chunks_exact(k)
        .flat_map(|x| w.chunks_exact(k).map(move |w| products(x, w)))
        .collect()
}

fn quantised(x: &[f32]) -> Vec<Block> {
    let mut blocks = vec![Block::ZERO; x.len() / 32];
    activations::quantise(&mut blocks, x);
    blocks
}

/// Σ(a−b)² / Σb².
fn nmse(actual: &[f32], expected: impl Iterator<Item = f64>) -> f64 {
    let (mut error, mut size) = (0.0, 0.0);
    for (&a, b) in actual.iter().zip(expected) {
        error += (f64::from(a) - b).powi(2);
        size += b * b;
    }
    error / size
}

/// The product of all outputs, with `pad` numbers behind each row that must stay.
fn product(x: &[Block], weights: &Packed, m: usize, pad: usize) -> Vec<f32> {
    let (n, stride) = (weights.outputs(), weights.outputs() + pad);
    let mut padded = vec![f32::NAN; m * stride];
    matmul(MatMut::strided(&mut padded, m, n, stride), x, weights, 0..n);
    assert!(
        padded
            .chunks_exact(stride)
            .all(|row| row[n..].iter().all(|x| x.is_nan()))
    );
    padded
        .chunks_exact(stride)
        .flat_map(|row| &row[..n])
        .copied()
        .collect()
}

/// Repacked by two threads.
fn packed(kind: Kind, bytes: &[u8], n: usize, k: usize) -> Packed {
    let row = k / kind.weights() * kind.bytes();
    Packed::new(&Pool::new(2), kind, [n, k], |r| &bytes[r * row..][..row])
}

/// Against f64: with the activations as they were quantised only f32's rounding may differ, with the original ones
/// the 8 bits show.
fn check(kind: Kind, x: &[f32], bytes: &[u8], (m, n, k): (usize, usize, usize)) -> Vec<f32> {
    let weights = packed(kind, bytes, n, k);
    assert_eq!((weights.outputs(), weights.inputs()), (n, k));
    let blocks = quantised(x);
    let y = product(&blocks, &weights, m, 3);
    let mut w = vec![0.0; n * k];
    dequantise(kind, bytes, &mut w);
    let w = to_f64(&w);
    let mut rounded = vec![0.0; x.len()];
    activations::dequantise(&blocks, &mut rounded);
    for (i, (&y, (expected, size))) in y
        .iter()
        .zip(reference(&to_f64(&rounded), &w, k))
        .enumerate()
    {
        assert!(
            (f64::from(y) - expected).abs() <= 1e-5 * size,
            "{kind:?} {m}×{k}·{k}×{n}, element {i}: {y}, expected {expected}"
        );
    }
    y
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn products_are_those_of_the_weights(
        kind in prop::sample::select(&Kind::ALL[..]),
        (m, n) in (1..under_miri(3, 24), 1..under_miri(20, 70)),
        blocks in 1..under_miri(2, 4),
        seed: u64,
    ) {
        let k = kind.weights() * blocks;
        let bytes = random_blocks(kind, seed, n * blocks);
        check(kind, &normals(seed, 1, m * k), &bytes, (m, n, k));
    }

    #[test]
    fn outputs_and_rows_can_be_split(
        kind in prop::sample::select(&Kind::ALL[..]),
        (m, n) in (1usize..9, 17usize..70),
        seed: u64,
    ) {
        let k = kind.weights();
        let weights = packed(kind, &random_blocks(kind, seed, n), n, k);
        let x = quantised(&normals(seed, 1, m * k));
        let whole = product(&x, &weights, m, 0);
        let cut = below(seed, 2, n / PANEL + 1) * PANEL;
        for outputs in [0..cut, cut..n] {
            for r in 0..m {
                let mut part = vec![f32::NAN; outputs.len()];
                let row = &x[r * k / 32..(r + 1) * k / 32];
                let dst = MatMut::new(&mut part, 1, outputs.len());
                matmul(dst, row, &weights, outputs.clone());
                let expected = &whole[r * n + outputs.start..r * n + outputs.end];
                prop_assert!(same_bits(&part, expected), "row {r}, {outputs:?}");
            }
        }
    }
}

#[test]
fn larger_than_a_chunk_and_a_group_of_rows() {
    for (i, kind) in Kind::ALL.into_iter().enumerate() {
        for (m, n, k) in [(1, 37, 1792), (3, 49, 1280), (127, 31, 768)] {
            let bytes = random_blocks(kind, i as u64, n * k / kind.weights());
            check(kind, &normals(i as u64, 1, m * k), &bytes, (m, n, k));
        }
    }
}

#[test]
fn eight_bits_of_activations_are_enough() {
    let (m, n, k) = (7, 33, 768);
    for (i, kind) in Kind::ALL.into_iter().enumerate() {
        let mut bytes = random_blocks(kind, i as u64, n * k / kind.weights());
        if [Kind::Q8_0, Kind::Q4_0, Kind::Q5_0].contains(&kind) {
            quantise(kind, &normals(i as u64, 2, n * k), &mut bytes);
        }
        let x = normals(i as u64, 1, m * k);
        let y = check(kind, &x, &bytes, (m, n, k));
        let mut w = vec![0.0; n * k];
        dequantise(kind, &bytes, &mut w);
        let expected = reference(&to_f64(&x), &to_f64(&w), k);
        let error = nmse(&y, expected.iter().map(|&(y, _)| y));
        assert!(error <= 5e-4, "{kind:?}: {error:e}");
    }
}

#[test]
fn extremes_neither_saturate_nor_overflow() {
    for kind in Kind::ALL {
        let (m, n, k) = (5, 19, 256);
        for fill in [0x00, 0xff, 0x80, 0x7f] {
            for half in [0x7bffu16, 0xfbff, 0x0001, 0x0000] {
                let mut bytes = vec![fill; n * k / kind.weights() * kind.bytes()];
                for block in bytes.chunks_exact_mut(kind.bytes()) {
                    for &at in kind.halves() {
                        block[at..at + 2].copy_from_slice(&half.to_le_bytes());
                    }
                }
                for x in [1e20f32, -1.0, 0.0, 1e-36] {
                    check(kind, &vec![x; m * k], &bytes, (m, n, k));
                }
            }
        }
    }
}

/// The tests run once for each instruction set (`isa.rs`), so that one number for all says that all have the same
/// bits.
#[test]
fn every_path_gives_the_same_bits() {
    let mut hash = 0;
    for (i, kind) in Kind::ALL.into_iter().enumerate() {
        let (n, k) = (45, 768);
        let bytes = random_blocks(kind, i as u64, n * k / kind.weights());
        let weights = packed(kind, &bytes, n, k);
        for m in [1, 13] {
            // Whole numbers, divided: no function of the platform's library takes part.
            let x: Vec<f32> = (0..(m * k) as u64)
                .map(|at| (random::bits(m as u64, at) % 2001) as f32 / 1000.0 - 1.0)
                .collect();
            for y in product(&quantised(&x), &weights, m, 0) {
                hash = random::bits(hash, u64::from(y.to_bits()));
            }
        }
    }
    assert_eq!(hash, 0x58da00a246b6ff22, "{hash:#018x}");
}

#[test]
fn activations_are_rounded_to_the_nearest_code() {
    let x = normals(3, 1, 32 * 50);
    let mut back = vec![0.0; x.len()];
    activations::dequantise(&quantised(&x), &mut back);
    for (x, back) in x.chunks_exact(32).zip(back.chunks_exact(32)) {
        let largest = x.iter().fold(0.0f32, |max, x| max.max(x.abs()));
        for (x, y) in x.iter().zip(back) {
            assert!(
                (x - y).abs() <= largest / 127.0 * 0.500_01,
                "{x} became {y}"
            );
        }
    }
    assert_eq!(quantised(&[0.0; 32]), [Block::ZERO]);
}

#[test]
fn what_is_not_finite_is_not_hidden() {
    for kind in Kind::ALL {
        let weights = packed(
            kind,
            &random_blocks(kind, 1, 3 * 256 / kind.weights()),
            3,
            256,
        );
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = normals(1, 1, 512);
            x[256 + 70] = bad;
            let y = product(&quantised(&x), &weights, 2, 0);
            assert!(y[..3].iter().all(|y| y.is_finite()) && y[3..].iter().all(|y| !y.is_finite()));
        }
    }
}

#[test]
fn nothing_is_multiplied_by_nothing() {
    let none = packed(Kind::Q8_0, &[], 2, 0);
    assert_eq!(product(&[], &none, 3, 1), [0.0; 6]);
    let none = packed(Kind::Q4_K, &[], 0, 256);
    assert!(product(&quantised(&[1.0; 256]), &none, 1, 1).is_empty());
}

#[test]
#[should_panic(expected = "48 weights are no whole blocks of Q4_0")]
fn whole_blocks_are_wanted() {
    packed(Kind::Q4_0, &[0; 54], 3, 48);
}

#[test]
#[should_panic(expected = "outputs 8..16 of 16")]
fn outputs_begin_with_a_panel() {
    let weights = packed(Kind::Q8_0, &[0; 16 * 34], 16, 32);
    matmul(
        MatMut::new(&mut [0.0; 8], 1, 8),
        &[Block::ZERO],
        &weights,
        8..16,
    );
}
