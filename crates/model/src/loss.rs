//! Next-token cross-entropy straight from the last vectors, in chunks of rows.
//!
//! loss = mean_n(log Σ_v exp l_n[v] − l_n[target_n]), l_n = x_n·W_U (+ b): x [N,D], targets [N]. With N = batch × time rows and
//! V words, N·V logits would be the largest array of all; only a chunk's rows of them exist at a time, small enough to
//! stay in the last-level cache, and their gradient takes their place. Derivatives: dlogits = (softmax − onehot)/N;
//! dx = dlogits·W_Uᵀ; dW_U += xᵀ·dlogits and db += Σ_n dlogits_n, from the gradients of [`GROUP`] rows at a time,
//! rounded as operands.
//!
//! With label smoothing ε the target is not onehot but (1 − ε)·onehot + ε/V (Szegedy et al. 2016, §7), as PyTorch's
//! `CrossEntropyLoss(label_smoothing=ε)` has it. Rows whose target is [`IGNORED`] have loss 0 and do not count in N.

use glassformer_kernels::product::finish::{self, Onto};
use glassformer_kernels::product::{BLOCK_ROWS, Right};
use glassformer_tensor::Tensor;
use glassformer_tensor::ops::loss as rows;
pub use glassformer_tensor::ops::loss::IGNORED;
use glassformer_tensor::ops::product::Rounded;

use crate::block::{Linear, Operand};
use crate::{Gradients, Run};

/// Most logits that exist at one time: they fit the last-level cache.
const CHUNK: usize = 1 << 23;

/// Rows whose gradients are kept for one product with them.
const GROUP: usize = 1024;

/// Rows of a group and of a chunk, for a vocabulary: what memory the loss takes follows from them.
pub fn rows_at_a_time(vocab: usize) -> (usize, usize) {
    (GROUP, chunk_rows(vocab))
}

/// Rows of a chunk: whole blocks of a product, at most a group.
fn chunk_rows(vocab: usize) -> usize {
    (CHUNK / vocab / BLOCK_ROWS * BLOCK_ROWS).clamp(BLOCK_ROWS, GROUP)
}

/// Σ of the losses (nats) of all rows of `x [N,D]`.
pub fn sum(run: Run<'_>, unembed: &Linear, x: &Tensor, targets: &[u32]) -> f64 {
    let losses = each(run, unembed, x, targets);
    losses.data().iter().map(|&loss| f64::from(loss)).sum()
}

/// The loss (nats) of each row of `x [N,D]`: [N].
pub fn each(run: Run<'_>, unembed: &Linear, x: &Tensor, targets: &[u32]) -> Tensor {
    assert_eq!(x.rows(), targets.len(), "one target per row");
    let mut losses = run.tensor(&[targets.len()]);
    let each = chunk_rows(unembed.d_out);
    for (i, losses) in losses.data_mut().chunks_mut(each).enumerate() {
        let range = i * each..i * each + losses.len();
        let rows = x.as_rows().range(range.start, range.end);
        let mut logits = run.tensor(&[losses.len(), unembed.d_out]);
        unembed.apply_rows(run, rows, logits.data_mut(), Onto::Nothing);
        rows::losses(run.pool, losses, logits.data(), &targets[range]);
    }
    losses
}

/// What is learned from targets.
#[derive(Clone, Copy, Debug)]
pub struct Objective {
    /// By what the gradient of the mean loss is multiplied.
    pub weight: f32,
    /// ε of label smoothing, 0 for none.
    pub smoothing: f32,
}

/// Targets that are asked about.
pub fn asked(targets: &[u32]) -> usize {
    targets.iter().filter(|&&target| target != IGNORED).count()
}

/// As [`sum`]; also the gradient of the *mean* times `weight` with respect to `x`, and those of W_U and b added to `gradients`.
pub fn sum_and_gradient(
    run: Run<'_>,
    unembed: &Linear,
    x: &Tensor,
    targets: &[u32],
    weight: f32,
    gradients: &mut Gradients,
) -> (f64, Tensor) {
    let objective = Objective {
        weight,
        smoothing: 0.0,
    };
    learn(run, unembed, x, targets, objective, gradients)
}

