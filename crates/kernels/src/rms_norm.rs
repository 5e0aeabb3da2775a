//! Root-mean-square normalisation (Zhang & Sennrich 2019, eq. 4), over the last axis of D elements:
//!
//! r = √(mean(x²) + ε), x̂ = x/r, y = x̂·w.
//!
//! Kept for the backward pass: 1/r per row. Derivative, with g = dy·w: dx = (g − x̂·mean(g·x̂))/r; dw = Σ_rows dy·x̂.

use crate::arch::multiversion;
use crate::product::Precision;
use crate::product::round::write;
use crate::reduce::sum_of;

multiversion! {
    /// `y [N,D]` in rows of `precision`, from `x [N,D]` and `w [D]`; saves `inverse [N]` (1/r).
    pub fn forward(y: &mut [u32], precision: Precision, inverse: &mut [f32], x: &[f32], w: &[f32], eps: f32) {
        const RUN: usize = 128;
        let d = w.len();
        let width = precision.words(d);
        assert!(y.len() == inverse.len() * width && x.len() == inverse.len() * d);
        let rows = x.chunks_exact(d).zip(y.chunks_exact_mut(width));
        for ((x, y), inverse) in rows.zip(inverse) {
            let scale = 1.0 / (sum_of([x], |[x]| x * x) / d as f32 + eps).sqrt();
            for first in (0..d).step_by(RUN) {
                let n = RUN.min(d - first);
                let (x, w) = (&x[first..first + n], &w[first..first + n]);
                let mut run = [0.0; RUN];
                for i in 0..n {
                    run[i] = x[i] * scale * w[i];
                }
                write::<BF16>(&mut y[precision.words(first)..precision.words(first + n)], precision, &run[..n]);
            }
            *inverse = scale;
        }
    }
}

multiversion! {
    /// `dx [N,D]` (overwritten, or added to when it `adds`) and `dw [D]` (added to) from `dy [N,D]` and what [`forward`] saved.
    pub fn backward(dx: &mut [f32], dw: &mut [f32], dy: &[f32], x: &[f32], w: &[f32], inverse: &[f32], adds: bool) {
        let d = w.len();
        assert!(dx.len() == x.len() && dy.len() == x.len() && dw.len() == d && x.len() == inverse.len() * d);
        for (n, dx) in dx.chunks_exact_mut(d).enumerate() {
            let (x, dy, scale) = (&x[n * d..][..d], &dy[n * d..][..d], inverse[n]);
            let mean_gx = sum_of([dy, w, x], |[dy, w, x]| dy * w * x) * scale / d as f32;
            if !adds {
                dx.fill(0.0);
            }
            for i in 0..d {
                let x_hat = x[i] * scale;
                dx[i] += (dy[i] * w[i] - x_hat * mean_gx) * scale;
                dw[i] += dy[i] * x_hat;
            }
        }
    }
}
