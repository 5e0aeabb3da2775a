//! Layer normalisation and its gradient.

use glassformer_kernels::layer_norm::{backward, forward};
use proptest::prelude::*;

use crate::support::{assert_close, below, cases, normals, slope, to_f64};

const EPS: f32 = 1e-5;

/// y, mean and 1/σ of one row.
fn naive(x: &[f64], w: &[f64], b: &[f64]) -> (Vec<f64>, f64, f64) {
    let d = x.len() as f64;
    let mean = x.iter().sum::<f64>() / d;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / d;
    let inverse = 1.0 / (variance + f64::from(EPS)).sqrt();
    let y = x
        .iter()
        .zip(w)
        .zip(b)
        .map(|((x, w), b)| (x - mean) * inverse * w + b)
        .collect();
    (y, mean, inverse)
}

/// Σ c·y over all rows, as a function of x, w and b behind each other.
fn loss(all: &[f64], n: usize, d: usize, c: &[f64]) -> f64 {
    let (x, rest) = all.split_at(n * d);
    let (w, b) = rest.split_at(d);
    let y = x.chunks_exact(d).flat_map(|x| naive(x, w, b).0);
    y.zip(c).map(|(y, c)| y * c).sum()
}

fn inputs(seed: u64, n: usize, d: usize, offset: f32) -> [Vec<f32>; 4] {
    let x = normals(seed, 1, n * d).iter().map(|x| x + offset).collect();
    [
        x,
        normals(seed, 2, d),
        normals(seed, 3, d),
        normals(seed, 4, n * d),
    ]
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn forward_agrees_with_f64(n in 0usize..7, d in 1usize..80, offset in -20.0f32..20.0, seed: u64) {
        let [x, w, b, _] = inputs(seed, n, d, offset);
        let (mut y, mut mean, mut inv_std) = (vec![f32::NAN; n * d], vec![f32::NAN; n], vec![f32::NAN; n]);
        forward(&mut y, &mut mean, &mut inv_std, &x, &w, &b, EPS);
        let [w, b] = [w, b].map(|x| to_f64(&x));
        for (r, x) in x.chunks_exact(d).enumerate() {
            let (expected, mu, inverse) = naive(&to_f64(x), &w, &b);
            // What rounding takes from x − μ, a small σ makes larger.
            let tolerance = 2e-6 * (1.0 + f64::from(offset.abs()) * inverse + inverse);
            assert_close("y", &y[r * d..][..d], &expected, tolerance);
            assert_close("mean", &mean[r..=r], &[mu], 2e-6);
            assert_close("1/σ", &inv_std[r..=r], &[inverse], tolerance);
        }
    }

    #[test]
    fn backward_is_the_derivative(n in 1usize..5, d in 2usize..50, seed: u64) {
        let [x, w, b, dy] = inputs(seed, n, d, 0.5);
        let (mut y, mut mean, mut inv_std) = (vec![0.0; n * d], vec![0.0; n], vec![0.0; n]);
        forward(&mut y, &mut mean, &mut inv_std, &x, &w, &b, EPS);
        // dx is overwritten, dw and db are added to.
        let (mut dx, mut dw, mut db) = (vec![f32::NAN; n * d], vec![0.5; d], vec![-0.5; d]);
        backward(&mut dx, &mut dw, &mut db, &dy, &x, &w, &mean, &inv_std, false);
        let dw: Vec<f32> = dw.iter().map(|x| x - 0.5).collect();
        let db: Vec<f32> = db.iter().map(|x| x + 0.5).collect();
        let actual = [dx, dw, db].concat();
        let mut all = to_f64(&[x, w, b].concat());
        let c = to_f64(&dy);
        for i in 0..12 {
            let i = below(seed, i, all.len());
            let expected = slope(&mut all, i, |all| loss(all, n, d, &c));
            // Two numbers that happen to be close make a steep row: the tolerance grows with 1/σ.
            let steep = f64::from(inv_std.iter().copied().fold(1.0, f32::max));
            assert_close("gradient", &actual[i..=i], &[expected], 2e-5 * steep * steep);
        }
    }
}

#[test]
fn a_row_without_spread_is_its_bias() {
    let (mut y, mut mean, mut inv_std) = ([f32::NAN; 33], [0.0], [0.0]);
    let b: Vec<f32> = (0..33).map(|i| i as f32).collect();
    forward(
        &mut y,
        &mut mean,
        &mut inv_std,
        &[4.0; 33],
        &[2.0; 33],
        &b,
        EPS,
    );
    assert_eq!(y.as_slice(), b);
    let (mut dx, mut dw, mut db) = ([f32::NAN; 33], [0.0; 33], [0.0; 33]);
    backward(
        &mut dx, &mut dw, &mut db, &[1.0; 33], &[4.0; 33], &[2.0; 33], &mean, &inv_std, false,
    );
    assert!(dx.iter().all(|x| x.abs() < 1e-3), "{dx:?}");
    assert_eq!((dw, db), ([0.0; 33], [1.0; 33]));
}
