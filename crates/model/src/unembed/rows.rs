//! Some rows of a value: those that somebody asks about.
//!
//! y[n] = x[row[n]]: x [M,D], y [N,D]. Saved: nothing but the rows, which are part of the call. Derivative:
//! dx[row[n]] += dy[n], 0 elsewhere.

use glassformer_kernels::rows;
use glassformer_tensor::{Ids, Tensor};

use crate::{Backward, Gradients, Layer, Run};

/// The rows to pick.
#[derive(Clone, Debug)]
pub struct PickRows(pub Ids);

impl Layer<1> for PickRows {
    type Saved = ();

    fn forward(&self, run: Run<'_>, [x]: [&Tensor; 1]) -> (Tensor, ()) {
        let mut y = run.tensor(&[self.0.len(), x.width()]);
        rows::gather(run.pool, y.data_mut(), x.data(), &self.0);
        (y, ())
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, (), 1>,
        _gradients: &mut Gradients,
    ) -> [Tensor; 1] {
        let [x] = call.inputs;
        let mut dx = Tensor::zeros(run.buffers, x.shape());
        rows::scatter_add(run.pool, dx.data_mut(), call.d_output.data(), &self.0);
        [dx]
    }
}
