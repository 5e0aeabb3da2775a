//! The loss in chunks of rows is the loss of all rows.

use glassformer_model::block::{Linear, Storage};
use glassformer_model::loss::{IGNORED, Objective};
use glassformer_model::{Gradients, Init, Layout, Run, loss};
use glassformer_tensor::{Buffers, Pool, Tensor};

use crate::layer_check::random_parameters;
use crate::support::{normals, random_ids};

/// More rows than a chunk holds.
const ROWS: usize = 601;
const D: usize = 7;
const VOCAB: usize = 13;

/// Mean loss, d x and d W by the equations, in f64. `w` is [D,V].
fn naive(
    x: &[f32],
    w: impl Fn(usize, usize) -> f64,
    targets: &[u32],
    smoothing: f64,
) -> (f64, Vec<f64>, Vec<f64>) {
    let asked = targets.iter().filter(|&&target| target != IGNORED).count() as f64;
    let (mut total, mut dx, mut dw) = (0.0, vec![0.0; ROWS * D], vec![0.0; D * VOCAB]);
    for (n, &target) in targets.iter().enumerate() {
        if target == IGNORED {
            continue;
        }
        let q = |v: usize| {
            let own = f64::from(u8::from(v == target as usize));
            (1.0 - smoothing) * own + smoothing / VOCAB as f64
        };
        let x = |i: usize| f64::from(x[n * D + i]);
        let logits: Vec<f64> = (0..VOCAB)
            .map(|v| (0..D).map(|i| x(i) * w(i, v)).sum())
            .collect();
        let log_sum = logits.iter().map(|x| x.exp()).sum::<f64>().ln();
        for v in 0..VOCAB {
            total += q(v) * (log_sum - logits[v]);
            let d = ((logits[v] - log_sum).exp() - q(v)) / asked;
            for i in 0..D {
                dx[n * D + i] += d * w(i, v);
                dw[i * VOCAB + v] += d * x(i);
            }
        }
    }
    (total / asked, dx, dw)
}

#[test]
fn agrees_with_f64() {
    check(0.0, &random_ids(3, ROWS, VOCAB));
}

#[test]
fn smoothed_and_with_rows_left_out() {
    let mut targets = random_ids(3, ROWS, VOCAB);
    check(0.1, &targets);
    for target in targets.iter_mut().step_by(3) {
        *target = IGNORED;
    }
    check(0.0, &targets);
    check(0.3, &targets);
}

fn check(smoothing: f32, targets: &[u32]) {
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
        let place = |i: usize, v: usize| {
            if storage == Storage::InOut {
                i * VOCAB + v
            } else {
                v * D + i
            }
        };
        let w = |i, v| f64::from(parameters.get(weight)[place(i, v)]);
        let (mean, expected_dx, expected_dw) = naive(x.data(), w, targets, smoothing.into());
        let asked = loss::asked(targets) as f64;

        let mut gradients = Gradients::zeros(parameters.layout());
        let part = 0.25;
        let objective = Objective {
            weight: part,
            smoothing,
        };
        let (sum, dx) = loss::learn(run, &unembed, &x, targets, objective, &mut gradients);
        assert!((sum / asked - mean).abs() < 1e-6);
        if smoothing == 0.0 {
            let only = loss::sum(run, &unembed, &x, targets);
            assert!((only - sum).abs() < 1e-3);
        }
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
