//! The loss of a row of logits and its gradient.

use glassformer_kernels::cross_entropy::{
    largest_of_blocks, log_sum_above, loss, loss_and_gradient, scale, smoothed_loss_and_gradient,
};
use proptest::prelude::*;

use crate::support::{assert_close, cases, normals};

fn naive(x: &[f32], target: usize) -> f64 {
    let max = f64::from(x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = x.iter().map(|&x| (f64::from(x) - max).exp()).sum();
    max + sum.ln() - f64::from(x[target])
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn agrees_with_f64(vocab in 1usize..120, spread in 0.0f32..30.0, weight in 0.001f32..1.0, pick: usize, seed: u64) {
        let row: Vec<f32> = normals(seed, 1, vocab).iter().map(|x| x * spread).collect();
        let target = pick % vocab;
        let expected = naive(&row, target);
        assert_close("loss", &[loss(&row, target)], &[expected], 2e-6 * (1.0 + f64::from(spread)));
        let mut gradient = row.clone();
        let same = loss_and_gradient(&mut gradient, target, weight);
        assert_close("loss", &[same], &[expected], 2e-6 * (1.0 + f64::from(spread)));
        let expected: Vec<f64> = (0..vocab)
            .map(|v| f64::from(weight) * ((-naive(&row, v)).exp() - f64::from(u8::from(v == target))))
            .collect();
        assert_close("gradient", &gradient, &expected, 2e-6);
        prop_assert!(gradient.iter().sum::<f32>().abs() < 1e-5, "moving all logits changes nothing");
    }

    #[test]
    fn log_sums_and_blocks_agree_with_f64(vocab in 1usize..300, block in 1usize..70, spread in 0.0f32..30.0, seed: u64) {
        let row: Vec<f32> = normals(seed, 1, vocab).iter().map(|x| x * spread).collect();
        let mut largest = vec![0.0; vocab.div_ceil(block)];
        largest_of_blocks(&row, block, &mut largest);
        let expected: Vec<f32> = row.chunks(block).map(|x| x.iter().copied().fold(f32::MIN, f32::max)).collect();
        prop_assert_eq!(&largest, &expected);
        let max = expected.iter().copied().fold(f32::MIN, f32::max);
        // log Σ exp(x) is −ln p + x of any of them.
        let above = naive(&row, 0) + f64::from(row[0]) - f64::from(max);
        assert_close("log sum", &[log_sum_above(&row, max)], &[above], 2e-6);
    }

    #[test]
    fn smoothed_agrees_with_f64(vocab in 1usize..120, spread in 0.0f32..30.0, smoothing in 0.01f32..0.9, pick: usize, seed: u64) {
        let row: Vec<f32> = normals(seed, 1, vocab).iter().map(|x| x * spread).collect();
        let (target, share) = (pick % vocab, f64::from(smoothing));
        let losses: Vec<f64> = (0..vocab).map(|v| naive(&row, v)).collect();
        let mean = losses.iter().sum::<f64>() / vocab as f64;
        let expected = (1.0 - share) * losses[target] + share * mean;
        let mut gradient = row.clone();
        let actual = smoothed_loss_and_gradient(&mut gradient, target, smoothing, 0.5);
        assert_close("loss", &[actual], &[expected], 4e-6 * (1.0 + f64::from(spread)));
        let q = |v: usize| share / vocab as f64 + if v == target { 1.0 - share } else { 0.0 };
        let expected: Vec<f64> = (0..vocab).map(|v| 0.5 * ((-losses[v]).exp() - q(v))).collect();
        assert_close("gradient", &gradient, &expected, 2e-6);
    }

    #[test]
    fn scales(n in 0usize..70, factor in -3.0f32..3.0, seed: u64) {
        let x = normals(seed, 1, n);
        let mut y = x.clone();
        scale(&mut y, factor);
        prop_assert_eq!(y, x.iter().map(|x| x * factor).collect::<Vec<_>>());
    }
}

#[test]
fn far_apart_logits() {
    let row = [-1e30, 1e4, -1e4, f32::NEG_INFINITY];
    assert_eq!(loss(&row, 1), 0.0);
    assert_eq!(loss(&row, 2), 2e4);
    let mut gradient = row;
    assert_eq!(loss_and_gradient(&mut gradient, 2, 0.5), 2e4);
    assert_eq!(gradient, [0.0, 0.5, -0.5, 0.0]);
}
