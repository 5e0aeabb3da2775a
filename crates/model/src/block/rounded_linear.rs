//! A linear layer whose output is kept as products read their operands.
//!
//! y = x·W + b: x [N,I], y [N,O]. Saved: nothing but x. Derivatives: those of the linear layer.

use glassformer_kernels::product::{Precision, finish, pack};
use glassformer_tensor::Tensor;
use glassformer_tensor::ops::product::Rounded;

use crate::block::{Linear, Norm, NormLinear};
use crate::{Backward, Gradients, Layer, Pass, Run, Value};

/// The layer, and what y is kept in.
#[derive(Clone, Copy, Debug)]
pub struct RoundedLinear {
    /// The layer.
    pub linear: Linear,
    /// What y is kept in.
    pub kept: Precision,
}

impl RoundedLinear {
    /// Applied to `norm(x)`, or to x itself where no norm comes first. What an adapter adds to is not rounded.
    pub(crate) fn behind(self, pass: &mut Pass<'_>, norm: Option<Norm>, x: &Value) -> Value {
        if self.linear.is_adapted(pass.run()) {
            let normed = norm.map(|norm| pass.apply(norm, [x]));
            return self.linear.call(pass, normed.as_ref().unwrap_or(x));
        }
        match norm {
            Some(norm) => pass.apply(NormLinear { norm, second: self }, [x]),
            None => pass.apply(self, [x]),
        }
    }

    pub(crate) fn apply(&self, run: Run<'_>, x: &Tensor) -> Tensor {
        if self.kept == Precision::F32 {
            return self.linear.apply(run, x, None);
        }
        let mut y = run.in_precision(self.kept, &[x.rows(), self.linear.d_out]);
        if self.linear.has_operand(run, x.rows()) {
            let x = Rounded::new(run.pool, run.buffers, run.precision, x.as_rows());
            let (a, w) = (x.view().into(), self.linear.operand(run));
            let bias = self.linear.bias(run);
            finish::round(run.pool, y.words_mut(), self.kept, a, w.view(), bias);
        } else {
            let exact = self.linear.apply(run, x, None);
            pack::rows(run.pool, y.words_mut(), self.kept, exact.as_rows());
        }
        y
    }
}

impl Layer<1> for RoundedLinear {
    type Saved = ();

    fn forward(&self, run: Run<'_>, [x]: [&Tensor; 1]) -> (Tensor, ()) {
        (self.apply(run, x), ())
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, (), 1>,
        gradients: &mut Gradients,
    ) -> [Tensor; 1] {
        self.linear.backward(run, call, gradients)
    }
}
