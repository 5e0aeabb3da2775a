//! The norms that a block may have, as one layer.
//!
//! Saved: what the norm's own file says. Derivative: there.

use glassformer_kernels::product::Precision;
use glassformer_tensor::Tensor;

use crate::block::{LayerNorm, RmsNorm};
use crate::{Backward, Gradients, Layer, ParamId, Run};

/// Which norm.
#[derive(Clone, Copy, Debug)]
pub enum Norm {
    /// Of mean and variance, with gain and bias.
    Layer(LayerNorm),
    /// Of the root mean square, with gain.
    Rms(RmsNorm),
}

impl Norm {
    /// The gain.
    pub fn gain(&self) -> ParamId {
        match self {
            Self::Layer(norm) => norm.gain,
            Self::Rms(norm) => norm.gain,
        }
    }

    /// The bias, if it has one.
    pub fn bias(&self) -> Option<ParamId> {
        match self {
            Self::Layer(norm) => Some(norm.bias),
            Self::Rms(_) => None,
        }
    }

    /// ε under the root.
    pub fn eps(&self) -> f32 {
        match self {
            Self::Layer(norm) => norm.eps,
            Self::Rms(norm) => norm.eps,
        }
    }

    /// y in `precision`, and what the backward pass needs.
    pub(crate) fn apply(&self, run: Run<'_>, x: &Tensor, precision: Precision) -> (Tensor, Tensor) {
        match self {
            Self::Layer(norm) => norm.apply(run, x, precision),
            Self::Rms(norm) => norm.apply(run, x, precision),
        }
    }

    /// dx onto `sum` (or onto nothing), given `[dy, x, saved]`.
    pub(crate) fn add_gradients(
        &self,
        run: Run<'_>,
        sum: Option<Tensor>,
        given: [&Tensor; 3],
        gradients: &mut Gradients,
    ) -> Tensor {
        match self {
            Self::Layer(norm) => norm.add_gradients(run, sum, given, gradients),
            Self::Rms(norm) => norm.add_gradients(run, sum, given, gradients),
        }
    }
}

impl Layer<1> for Norm {
    type Saved = Tensor;

    const ADDS: bool = true;

    fn forward(&self, run: Run<'_>, [x]: [&Tensor; 1]) -> (Tensor, Tensor) {
        self.apply(run, x, Precision::F32)
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, Tensor, 1>,
        gradients: &mut Gradients,
    ) -> [Tensor; 1] {
        let [x] = call.inputs;
        let given = [&call.d_output, x, call.saved];
        [self.add_gradients(run, call.sum, given, gradients)]
    }
}
