//! The loss in chunks of rows is the loss of all rows.

use glassformer_model::block::{Linear, Storage};
use glassformer_model::{Gradients, Init, Layout, Run, loss};
use glassformer_tensor::{Buffers, Pool, Tensor};

use crate::layer_check::random_parameters;
use crate::support::{normals, random_ids};

/// More rows than a chunk holds.
const ROWS: usize = 601;
const D: usize = 7;
const VOCAB: usize = 13;

/// Mean loss, d x and d W by the equations, in f64. `w` is [D,V].
fn naive(x: &[f32], w: impl Fn(usize, usize) -> f64, targets: &[u32]) -> (f64, Vec<f64>, Vec<f64>) {
    let (mut total, mut dx, mut dw) = (0.0, vec![0.0; ROWS * D], vec![0.0; D * VOCAB]);
    for (n, &target) in targets.iter().enumerate() {
        let x = |i: usize| f64::from(x[n * D + i]);
        let logits: Vec<f64> = (0..VOCAB)
            .map(|v| (0..D).map(|i| x(i) * w(i, v)).sum())
            .collect();
        let log_sum = logits.iter().map(|x| x.exp()).sum::<f64>().ln();
        total += log_sum - logits[target as usize];
        for v in 0..VOCAB {
            let d = ((logits[v] - log_sum).exp() - f64::from(u8::from(v == target as usize)))
                / ROWS as f64;
            for i in 0..D {
                dx[n * D + i] += d * w(i, v);
                dw[i * VOCAB + v] += d * x(i);
            }
        }
    }
    (total / ROWS as f64, dx, dw)
}

#[test]
fn agrees_with_f64() {
    for (storage, threads) in [(Storage::InOut, 1), (Storage::OutIn, 2)] {
        let mut layout = Layout::default();
        let shape = if storage == Storage::InOut {
            [D, VOCAB]
        } else {
            [VOCAB, D]
        };
        let weight = layout.add("W", &shape, Init::Zeros);
        let unembed = Linear {
            weight,
            bias: None,
            d_in: D,
            d_out: VOCAB,
            storage,
        };
        let parameters = random_parameters(layout, 1);
        let (pool, buffers) = (Pool::new(threads), Buffers::new());
        let run = Run {
            keeps: true,
            ..Run::new(&parameters, &pool, &buffers)
        };
        let x = Tensor::from_slice(&buffers, &[ROWS, D], &normals(2, ROWS * D));
        let targets = random_ids(3, ROWS, VOCAB);
        let place = |i: usize, v: usize| {
            if storage == Storage::InOut {
                i * VOCAB + v
            } else {
                v * D + i
            }
        };
        let w = |i, v| f64::from(parameters.get(weight)[place(i, v)]);
        let (mean, expected_dx, expected_dw) = naive(x.data(), w, &targets);

        let only = loss::sum(run, &unembed, &x, &targets);
        let mut gradients = Gradients::zeros(parameters.layout());
        let part = 0.25;
        let (sum, dx) = loss::sum_and_gradient(run, &unembed, &x, &targets, part, &mut gradients);
        assert!((sum / ROWS as f64 - mean).abs() < 1e-6 && (only - sum).abs() < 1e-3);
        let part = f64::from(part);
        for (i, dx) in dx.data().iter().enumerate() {
            assert!(
                (f64::from(*dx) - part * expected_dx[i]).abs() < 1e-8,
                "dx[{i}]"
            );
        }
        for (i, v) in (0..D).flat_map(|i| (0..VOCAB).map(move |v| (i, v))) {
            let dw = f64::from(gradients.get(weight)[place(i, v)]);
            assert!(
                (dw - part * expected_dw[i * VOCAB + v]).abs() < 1e-7,
                "dW[{i},{v}]"
            );
        }
    }
}
