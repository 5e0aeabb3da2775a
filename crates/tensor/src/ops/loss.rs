//! Cross-entropy over the rows of a chunk of logits.

use glassformer_kernels::cross_entropy;

use crate::Pool;

/// Losses (nats) of the rows of `logits [N,V]` into `losses [N]`.
pub fn losses(pool: &Pool, losses: &mut [f32], logits: &[f32], targets: &[u32]) {
    let vocab = logits.len() / losses.len();
    pool.rows(losses, 1, 8, |first, losses| {
        for (i, loss) in losses.iter_mut().enumerate() {
            let row = &logits[(first + i) * vocab..][..vocab];
            *loss = cross_entropy::loss(row, targets[first + i] as usize);
        }
    });
}

/// As [`losses`], and replaces `logits` by `weight` times the gradient of each row's loss.
pub fn losses_and_gradients(
    pool: &Pool,
    losses: &mut [f32],
    logits: &mut [f32],
    targets: &[u32],
    weight: f32,
) {
    let vocab = logits.len() / losses.len();
    pool.rows2((logits, vocab), (losses, 1), 8, |first, logits, losses| {
        for (i, (row, loss)) in logits.chunks_exact_mut(vocab).zip(losses).enumerate() {
            *loss = cross_entropy::loss_and_gradient(row, targets[first + i] as usize, weight);
        }
    });
}
