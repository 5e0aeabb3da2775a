//! Layer normalisation with gain and bias (Ba, Kiros, Hinton 2016, eq. 4).
//!
//! y = (x − μ)/σ·w + b over the last axis: x, y [N,D], w, b [D]. Saved: μ and 1/σ of each row, two numbers
//! instead of D. Derivative: in `glassformer_kernels::layer_norm`.

use glassformer_tensor::{Tensor, ops::norm};

use crate::{Backward, Gradients, Layer, ParamId, Run};

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

impl Layer for LayerNorm {
    /// Mean and 1/σ, [N,2], in the order in which the pool cut the rows.
    type Saved = Tensor;

    fn forward(&self, run: Run<'_>, inputs: &[&Tensor]) -> (Tensor, Tensor) {
        let &[x] = inputs else { panic!("one input") };
        let (mut y, mut stats) = (run.like(x), run.tensor(&[x.rows(), 2]));
        let (w, b) = (run.parameters.get(self.gain), run.parameters.get(self.bias));
        norm::forward(
            run.pool,
            y.data_mut(),
            stats.data_mut(),
            x.data(),
            w,
            b,
            self.eps,
        );
        (y, stats)
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: &Backward<'_, Tensor>,
        gradients: &mut Gradients,
    ) -> Vec<Tensor> {
        let x = call.inputs[0];
        let mut dx = run.like(x);
        let w = run.parameters.get(self.gain);
        let d_parameters = gradients.pair_mut(self.gain, self.bias);
        let dy = call.d_output.data();
        norm::backward(
            run.pool,
            dx.data_mut(),
            d_parameters,
            dy,
            x.data(),
            w,
            call.saved.data(),
        );
        vec![dx]
    }
}
