//! Quantisation to the formats that are written, against plain rounding in f64.

use glassformer_kernels::quantised::blocks::{Kind, dequantise, is_finite};
use glassformer_kernels::quantised::encode::{is_offered, quantise};
use proptest::prelude::*;

use crate::support::{below, cases, normals};

const WRITTEN: [Kind; 5] = [Kind::Q8_0, Kind::Q4_0, Kind::Q5_0, Kind::Q4_K, Kind::Q6_K];

fn there_and_back(kind: Kind, x: &[f32]) -> Vec<f32> {
    let mut bytes = vec![0xa5; x.len() / kind.weights() * kind.bytes()];
    quantise(kind, x, &mut bytes);
    let mut back = vec![0.0; x.len()];
    dequantise(kind, &bytes, &mut back);
    back
}

/// Σ(x − y)².
fn loss(x: &[f32], y: impl IntoIterator<Item = f64>) -> f64 {
    x.iter()
        .zip(y)
        .map(|(&x, y)| (f64::from(x) - y).powi(2))
        .sum()
}

/// Each number to the nearest of `codes + 1` steps over its sub-block's range, with a scale and minimum in 64 bits,
/// rounded to integers of `bits` bits of the block's largest; no search.
fn plainly(x: &[f32], sub: usize, codes: f64, largest: f64, has_min: bool) -> Vec<f64> {
    let mut values = Vec::new();
    for block in x.chunks_exact(256) {
        let lines: Vec<(f64, f64)> = block
            .chunks_exact(sub)
            .map(|x| {
                let low = x.iter().fold(0.0f64, |m, &x| m.min(x.into()));
                let high = x.iter().fold(0.0f64, |m, &x| m.max(x.into()));
                if has_min {
                    ((high - low) / codes, -low)
                } else {
                    (high.max(-low) / (codes / 2.0).floor(), 0.0)
                }
            })
            .collect();
        let d = lines.iter().fold(0.0f64, |m, line| m.max(line.0)) / largest;
        let m = lines.iter().fold(0.0f64, |m, line| m.max(line.1)) / largest;
        let integer = |x: f64, unit: f64| {
            if unit == 0.0 {
                0.0
            } else {
                (x / unit).round() * unit
            }
        };
        for (x, line) in block.chunks_exact(sub).zip(lines) {
            let (scale, min) = (integer(line.0, d), integer(line.1, m));
            values.extend(x.iter().map(|&x| {
                let lowest = if has_min { 0.0 } else { -(codes / 2.0).ceil() };
                let code = (f64::from(x) + min) / scale;
                let code = if code.is_finite() { code.round() } else { 0.0 };
                code.clamp(lowest, lowest + codes) * scale - min
            }));
        }
    }
    values
}

/// Trained weights are near normal; the search must gain what it gains there in ggml's quantiser (Q4_K 0.071 of the
/// weights' own size, Q6_K 0.0178).
#[test]
fn the_search_loses_less_than_plain_rounding() {
    let x: Vec<f32> = normals(5, 1, 256 * 200).iter().map(|x| x * 0.02).collect();
    let size = loss(&x, std::iter::repeat(0.0));
    for (kind, plain, gain, most) in [
        (Kind::Q4_K, plainly(&x, 32, 15.0, 63.0, true), 0.98, 0.0722),
        (
            Kind::Q6_K,
            plainly(&x, 16, 63.0, 127.0, false),
            0.98,
            0.0178,
        ),
    ] {
        let back = there_and_back(kind, &x);
        let found = loss(&x, back.iter().map(|&y| f64::from(y)));
        let plain = loss(&x, plain);
        let (found, plain) = ((found / size).sqrt(), (plain / size).sqrt());
        assert!(found < gain * plain, "{kind:?}: {found} against {plain}");
        assert!(found < most, "{kind:?}: {found}");
    }
}

proptest! {
    #![proptest_config(cases(100))]

    /// Whatever the scale, the offset and the odd outlier, no weight is further off than its block's range allows.
    #[test]
    fn each_weight_stays_near(seed: u64, exponent in -2i32..4, offset in -3.0f32..3.0) {
        let scale = 10f32.powi(exponent);
        let mut x: Vec<f32> = normals(seed, 1, 512)
            .iter()
            .map(|x| (x + offset) * scale)
            .collect();
        x[below(seed, 2, 512)] *= 20.0;
        for kind in WRITTEN {
            let back = there_and_back(kind, &x);
            // Half a step is allowed for the code, as much again for scale and minimum, and the missing top code of
            // the formats that are symmetric.
            let steps = match kind {
                Kind::Q8_0 => 127.0,
                Kind::Q6_K => 31.0,
                _ => 7.0,
            };
            for (x, back) in x.chunks_exact(kind.weights()).zip(back.chunks_exact(kind.weights())) {
                let largest = x.iter().fold(0.0f32, |max, x| max.max(x.abs()));
                for (x, y) in x.iter().zip(back) {
                    prop_assert!((x - y).abs() <= 1.02 * largest / steps, "{kind:?}: {x} became {y} of {largest}");
                }
            }
        }
    }
}

#[test]
fn zeros_stay_zero_and_constants_constant() {
    for kind in WRITTEN {
        assert_eq!(there_and_back(kind, &[0.0; 256]), [0.0; 256], "{kind:?}");
        for constant in [1.0f32, -0.25, 300.0] {
            for y in there_and_back(kind, &[constant; 256]) {
                let off = (y - constant).abs() / constant.abs();
                assert!(off < 2e-3, "{kind:?}: {constant} became {y}");
            }
        }
    }
}

#[test]
fn what_is_not_finite_is_not_hidden() {
    for kind in WRITTEN {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = normals(1, 1, 768);
            x[300] = bad;
            let mut bytes = vec![0; 768 / kind.weights() * kind.bytes()];
            quantise(kind, &x, &mut bytes);
            assert!(!is_finite(kind, &bytes));
            let mut back = vec![0.0; 768];
            dequantise(kind, &bytes, &mut back);
            assert!(back[300].is_nan(), "{kind:?}");
            assert!(
                back[..256]
                    .iter()
                    .chain(&back[512..])
                    .all(|y| y.is_finite())
            );
        }
        // Beyond what f16 scales can reach: infinite or as large as can be, never small.
        for y in there_and_back(kind, &[1e9; 256]) {
            assert!(y.is_nan() || y > 1e7, "{kind:?}: {y}");
        }
    }
}

#[test]
fn only_four_kinds_are_offered() {
    for kind in Kind::ALL {
        assert_eq!(is_offered(kind), WRITTEN.contains(&kind));
    }
}

#[test]
#[should_panic(expected = "40 numbers do not fill 34 bytes of Q8_0")]
fn whole_blocks_are_wanted() {
    quantise(Kind::Q8_0, &[0.0; 40], &mut [0; 34]);
}
