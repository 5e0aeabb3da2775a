//! Root-mean-square normalisation and its gradient.

use glassformer_kernels::memory::words_mut;
use glassformer_kernels::product::Precision;
use glassformer_kernels::rms_norm::{backward, forward};
use proptest::prelude::*;

use crate::support::{assert_close, below, cases, normals, slope, to_f64};

const EPS: f32 = 1e-5;

/// y of all rows; x and w behind each other.
fn naive(all: &[f64], n: usize, d: usize) -> Vec<f64> {
    let (x, w) = all.split_at(n * d);
    let row = |x: &[f64]| -> Vec<f64> {
        let root = (x.iter().map(|x| x * x).sum::<f64>() / d as f64 + f64::from(EPS)).sqrt();
        x.iter().zip(w).map(|(x, w)| x / root * w).collect()
    };
    x.chunks_exact(d).flat_map(row).collect()
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn both_ways(n in 1usize..6, d in 1usize..300, scale in 0.01f32..50.0, seed: u64) {
        let x: Vec<f32> = normals(seed, 1, n * d).iter().map(|x| x * scale).collect();
        let (w, dy) = (normals(seed, 2, d), normals(seed, 3, n * d));
        let (mut y, mut inverse) = (vec![f32::NAN; n * d], vec![f32::NAN; n]);
        forward(words_mut(&mut y), Precision::F32, &mut inverse, &x, &w, EPS);
        let mut all = to_f64(&[x.clone(), w.clone()].concat());
        assert_close("y", &y, &naive(&all, n, d), 2e-6);

        let (mut dx, mut dw) = (vec![f32::NAN; n * d], vec![0.5; d]);
        backward(&mut dx, &mut dw, &dy, &x, &w, &inverse, false);
        let mut more = vec![1.0; n * d];
        backward(&mut more, &mut vec![0.0; d], &dy, &x, &w, &inverse, true);
        let onto: Vec<f64> = dx.iter().map(|x| f64::from(*x) + 1.0).collect();
        assert_close("dx onto 1", &more, &onto, 1e-5);
        let dw: Vec<f32> = dw.iter().map(|x| x - 0.5).collect();
        let actual = [dx, dw].concat();
        let loss = |all: &[f64]| naive(all, n, d).iter().zip(&dy).map(|(y, &c)| y * f64::from(c)).sum();
        for i in 0..8 {
            let i = below(seed, i, all.len());
            let expected = slope(&mut all, i, loss);
            // A row of small numbers makes a steep function.
            let steep = f64::from(inverse.iter().copied().fold(1.0, f32::max));
            assert_close("gradient", &actual[i..=i], &[expected], 2e-5 * steep * steep);
        }
    }
}