/// As [`sum_and_gradient`], of an objective.
pub fn learn(
    run: Run<'_>,
    unembed: &Linear,
    x: &Tensor,
    targets: &[u32],
    objective: Objective,
    gradients: &mut Gradients,
) -> (f64, Tensor) {
    assert_eq!(x.rows(), targets.len(), "one target per row");
    let run = Run { keeps: true, ..run };
    let objective = Objective {
        weight: objective.weight / asked(targets).max(1) as f32,
        ..objective
    };
    let mut losses = run.tensor(&[targets.len()]);
    let mut dx = run.like(x);
    let back = unembed.backward_operand(run);
    let forward = unembed
        .has_operand(run, x.rows())
        .then(|| unembed.operand(run));
    let groups = dx.data_mut().chunks_mut(GROUP * unembed.d_in);
    for (i, (dx, losses)) in groups.zip(losses.data_mut().chunks_mut(GROUP)).enumerate() {
        let first = i * GROUP;
        let group = Group {
            run,
            unembed,
            forward: forward.as_ref().map(Operand::view),
            back: back.view(),
            x: &Rounded::There(x.as_rows().range(first, first + losses.len())),
            targets: &targets[first..first + losses.len()],
            objective,
        };
        group.gradient(losses, dx, gradients);
    }
    let total = losses.data().iter().map(|&loss| f64::from(loss)).sum();
    (total, dx)
}

/// Rows whose logits' gradients are kept together.
struct Group<'a> {
    run: Run<'a>,
    unembed: &'a Linear,
    /// W_U, unless it is in quantised blocks, or the rows are few and meet it in its file.
    forward: Option<Right<'a>>,
    /// W_Uᵀ.
    back: Right<'a>,
    x: &'a Rounded<'a>,
    targets: &'a [u32],
    /// Its weight that of one row.
    objective: Objective,
}

impl Group<'_> {
    /// Logits of rows `range` of `x`, [n,V].
    fn logits(&self, x: &Rounded<'_>, range: std::ops::Range<usize>) -> Tensor {
        let (run, unembed, onto) = (self.run, self.unembed, Onto::Nothing);
        let mut logits = run.tensor(&[range.len(), unembed.d_out]);
        if let Some(w) = self.forward {
            let a = x.view().range(range.start, range.end).into();
            finish::store(run.pool, logits.data_mut(), a, w, unembed.bias(run), onto);
        } else {
            let exact = self.x.view().range(range.start, range.end);
            unembed.apply_rows(run, exact, logits.data_mut(), onto);
        }
        logits
    }

    fn gradient(&self, losses: &mut [f32], dx: &mut [f32], gradients: &mut Gradients) {
        let Self { run, unembed, .. } = *self;
        let (n, vocab) = (losses.len(), unembed.d_out);
        let x = Rounded::new(run.pool, run.buffers, run.precision, self.x.view());
        let mut d_logits = run.in_precision(run.precision, &[n, vocab]);
        let width = d_logits.words().len() / n;
        let each = chunk_rows(vocab);
        let chunks = losses
            .chunks_mut(each)
            .zip(dx.chunks_mut(each * unembed.d_in));
        for (i, (losses, dx)) in chunks.enumerate() {
            let range = i * each..i * each + losses.len();
            let mut logits = self.logits(&x, range.clone());
            let targets = &self.targets[range.clone()];
            let Objective { weight, smoothing } = self.objective;
            let words = &mut d_logits.words_mut()[range.start * width..range.end * width];
            rows::losses_and_gradients(
                run.pool,
                losses,
                logits.data_mut(),
                (words, run.precision),
                targets,
                [smoothing, weight],
            );
            let a = d_logits.as_rows().range(range.start, range.end).into();
            finish::store(run.pool, dx, a, self.back, None, Onto::Nothing);
        }
        unembed.add_gradients(run, x.view(), d_logits.as_rows(), gradients);
    }
}
