//! Root-mean-square normalisation with gain (Zhang & Sennrich 2019, eq. 4).
//!
//! y = x/√(mean(x²) + ε)·w over the last axis: x, y [N,D], w [D]. Saved: 1/√(…) of each row. Derivative: in
//! `glassformer_kernels::rms_norm`.

use glassformer_kernels::product::Precision;
use glassformer_tensor::Tensor;
use glassformer_tensor::ops::norm;

use crate::{Gradients, ParamId, Run};

/// A norm's parameter.
#[derive(Clone, Copy, Debug)]
pub struct RmsNorm {
    /// w.
    pub gain: ParamId,
    /// ε under the root.
    pub eps: f32,
}

impl RmsNorm {
    /// y in `precision`, and 1/√(…) [1,N].
    pub(crate) fn apply(&self, run: Run<'_>, x: &Tensor, precision: Precision) -> (Tensor, Tensor) {
        let mut y = run.in_precision(precision, x.shape());
        let mut stats = run.tensor(&[1, x.rows()]);
        let gain = run.parameters.get(self.gain);
        norm::rms_forward(run.pool, &mut y, &mut stats, x, gain, self.eps);
        (y, stats)
    }

    /// dx onto `sum` (or onto nothing), given `[dy, x, stats]`.
    pub(crate) fn add_gradients(
        &self,
        run: Run<'_>,
        sum: Option<Tensor>,
        given: [&Tensor; 3],
        gradients: &mut Gradients,
    ) -> Tensor {
        let adds = sum.is_some();
        let mut dx = sum.unwrap_or_else(|| run.like(given[1]));
        let gain = run.parameters.get(self.gain);
        let d_gain = gradients.get_mut(run.pool, self.gain);
        norm::rms_backward(run.pool, run.buffers, &mut dx, d_gain, given, gain, adds);
        dx
    }
}
