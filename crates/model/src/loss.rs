//! Next-token cross-entropy straight from the last vectors, in chunks of rows.
//!
//! loss = mean_n(log Σ_v exp(x_n·W_U[:,v]) − x_n·W_U[:,target_n]): x [N,D], targets [N]. With N = batch × time rows and
//! V words, N·V logits would be the largest array of all; only CHUNK·V of them exist at a time, and their gradient takes
//! their place. Derivatives: dlogits = (softmax − onehot)/N; dx = dlogits·W_Uᵀ; dW_U += xᵀ·dlogits.

use glassformer_kernels::matrix::MatRef;
use glassformer_tensor::{Tensor, ops::linear, ops::loss as rows};

use crate::block::{Linear, Storage};
use crate::{Gradients, Run};

/// Rows whose logits exist at one time.
const CHUNK: usize = 256;

/// Σ of the losses (nats) of all rows of `x [N,D]`.
pub fn sum(run: Run<'_>, unembed: &Linear, x: &Tensor, targets: &[u32]) -> f64 {
    assert_eq!(x.rows(), targets.len(), "one target per row");
    let mut total = 0.0;
    for (x, targets) in x
        .data()
        .chunks(CHUNK * unembed.d_in)
        .zip(targets.chunks(CHUNK))
    {
        let logits = logits(run, unembed, x, targets.len());
        let mut losses = [0.0; CHUNK];
        let losses = &mut losses[..targets.len()];
        rows::losses(run.pool, losses, logits.data(), targets);
        total += losses.iter().map(|&loss| f64::from(loss)).sum::<f64>();
    }
    total
}

/// As [`sum`]; also the gradient of the *mean* times `weight` with respect to `x`, and that of W_U added to `gradients`.
pub fn sum_and_gradient(
    run: Run<'_>,
    unembed: &Linear,
    x: &Tensor,
    targets: &[u32],
    weight: f32,
    gradients: &mut Gradients,
) -> (f64, Tensor) {
    assert_eq!(x.rows(), targets.len(), "one target per row");
    let Linear { d_in, d_out, .. } = *unembed;
    let w = unembed.matrix(run.parameters.get(unembed.weight));
    let weight = weight / targets.len() as f32;
    let mut dx = run.like(x);
    let mut total = 0.0;
    let chunks = x
        .data()
        .chunks(CHUNK * d_in)
        .zip(dx.data_mut().chunks_mut(CHUNK * d_in));
    for ((x, dx), targets) in chunks.zip(targets.chunks(CHUNK)) {
        let mut logits = logits(run, unembed, x, targets.len());
        let mut losses = [0.0; CHUNK];
        let losses = &mut losses[..targets.len()];
        rows::losses_and_gradients(run.pool, losses, logits.data_mut(), targets, weight);
        total += losses.iter().map(|&loss| f64::from(loss)).sum::<f64>();
        let x = MatRef::new(x, targets.len(), d_in);
        let d_logits = MatRef::new(logits.data(), targets.len(), d_out);
        linear::product(run.pool, dx, d_logits, w.t(), false);
        let dw = gradients.get_mut(unembed.weight);
        match unembed.storage {
            Storage::InOut => linear::product(run.pool, dw, x.t(), d_logits, true),
            Storage::OutIn => linear::product(run.pool, dw, d_logits.t(), x, true),
        }
    }
    (total, dx)
}

/// Logits of a chunk of rows, [n,V].
fn logits(run: Run<'_>, unembed: &Linear, x: &[f32], n: usize) -> Tensor {
    let mut logits = run.tensor(&[n, unembed.d_out]);
    let w = unembed.matrix(run.parameters.get(unembed.weight));
    linear::forward(run.pool, logits.data_mut(), x, w, None);
    logits
}
