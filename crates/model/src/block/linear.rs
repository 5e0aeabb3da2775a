//! The linear layer.
//!
//! y = x·W + b: x [N,I], W [I,O], b [O], y [N,O]. Saved: nothing but x.
//! Derivatives: dx = dy·Wᵀ; dW += xᵀ·dy; db += Σ_rows dy.

use glassformer_kernels::matrix::MatRef;
use glassformer_tensor::{Tensor, ops::linear};

use crate::{Backward, Gradients, Layer, ParamId, Run};

/// How a checkpoint stores W; the arithmetic reads either in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// [I,O], row-major.
    InOut,
    /// [O,I], row-major: PyTorch's `Linear`, and an embedding table used to unembed.
    OutIn,
}

/// A linear layer's parameters and sizes.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    /// W.
    pub weight: ParamId,
    /// b.
    pub bias: Option<ParamId>,
    /// I.
    pub d_in: usize,
    /// O.
    pub d_out: usize,
    /// The order of W in memory.
    pub storage: Storage,
}

impl Linear {
    /// W as a matrix [I,O].
    pub fn matrix<'a>(&self, weight: &'a [f32]) -> MatRef<'a> {
        match self.storage {
            Storage::InOut => MatRef::new(weight, self.d_in, self.d_out),
            Storage::OutIn => MatRef::new(weight, self.d_out, self.d_in).t(),
        }
    }
}

impl Layer for Linear {
    type Saved = ();

    fn forward(&self, run: Run<'_>, inputs: &[&Tensor]) -> (Tensor, ()) {
        let &[x] = inputs else { panic!("one input") };
        let mut y = run.tensor(&[x.rows(), self.d_out]);
        let bias = self.bias.map(|id| run.parameters.get(id));
        linear::forward(
            run.pool,
            y.data_mut(),
            x.data(),
            self.matrix(run.parameters.get(self.weight)),
            bias,
        );
        (y, ())
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: &Backward<'_, ()>,
        gradients: &mut Gradients,
    ) -> Vec<Tensor> {
        let (x, dy) = (call.inputs[0], call.d_output);
        let rows = x.rows();
        let x_ni = MatRef::new(x.data(), rows, self.d_in);
        let dy_no = MatRef::new(dy.data(), rows, self.d_out);
        let dw = gradients.get_mut(self.weight);
        match self.storage {
            Storage::InOut => linear::product(run.pool, dw, x_ni.t(), dy_no, true),
            Storage::OutIn => linear::product(run.pool, dw, dy_no.t(), x_ni, true),
        }
        if let Some(bias) = self.bias {
            linear::bias_gradient(run.pool, gradients.get_mut(bias), dy.data());
        }
        let mut dx = run.like(x);
        let w = self.matrix(run.parameters.get(self.weight));
        linear::product(run.pool, dx.data_mut(), dy_no, w.t(), false);
        vec![dx]
    }
}
