//! Dropout (Srivastava et al. 2014), inverted: y = x∘mask, mask ∈ {0, 1/(1−p)}.
//!
//! Saved: nothing; the mask is made again from its key. Derivative: dx = dy∘mask.

use glassformer_kernels::dropout::Mask;
use glassformer_tensor::{Tensor, ops::elementwise};

use crate::{Backward, Gradients, Layer, Pass, Run, Value};

/// One application of one mask.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    mask: Mask,
}

impl Dropout {
    /// Drops elements of `x` in a training pass; elsewhere `x` is given back as it is.
    pub fn forward(pass: &mut Pass<'_>, x: Value) -> Value {
        match pass.mask() {
            Some(mask) => pass.apply(Self { mask }, [&x]),
            None => x,
        }
    }
}

impl Layer<1> for Dropout {
    type Saved = ();

    fn forward(&self, run: Run<'_>, [x]: [&Tensor; 1]) -> (Tensor, ()) {
        let mut y = run.like(x);
        elementwise::dropout(run.pool, y.data_mut(), x.data(), self.mask);
        (y, ())
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, (), 1>,
        _gradients: &mut Gradients,
    ) -> [Tensor; 1] {
        let mut dx = run.like(&call.d_output);
        elementwise::dropout(run.pool, dx.data_mut(), call.d_output.data(), self.mask);
        [dx]
    }
}
