//! A norm and the linear layer behind it, as one: the normed vectors go straight into the product's operand.
//!
//! y = norm(x)·W + b: x [N,D], y [N,O]. Saved: norm(x), rounded as the product read it, and what the norm needs.
//! Derivatives: those of the two layers, the gradient of norm(x) living only between them.

use glassformer_kernels::product::Precision;
use glassformer_tensor::Tensor;

use crate::block::{Norm, RoundedLinear};
use crate::{Backward, Gradients, Layer, Run};

/// The two layers.
#[derive(Clone, Copy, Debug)]
pub struct NormLinear {
    /// First.
    pub norm: Norm,
    /// Second.
    pub second: RoundedLinear,
}

impl Layer<1> for NormLinear {
    /// norm(x) [N,D]; what the norm saves.
    type Saved = (Tensor, Tensor);

    const ADDS: bool = true;

    fn forward(&self, run: Run<'_>, [x]: [&Tensor; 1]) -> (Tensor, Self::Saved) {
        let reads = self.second.linear.reads(run, x.rows());
        let (normed, stats) = self.norm.apply(run, x, reads);
        let y = self.second.apply(run, &normed);
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
        let linear = self.second.linear;
        linear.add_gradients(run, normed.as_rows(), dy.as_rows(), gradients);
        let d_normed = linear.input_gradient(run, dy.as_rows(), Precision::F32);
        drop(dy);
        let [x] = call.inputs;
        let given = [&d_normed, x, stats];
        [self.norm.add_gradients(run, call.sum, given, gradients)]
    }
}
