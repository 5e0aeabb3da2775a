//! Cross-entropy over the rows of a chunk of logits.

use glassformer_kernels::cross_entropy;

use crate::Pool;

/// A target that is not asked about: its row has loss and gradient 0.
pub const IGNORED: u32 = u32::MAX;

/// Losses (nats) of the rows of `logits [N,V]` into `losses [N]`.
pub fn losses(pool: &Pool, losses: &mut [f32], logits: &[f32], targets: &[u32]) {
    let vocab = logits.len() / losses.len();
    pool.rows(losses, 1, 8, |first, losses| {
        for (i, loss) in losses.iter_mut().enumerate() {
            let row = &logits[(first + i) * vocab..][..vocab];
            *loss = match targets[first + i] {
                IGNORED => 0.0,
                target => cross_entropy::loss(row, target as usize),
            };
        }
    });
}

/// As [`losses`], of targets smoothed by `smoothing`, and replaces `logits` by `weight` times the gradient of each row's loss.
pub fn losses_and_gradients(
    pool: &Pool,
    losses: &mut [f32],
    logits: &mut [f32],
    targets: &[u32],
    smoothing: f32,
    weight: f32,
) {
    let vocab = logits.len() / losses.len();
    pool.rows2((logits, vocab), (losses, 1), 8, |first, logits, losses| {
        for (i, (row, loss)) in logits.chunks_exact_mut(vocab).zip(losses).enumerate() {
            let target = targets[first + i];
            *loss = if target == IGNORED {
                row.fill(0.0);
                0.0
            } else {
                let target = target as usize;
                cross_entropy::smoothed_loss_and_gradient(row, target, smoothing, weight)
            };
        }
    });
}
