//! A multiple of a value: y = c·x. Saved: nothing. Derivative: dx = c·dy.

use glassformer_kernels::cross_entropy::scale;
use glassformer_tensor::{Tensor, ops::elementwise};

use crate::{Backward, Gradients, Layer, Run};

/// c.
#[derive(Clone, Copy, Debug)]
pub struct Scaled(pub f32);

impl Scaled {
    fn of(self, run: Run<'_>, x: &Tensor) -> Tensor {
        let mut y = run.like(x);
        elementwise::map(run.pool, y.data_mut(), x.data(), |y, x| {
            y.copy_from_slice(x);
            scale(y, self.0);
        });
        y
    }
}

impl Layer<1> for Scaled {
    type Saved = ();

    fn forward(&self, run: Run<'_>, [x]: [&Tensor; 1]) -> (Tensor, ()) {
        (self.of(run, x), ())
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, (), 1>,
        _gradients: &mut Gradients,
    ) -> [Tensor; 1] {
        [self.of(run, &call.d_output)]
    }
}
