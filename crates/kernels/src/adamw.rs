//! AdamW (Loshchilov & Hutter 2019, algorithm 2) over a flat slice, and the norm for gradient clipping.
//!
//! m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; θ ← θ − lr·λ·θ; θ ← θ − lr·(m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε).

use crate::arch::multiversion;
use crate::reduce::LANES;

/// The numbers of one step, the same for a whole group of parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate of this step.
    pub learning_rate: f32,
    /// β₁ and β₂.
    pub betas: (f32, f32),
    /// ε.
    pub eps: f32,
    /// λ, already 0 for groups without weight decay.
    pub weight_decay: f32,
    /// The step's number, counted from 1 (bias correction).
    pub step: u64,
    /// Each gradient is multiplied by this first (clipping, and the mean over accumulated batches).
    pub gradient_scale: f32,
}

multiversion! {
    /// One step in place on parameters `theta`, moments `m` and `v`, gradients `g`, all of one length.
    pub fn step(theta: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], options: AdamW) {
        assert!(theta.len() == g.len() && m.len() == g.len() && v.len() == g.len());
        let (beta1, beta2) = options.betas;
        let power = options.step as i32;
        let step_size = (f64::from(options.learning_rate) / (1.0 - f64::from(beta1).powi(power))) as f32;
        let correction2 = (1.0 / (1.0 - f64::from(beta2).powi(power)).sqrt()) as f32;
        let shrink = 1.0 - options.learning_rate * options.weight_decay;
        for (((theta, m), v), &g) in theta.iter_mut().zip(m).zip(v).zip(g) {
            let g = g * options.gradient_scale;
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * g * g;
            *theta = *theta * shrink - step_size * *m / (v.sqrt() * correction2 + options.eps);
        }
    }
}

multiversion! {
    /// Σ x², in f64 lanes: gradients span many orders of magnitude.
    pub fn sum_of_squares(x: &[f32]) -> f64 {
        let mut lanes = [0.0f64; LANES];
        let chunks = x.chunks_exact(LANES);
        let tail = chunks.remainder();
        for chunk in chunks {
            for (lane, &x) in lanes.iter_mut().zip(chunk) {
                *lane += f64::from(x) * f64::from(x);
            }
        }
        for (lane, &x) in lanes.iter_mut().zip(tail) {
            *lane += f64::from(x) * f64::from(x);
        }
        lanes.iter().sum()
    }
}
