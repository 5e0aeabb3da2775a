//! The activation functions and the gated MLP's product, from −∞ to ∞.

use glassformer_kernels::Pool;
use glassformer_kernels::activation::{Activation, backward, forward, gate, gate_backward};
use glassformer_kernels::memory::{words, words_mut};
use glassformer_kernels::product::{Precision, Rows, pack};
use proptest::prelude::*;

use crate::support::{assert_close, cases, normals, slope, to_f64};

/// ½·(1 + erf(x/√2)) by Simpson's rule over the density.
fn normal_cdf(x: f64) -> f64 {
    const STEPS: i32 = 256;
    let x = x.clamp(-9.0, 9.0);
    let width = x / f64::from(STEPS);
    let density = |t: f64| (-0.5 * t * t).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let inner: f64 = (1..STEPS)
        .map(|i| f64::from(2 + 2 * (i % 2)) * density(f64::from(i) * width))
        .sum();
    0.5 + (density(0.0) + inner + density(x)) * width / 3.0
}

/// The equations, literally.
pub(crate) fn naive(f: Activation, x: f64) -> f64 {
    match f {
        Activation::Gelu => x * normal_cdf(x),
        Activation::GeluTanh => {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + u.tanh())
        }
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Relu => x.max(0.0),
    }
}

fn values(f: Activation, x: &[f32]) -> Vec<f32> {
    let mut y = vec![f32::NAN; x.len()];
    forward(f, &mut y, x);
    y
}

/// f′(x)·dy.
fn slopes(f: Activation, x: &[f32], dy: f32) -> Vec<f32> {
    let mut dx = vec![f32::NAN; x.len()];
    backward(f, &mut dx, x, &vec![dy; x.len()]);
    dx
}

/// y [F] of one row [2F], and the gradient [2F] for `dy [F]`.
fn gated(f: Activation, x: &[f32], dy: &[f32]) -> [Vec<f32>; 2] {
    const F32: Precision = Precision::F32;
    let width = dy.len();
    let (mut y, mut dx) = (vec![f32::NAN; width], vec![f32::NAN; 2 * width]);
    gate(f, words_mut(&mut y), F32, words(x), F32, width);
    gate_backward(f, words_mut(&mut dx), words(x), F32, words(dy), F32, width);
    [y, dx]
}

/// The same with all numbers kept in pairs.
fn gated_in_pairs(f: Activation, x: &[f32], dy: &[f32]) -> [Vec<f32>; 2] {
    const BF16: Precision = Precision::Bf16;
    let (pool, width) = (Pool::single(), dy.len());
    let pairs = |x: &[f32]| {
        let mut words = vec![0; x.len() / 2];
        pack::rows(&pool, &mut words, BF16, Rows::f32(x, x.len()));
        words
    };
    let numbers = |words: &[u32]| {
        let mut x = vec![f32::NAN; 2 * words.len()];
        Rows::new(words, BF16, [1, x.len()], words.len()).read(0, &mut x);
        x
    };
    let (x, dy) = (pairs(x), pairs(dy));
    let (mut y, mut dx) = (vec![0; width / 2], vec![0; width]);
    gate(f, &mut y, BF16, &x, BF16, width);
    gate_backward(f, &mut dx, &x, BF16, &dy, BF16, width);
    [numbers(&y), numbers(&dx)]
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn they_agree_with_f64(x in prop::collection::vec(-12.0f32..12.0, 0..40), dy in -3.0f32..3.0) {
        for f in Activation::ALL {
            let expected: Vec<f64> = x.iter().map(|&x| naive(f, f64::from(x))).collect();
            assert_close(f.name(), &values(f, &x), &expected, 1e-6);
            // Differences across the corner of ReLU are no slope.
            let smooth: Vec<f32> = x.iter().copied().filter(|x| f != Activation::Relu || x.abs() > 1e-3).collect();
            let expected: Vec<f64> = smooth
                .iter()
                .map(|&x| f64::from(dy) * slope(&mut [f64::from(x)], 0, |x| naive(f, x[0])))
                .collect();
            assert_close(f.name(), &slopes(f, &smooth, dy), &expected, 3e-6);
        }
    }

    #[test]
    fn the_gate_and_its_gradient(width in 1usize..300, seed: u64) {
        let (x, dy) = (normals(seed, 1, 2 * width), normals(seed, 2, width));
        for f in Activation::ALL {
            let value = |x: &[f64], i: usize| naive(f, x[i]) * x[width + i];
            let mut dense = to_f64(&x);
            let expected: Vec<f64> = (0..width).map(|i| value(&dense, i)).collect();
            let [y, dx] = gated(f, &x, &dy);
            assert_close(f.name(), &y, &expected, 1e-6);
            for i in [0, width / 2, width - 1].into_iter().filter(|&i| f != Activation::Relu || x[i].abs() > 1e-3) {
                for at in [i, width + i] {
                    let expected = f64::from(dy[i]) * slope(&mut dense, at, |x| value(x, i));
                    assert_close("gradient", &dx[at..=at], &[expected], 3e-6);
                }
            }
            if width % 2 == 0 {
                for (pairs, whole) in gated_in_pairs(f, &x, &dy).iter().zip([y, dx]) {
                    assert_close("in pairs", pairs, &to_f64(&whole), 3e-2);
                }
            }
        }
    }
}

const FAR: [f32; 12] = [
    1e30,
    -1e30,
    f32::MAX,
    f32::MIN,
    1e4,
    -1e4,
    100.0,
    -100.0,
    0.0,
    -0.0,
    1e-40,
    -1e-40,
];

#[test]
fn far_out_and_at_zero() {
    let positive: Vec<f64> = FAR.iter().map(|&x| f64::from(x).max(0.0)).collect();
    for f in Activation::ALL {
        assert_close(f.name(), &values(f, &FAR), &positive, 1e-6);
        let at_zero = |x: f32| match f {
            Activation::Relu => f64::from(u8::from(x > 0.0)),
            _ if x.abs() < 1e-3 => 0.5,
            _ => f64::from(u8::from(x > 0.0)),
        };
        let expected: Vec<f64> = FAR.iter().map(|&x| at_zero(x)).collect();
        assert_close(f.name(), &slopes(f, &FAR, 1.0), &expected, 1e-6);
    }
}

#[test]
fn no_number_stays_no_number() {
    // In each place of a vector register and in the rest behind the last one.
    for at in 0..19 {
        let mut x = [0.5; 19];
        x[at] = f32::NAN;
        for f in Activation::ALL {
            for y in [values(f, &x), slopes(f, &x, 1.0)] {
                // ReLU's slope asks only whether its input is positive.
                if f != Activation::Relu {
                    let found: Vec<usize> = (0..19).filter(|&i| y[i].is_nan()).collect();
                    assert_eq!(found, [at], "{f:?}: {y:?}");
                }
            }
        }
        assert!(values(Activation::Relu, &x)[at].is_nan());
    }
}
