//! AdamW against the textbook, several steps on.

use glassformer_kernels::adamw::{AdamW, step, sum_of_squares};
use proptest::prelude::*;

use crate::support::{assert_close, cases, normals, to_f64};

/// Algorithm 2 of the paper with decoupled decay, element by element.
struct Naive {
    theta: Vec<f64>,
    m: Vec<f64>,
    v: Vec<f64>,
}

impl Naive {
    fn step(&mut self, g: &[f32], options: &AdamW) {
        let (beta1, beta2) = (f64::from(options.betas.0), f64::from(options.betas.1));
        let rate = f64::from(options.learning_rate);
        let t = options.step as f64;
        for (i, &g) in g.iter().enumerate() {
            let g = f64::from(g) * f64::from(options.gradient_scale);
            self.m[i] = beta1 * self.m[i] + (1.0 - beta1) * g;
            self.v[i] = beta2 * self.v[i] + (1.0 - beta2) * g * g;
            let m_hat = self.m[i] / (1.0 - beta1.powf(t));
            let v_hat = self.v[i] / (1.0 - beta2.powf(t));
            self.theta[i] -= rate * f64::from(options.weight_decay) * self.theta[i];
            self.theta[i] -= rate * m_hat / (v_hat.sqrt() + f64::from(options.eps));
        }
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn agrees_with_f64(
        n in 0usize..70,
        rate in 1e-5f32..1e-1,
        decay in prop_oneof![Just(0.0f32), 0.0f32..0.5],
        gradient_scale in 0.01f32..1.0,
        size in prop_oneof![Just(1.0f32), Just(1e-4), Just(1e3)],
        first in 1u64..5_000,
        seed: u64,
    ) {
        let mut theta = normals(seed, 1, n);
        let (mut m, mut v) = (vec![0.0; n], vec![0.0; n]);
        let mut naive = Naive { theta: to_f64(&theta), m: vec![0.0; n], v: vec![0.0; n] };
        for i in 0..6 {
            let g: Vec<f32> = normals(seed, 2 + i, n).iter().map(|g| g * size).collect();
            let options = AdamW {
                learning_rate: rate,
                betas: (0.9, 0.95),
                eps: 1e-8,
                weight_decay: decay,
                step: first + i,
                gradient_scale,
            };
            step(&mut theta, &mut m, &mut v, &g, options);
            naive.step(&g, &options);
        }
        assert_close("θ", &theta, &naive.theta, 3e-6);
        // Moments lose digits where gradients of both signs cancel: they are exact relative to the gradients' size.
        let relative = |x: &[f64], unit: f32| x.iter().map(|x| x / f64::from(unit)).collect::<Vec<_>>();
        let of = |x: &[f32], unit: f32| x.iter().map(|x| x / unit).collect::<Vec<_>>();
        assert_close("m", &of(&m, size), &relative(&naive.m, size), 1e-6);
        assert_close("v", &of(&v, size * size), &relative(&naive.v, size * size), 1e-6);
    }

    #[test]
    fn squares_are_summed_in_f64(n in 0usize..200, seed: u64, exponent in -20i32..20) {
        let x: Vec<f32> = normals(seed, 1, n).iter().map(|x| x * 10f32.powi(exponent)).collect();
        let expected: f64 = x.iter().map(|&x| f64::from(x).powi(2)).sum();
        prop_assert!((sum_of_squares(&x) - expected).abs() <= 1e-12 * expected);
    }
}

#[test]
fn a_parameter_without_gradient_only_decays() {
    let (mut theta, mut m, mut v) = ([2.0; 17], [0.0; 17], [0.0; 17]);
    let options = AdamW {
        learning_rate: 0.1,
        betas: (0.9, 0.95),
        eps: 1e-8,
        weight_decay: 0.5,
        step: 1,
        gradient_scale: 1.0,
    };
    step(&mut theta, &mut m, &mut v, &[0.0; 17], options);
    assert_close("θ", &theta, &[1.9; 17], 1e-7);
    assert_eq!((m, v), ([0.0; 17], [0.0; 17]));
}
