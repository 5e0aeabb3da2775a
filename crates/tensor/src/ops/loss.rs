//! Cross-entropy over the rows of a chunk of logits.

use glassformer_kernels::cross_entropy;
use glassformer_kernels::product::{Precision, Rows, pack};

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

/// As [`losses`], of targets smoothed by `smoothing`; and `weight` times the gradient of each row's loss, rounded to
/// `precision`, into the rows of words of `gradients` while it is in the cache. `logits` are used up.
pub fn losses_and_gradients(
    pool: &Pool,
    losses: &mut [f32],
    logits: &mut [f32],
    (gradients, precision): (&mut [u32], Precision),
    targets: &[u32],
    [smoothing, weight]: [f32; 2],
) {
    let vocab = logits.len() / losses.len();
    let width = precision.words(vocab);
    let each = pool.rows_each(losses.len(), 8);
    let arrays = (
        (logits, each * vocab),
        (losses, each),
        (gradients, each * width),
    );
    pool.split(arrays, |i, (logits, losses, gradients)| {
        let rows = logits
            .chunks_exact_mut(vocab)
            .zip(gradients.chunks_exact_mut(width));
        for ((row, words), (loss, &target)) in rows.zip(losses.iter_mut().zip(&targets[i * each..]))
        {
            *loss = if target == IGNORED {
                row.fill(0.0);
                0.0
            } else {
                let target = target as usize;
                cross_entropy::smoothed_loss_and_gradient(row, target, smoothing, weight)
            };
            pack::rows(&Pool::single(), words, precision, Rows::f32(row, vocab));
        }
    });
}
