//! The non-linearity between the two products.
//!
//! y = f(x), element by element. Saved: nothing but x. Derivative: dx = f′(x)·dy. The equations of the functions
//! are in `glassformer_kernels::activation`.

use glassformer_kernels::activation;
pub use glassformer_kernels::activation::Activation;
use glassformer_tensor::{Tensor, ops::elementwise};

use crate::{Backward, Gradients, Layer, Run};

impl Layer<1> for Activation {
    type Saved = ();

    fn forward(&self, run: Run<'_>, [x]: [&Tensor; 1]) -> (Tensor, ()) {
        let mut y = run.like(x);
        let f = |y: &mut [f32], x: &[f32]| activation::forward(*self, y, x);
        elementwise::map(run.pool, y.data_mut(), x.data(), f);
        (y, ())
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, (), 1>,
        _gradients: &mut Gradients,
    ) -> [Tensor; 1] {
        let [x] = call.inputs;
        let mut dx = run.like(x);
        let f = |dx: &mut [f32], x: &[f32], dy: &[f32]| activation::backward(*self, dx, x, dy);
        elementwise::map2(run.pool, dx.data_mut(), x.data(), call.d_output.data(), f);
        [dx]
    }
}
