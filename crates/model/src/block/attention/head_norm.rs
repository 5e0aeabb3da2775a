//! A norm of each head's queries and keys (Henry et al. 2020; Qwen3).
//!
//! In qkv [N,(H+2K)·E] each head's q is divided by its root mean square and multiplied by w_q [E], each k likewise with
//! w_k; v passes. Saved: 1/√(mean(x²) + ε) of each head of each row. Derivative: that of `block::RmsNorm`, per head.

use glassformer_kernels::memory::words_mut;
use glassformer_kernels::product::Precision;
use glassformer_kernels::{rms_norm, rows};
use glassformer_tensor::Tensor;

use crate::block::attention::Heads;
use crate::{Backward, Gradients, Layer, ParamId, Run};

/// Rows whose gains' gradients are added up before they join the others: the same for any number of threads.
const ROWS: usize = 64;

/// The gains, w_q before w_k in the arena.
#[derive(Clone, Copy, Debug)]
pub struct HeadNorm {
    /// w_q.
    pub q_gain: ParamId,
    /// w_k.
    pub k_gain: ParamId,
    /// ε under the root.
    pub eps: f32,
    /// Which columns are q and k.
    pub heads: Heads,
}

impl HeadNorm {
    /// Columns of q, and of q and k.
    fn ends(&self) -> (usize, usize) {
        let q = self.heads.width();
        (q, q + self.heads.kv_width())
    }
}

impl Layer<1> for HeadNorm {
    /// [N,H+K].
    type Saved = Tensor;

    fn forward(&self, run: Run<'_>, [qkv]: [&Tensor; 1]) -> (Tensor, Tensor) {
        let (width, count) = (qkv.width(), self.heads.heads + self.heads.kv_heads);
        let (q_end, k_end) = self.ends();
        let gains = [self.q_gain, self.k_gain].map(|id| run.parameters.get(id));
        let mut y = run.like(qkv);
        let mut saved = run.tensor(&[qkv.rows(), count]);
        let arrays = (
            (y.data_mut(), width),
            (saved.data_mut(), count),
            (qkv.data(), width),
        );
        run.pool.split(arrays, |_, (y, saved, x)| {
            let (q_saved, k_saved) = saved.split_at_mut(self.heads.heads);
            let parts = [
                (0..q_end, q_saved, gains[0]),
                (q_end..k_end, k_saved, gains[1]),
            ];
            for (columns, saved, gain) in parts {
                let (y, x) = (words_mut(&mut y[columns.clone()]), &x[columns]);
                rms_norm::forward(y, Precision::F32, saved, x, gain, self.eps);
            }
            y[k_end..].copy_from_slice(&x[k_end..]);
        });
        (y, saved)
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, Tensor, 1>,
        gradients: &mut Gradients,
    ) -> [Tensor; 1] {
        let ([x], dy, saved) = (call.inputs, &call.d_output, call.saved);
        let (width, e, count) = (x.width(), self.heads.d_head, saved.width());
        let (q_end, k_end) = self.ends();
        let gains = [self.q_gain, self.k_gain].map(|id| run.parameters.get(id));
        let mut dx = run.like(x);
        let mut partial = Tensor::zeros(run.buffers, &[x.rows().div_ceil(ROWS), 2 * e]);
        let arrays = (
            (dx.data_mut(), ROWS * width),
            (partial.data_mut(), 2 * e),
            ((dy.data(), ROWS * width), (x.data(), ROWS * width)),
            (saved.data(), ROWS * count),
        );
        run.pool.split(arrays, |_, (dx, sums, (dy, x), saved)| {
            let (q_sums, k_sums) = sums.split_at_mut(e);
            let rows = dy.chunks_exact(width).zip(x.chunks_exact(width));
            let rows = rows.zip(saved.chunks_exact(count));
            for (dx, ((dy, x), saved)) in dx.chunks_exact_mut(width).zip(rows) {
                let (q_saved, k_saved) = saved.split_at(self.heads.heads);
                let q = 0..q_end;
                let (dx_q, dy_q, x_q) = (&mut dx[q.clone()], &dy[q.clone()], &x[q]);
                rms_norm::backward(dx_q, q_sums, dy_q, x_q, gains[0], q_saved, false);
                let k = q_end..k_end;
                let (dx_k, dy_k, x_k) = (&mut dx[k.clone()], &dy[k.clone()], &x[k]);
                rms_norm::backward(dx_k, k_sums, dy_k, x_k, gains[1], k_saved, false);
                dx[k_end..].copy_from_slice(&dy[k_end..]);
            }
        });
        if let Some([dw_q, dw_k]) = gradients.pair_mut(run.pool, self.q_gain, self.k_gain) {
            for sums in partial.data().chunks_exact(2 * e) {
                rows::add(dw_q, &sums[..e]);
                rows::add(dw_k, &sums[e..]);
            }
        }
        [dx]
    }
}
