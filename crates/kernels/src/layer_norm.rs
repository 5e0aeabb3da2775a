//! Layer normalisation (Ba, Kiros, Hinton 2016, eq. 4), over the last axis of D elements:
//!
//! μ = mean(x), σ = √(mean((x−μ)²) + ε), x̂ = (x−μ)/σ, y = x̂·w + b.
//!
//! Kept for the backward pass: μ and 1/σ per row (2 numbers instead of D). Derivative, with g = dy·w:
//! dx = (g − mean(g) − x̂·mean(g·x̂))/σ; dw = Σ_rows dy·x̂; db = Σ_rows dy.

use crate::arch::multiversion;
use crate::product::Precision;
use crate::product::round::write;
use crate::reduce::sum_of;

multiversion! {
    /// `y [N,D]` from `x [N,D]`, `w [D]`, `b [D]`; saves `mean [N]` and `inv_std [N]` (1/σ).
    pub fn forward(y: &mut [f32], mean: &mut [f32], inv_std: &mut [f32], x: &[f32], w: &[f32], b: &[f32], eps: f32) {
        let d = w.len();
        assert!(x.len() == y.len() && b.len() == d && x.len() == mean.len() * d && inv_std.len() == mean.len());
        let rows = x.chunks_exact(d).zip(y.chunks_exact_mut(d));
        for (((x, y), mean), inv_std) in rows.zip(mean).zip(inv_std) {
            let mu = sum_of([x], |[x]| x) / d as f32;
            let variance = sum_of([x], |[x]| (x - mu) * (x - mu)) / d as f32;
            let inverse = 1.0 / (variance + eps).sqrt();
            for i in 0..d {
                y[i] = (x[i] - mu) * inverse * w[i] + b[i];
            }
            *mean = mu;
            *inv_std = inverse;
        }
    }
}

multiversion! {
    /// As [`forward`], with y rounded to `precision`, in adjacent rows of words.
    pub fn forward_rounded(
        y: &mut [u32], precision: Precision, mean: &mut [f32], inv_std: &mut [f32], x: &[f32], w: &[f32], b: &[f32], eps: f32,
    ) {
        const RUN: usize = 128;
        let d = w.len();
        let width = precision.words(d);
        assert!(y.len() == mean.len() * width && b.len() == d && x.len() == mean.len() * d && inv_std.len() == mean.len());
        let rows = x.chunks_exact(d).zip(y.chunks_exact_mut(width));
        for (((x, y), mean), inv_std) in rows.zip(mean).zip(inv_std) {
            let mu = sum_of([x], |[x]| x) / d as f32;
            let variance = sum_of([x], |[x]| (x - mu) * (x - mu)) / d as f32;
            let inverse = 1.0 / (variance + eps).sqrt();
            for first in (0..d).step_by(RUN) {
                let n = RUN.min(d - first);
                let (x, w, b) = (&x[first..first + n], &w[first..first + n], &b[first..first + n]);
                let mut run = [0.0; RUN];
                for i in 0..n {
                    run[i] = (x[i] - mu) * inverse * w[i] + b[i];
                }
                write::<BF16>(&mut y[precision.words(first)..precision.words(first + n)], precision, &run[..n]);
            }
            *mean = mu;
            *inv_std = inverse;
        }
    }
}

multiversion! {
    /// `dx [N,D]` (overwritten, or added to when it `adds`) and `dw, db [D]` (added to) from `dy [N,D]` and what [`forward`] saved.
    pub fn backward(
        dx: &mut [f32], dw: &mut [f32], db: &mut [f32],
        dy: &[f32], x: &[f32], w: &[f32], mean: &[f32], inv_std: &[f32], adds: bool,
    ) {
        let d = w.len();
        assert!(dx.len() == x.len() && dy.len() == x.len() && dw.len() == d && db.len() == d);
        assert!(x.len() == mean.len() * d && inv_std.len() == mean.len());
        for (n, dx) in dx.chunks_exact_mut(d).enumerate() {
            let (x, dy) = (&x[n * d..][..d], &dy[n * d..][..d]);
            let (mu, inverse) = (mean[n], inv_std[n]);
            let mean_g = sum_of([dy, w], |[dy, w]| dy * w) / d as f32;
            let mean_gx = sum_of([dy, w, x], |[dy, w, x]| dy * w * (x - mu)) * inverse / d as f32;
            if !adds {
                dx.fill(0.0);
            }
            for i in 0..d {
                let x_hat = (x[i] - mu) * inverse;
                dx[i] += (dy[i] * w[i] - mean_g - x_hat * mean_gx) * inverse;
                dw[i] += dy[i] * x_hat;
                db[i] += dy[i];
            }
        }
    }
}
