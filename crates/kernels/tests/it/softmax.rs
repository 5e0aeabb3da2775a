//! softmax, with masked and with huge entries.

use glassformer_kernels::softmax::{softmax, softmax_again};
use proptest::prelude::*;

use crate::support::{assert_close, cases, normals, to_f64};

/// softmax(scale·x) and log Σ exp(scale·x).
fn naive(x: &[f32], scale: f32) -> (Vec<f64>, f64) {
    let scaled: Vec<f64> = x.iter().map(|&x| f64::from(x) * f64::from(scale)).collect();
    let max = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = scaled.iter().map(|x| (x - max).exp()).sum();
    (
        scaled.iter().map(|x| (x - max).exp() / sum).collect(),
        max + sum.ln(),
    )
}

fn entry() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => -20.0f32..20.0,
        1 => Just(f32::NEG_INFINITY),
        1 => -1e4f32..1e4,
        1 => prop_oneof![Just(3e38f32), Just(-3e38), Just(1e30), Just(0.0), Just(-0.0), Just(1e-40)],
    ]
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn agrees_with_f64(row in prop::collection::vec(entry(), 1..90), scale in 0.01f32..1.0) {
        prop_assume!(row.iter().any(|x| x.is_finite()));
        let (expected, log_sum) = naive(&row, scale);
        let mut actual = row.clone();
        let actual_log_sum = softmax(&mut actual, scale);
        // A huge x·scale has few digits left below the point, and x − max with them.
        let largest = row.iter().map(|x| (x * scale).abs()).filter(|x| x.is_finite() && *x < 1e5).fold(1.0, f32::max);
        let lost = f64::from(largest) * f64::from(f32::EPSILON);
        assert_close("pattern", &actual, &expected, 1e-6 + lost);
        assert_close("log sum", &[actual_log_sum], &[log_sum], 1e-6);
        for (x, y) in row.iter().zip(&actual) {
            prop_assert!(*x != f32::NEG_INFINITY || *y == 0.0, "a masked entry has exactly no weight");
            prop_assert!((0.0..=1.0).contains(y));
        }
        prop_assert!((actual.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn is_made_again_from_the_log_sum(n in 1usize..70, seed: u64, scale in 0.1f32..1.0) {
        let row = normals(seed, 0, n);
        let mut once = row.clone();
        let log_sum = softmax(&mut once, scale);
        let mut again = row;
        softmax_again(&mut again, scale, log_sum);
        assert_close("again", &again, &to_f64(&once), 1e-6);
    }
}

#[test]
fn nothing_but_masked_entries() {
    for n in [0, 1, 16, 37] {
        let mut row = vec![f32::NEG_INFINITY; n];
        assert_eq!(softmax(&mut row, 0.5), f32::NEG_INFINITY);
        assert!(row.iter().all(|&x| x == 0.0), "{row:?}");
    }
}

#[test]
fn one_entry_takes_all() {
    let mut row = [f32::NEG_INFINITY, -3e38, f32::NEG_INFINITY];
    assert_eq!(softmax(&mut row, 1.0), -3e38);
    assert_eq!(row, [0.0, 1.0, 0.0]);
}
