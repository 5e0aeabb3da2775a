//! A norm and the linear layer behind it, as one: the normed vectors go straight into the product's operand.
//!
//! y = norm(x)·W + b: x [N,D], y [N,O]. Saved: norm(x), rounded as the product read it, and what the norm needs.
//! Derivatives: those of the two layers, the gradient of norm(x) living only between them.

use glassformer_kernels::product::{Precision, finish, pack};
use glassformer_tensor::Tensor;

use crate::block::{Linear, Norm};
use crate::{Backward, Gradients, Layer, Run};

/// The two layers.
#[derive(Clone, Copy, Debug)]
pub struct NormLinear {
    /// First.
    pub norm: Norm,
    /// Second.
    pub linear: Linear,
    /// What y is kept in.
    pub kept: Precision,
}

impl Layer<1> for NormLinear {
    /// norm(x) [N,D]; what the norm saves.
    type Saved = (Tensor, Tensor);

    const ADDS: bool = true;

    fn forward(&self, run: Run<'_>, [x]: [&Tensor; 1]) -> (Tensor, Self::Saved) {
        let reads = self.linear.reads(run, x.rows());
        let (normed, stats) = self.norm.apply(run, x, reads);
        let y = match self.kept {
            Precision::F32 => self.linear.apply(run, &normed, None),
            Precision::Bf16 if !self.linear.has_operand(run) => {
                let y = self.linear.apply(run, &normed, None);
                let mut rounded = run.in_precision(Precision::Bf16, y.shape());
                pack::rows(run.pool, rounded.words_mut(), Precision::Bf16, y.as_rows());
                rounded
            }
            Precision::Bf16 => {
                let mut y = run.in_precision(Precision::Bf16, &[x.rows(), self.linear.d_out]);
                self.linear.with_operand(run, |w| {
                    let (a, bias) = (normed.as_rows().into(), self.linear.bias(run));
                    finish::round(run.pool, y.words_mut(), Precision::Bf16, a, w, bias);
                });
                y
            }
        };
        (y, (normed, stats))
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, Self::Saved, 1>,
        gradients: &mut Gradients,
    ) -> [Tensor; 1] {
        let (normed, stats) = call.saved;
        let dy = call.d_output;
        self.linear
            .add_gradients(run, normed.as_rows(), dy.as_rows(), gradients);
        let d_normed = self
            .linear
            .input_gradient(run, dy.as_rows(), Precision::F32);
        drop(dy);
        let [x] = call.inputs;
        let given = [&d_normed, x, stats];
        [self.norm.add_gradients(run, call.sum, given, gradients)]
    }
}
