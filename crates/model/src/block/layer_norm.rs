//! Layer normalisation with gain and bias (Ba, Kiros, Hinton 2016, eq. 4).
//!
//! y = (x − μ)/σ·w + b over the last axis: x, y [N,D], w, b [D]. Saved: μ and 1/σ of each row, two numbers
//! instead of D. Derivative: in `glassformer_kernels::layer_norm`.

use glassformer_kernels::product::Precision;
use glassformer_tensor::Tensor;
use glassformer_tensor::ops::norm;

use crate::{Gradients, ParamId, Run};

/// A norm's parameters; the gain lies before the bias in the arena.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm {
    /// w.
    pub gain: ParamId,
    /// b.
    pub bias: ParamId,
    /// ε under the root.
    pub eps: f32,
}

impl LayerNorm {
    /// y in `precision`, and the means and 1/σ [2,N].
    pub(crate) fn apply(&self, run: Run<'_>, x: &Tensor, precision: Precision) -> (Tensor, Tensor) {
        let mut y = run.in_precision(precision, x.shape());
        let mut stats = run.tensor(&[2, x.rows()]);
        let given = norm::Norm {
            gain: run.parameters.get(self.gain),
            bias: run.parameters.get(self.bias),
            eps: self.eps,
        };
        norm::forward(run.pool, &mut y, &mut stats, x, given);
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
        let d_parameters = gradients.pair_mut(run.pool, self.gain, self.bias);
        let gain = run.parameters.get(self.gain);
        norm::backward(
            run.pool,
            run.buffers,
            &mut dx,
            d_parameters,
            given,
            gain,
            adds,
        );
        dx
    }
}
