//! GELU and ReLU, from −∞ to ∞.

use glassformer_kernels::activation::{gelu, gelu_backward, relu, relu_backward};
use proptest::prelude::*;

use crate::support::{assert_close, cases, slope};

/// ½x(1 + tanh(√(2/π)(x + 0.044715x³))), literally.
fn naive_gelu(x: f64) -> f64 {
    let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
    0.5 * x * (1.0 + u.tanh())
}

fn map(f: impl Fn(&mut [f32], &[f32]), x: &[f32]) -> Vec<f32> {
    let mut y = vec![f32::NAN; x.len()];
    f(&mut y, x);
    y
}

/// f′(x)·dy with dy = 1.
fn slopes(f: impl Fn(&mut [f32], &[f32], &[f32]), x: &[f32]) -> Vec<f32> {
    let mut dx = vec![f32::NAN; x.len()];
    f(&mut dx, x, &vec![1.0; x.len()]);
    dx
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn gelu_agrees_with_f64(x in prop::collection::vec(-12.0f32..12.0, 0..70), dy in -3.0f32..3.0) {
        let expected: Vec<f64> = x.iter().map(|&x| naive_gelu(f64::from(x))).collect();
        assert_close("gelu", &map(gelu, &x), &expected, 1e-6);
        let expected: Vec<f64> = x
            .iter()
            .map(|&x| f64::from(dy) * slope(&mut [f64::from(x)], 0, |x| naive_gelu(x[0])))
            .collect();
        let mut dx = vec![f32::NAN; x.len()];
        gelu_backward(&mut dx, &x, &vec![dy; x.len()]);
        assert_close("gelu′", &dx, &expected, 2e-6);
    }

    #[test]
    fn relu_cuts_at_zero(x in prop::collection::vec(-2.0f32..2.0, 0..70), dy in -3.0f32..3.0) {
        let expected: Vec<f32> = x.iter().map(|&x| x.max(0.0)).collect();
        prop_assert_eq!(map(relu, &x), expected);
        let mut dx = vec![f32::NAN; x.len()];
        relu_backward(&mut dx, &x, &vec![dy; x.len()]);
        let expected: Vec<f32> = x.iter().map(|&x| if x > 0.0 { dy } else { 0.0 }).collect();
        prop_assert_eq!(dx, expected);
    }
}

#[test]
fn far_out_and_at_zero() {
    let x = [
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
    let positive: Vec<f64> = x.iter().map(|&x| f64::from(x).max(0.0)).collect();
    assert_close("gelu", &map(gelu, &x), &positive, 1e-6);
    assert_close("relu", &map(relu, &x), &positive, 0.0);
    let step = |at_zero: f64| -> Vec<f64> {
        x.iter()
            .map(|&x| {
                if x.abs() < 1e-3 {
                    at_zero
                } else {
                    f64::from(u8::from(x > 0.0))
                }
            })
            .collect()
    };
    assert_close("gelu′", &slopes(gelu_backward, &x), &step(0.5), 1e-6);
    let tiny_counts: Vec<f64> = x.iter().map(|&x| f64::from(u8::from(x > 0.0))).collect();
    assert_close("relu′", &slopes(relu_backward, &x), &tiny_counts, 0.0);
}

#[test]
fn no_number_stays_no_number() {
    // In each place of a vector register and in the rest behind the last one.
    for at in 0..19 {
        let mut x = [0.5; 19];
        x[at] = f32::NAN;
        for y in [map(gelu, &x), map(relu, &x), slopes(gelu_backward, &x)] {
            for (i, y) in y.iter().enumerate() {
                assert_eq!(y.is_nan(), i == at, "element {i} of {y}");
            }
        }
    }
}
