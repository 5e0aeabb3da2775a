//! The gated non-linearity (Shazeer 2020, "GLU variants improve Transformer").
//!
//! y = f(g)∘u: x [N,2F] holds g and u side by side, y [N,F]. Saved: nothing but x.
//! Derivatives: dg = dy∘u∘f′(g); du = dy∘f(g).

use glassformer_kernels::activation::{self, Activation};
use glassformer_kernels::product::Precision;
use glassformer_tensor::Tensor;

use crate::{Backward, Gradients, Layer, Run};

/// Rows that a thread takes at a time.
const ROWS: usize = 8;

/// f, and what y is kept in.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// f.
    pub activation: Activation,
    /// What y is kept in.
    pub kept: Precision,
}

impl Layer<1> for Gate {
    type Saved = ();

    fn forward(&self, run: Run<'_>, [x]: [&Tensor; 1]) -> (Tensor, ()) {
        let (width, precision, kept) = (x.width() / 2, x.precision(), self.kept);
        let mut y = run.in_precision(kept, &[x.rows(), width]);
        let [x_words, y_words] = [precision.words(2 * width), kept.words(width)];
        let arrays = ((y.words_mut(), ROWS * y_words), (x.words(), ROWS * x_words));
        run.pool.split(arrays, |_, (y, x)| {
            let rows = y.chunks_exact_mut(y_words).zip(x.chunks_exact(x_words));
            for (y, x) in rows {
                activation::gate(self.activation, y, kept, x, precision, width);
            }
        });
        (y, ())
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, (), 1>,
        _gradients: &mut Gradients,
    ) -> [Tensor; 1] {
        let ([x], dy) = (call.inputs, &call.d_output);
        let (width, precision, kept) = (dy.width(), x.precision(), dy.precision());
        let mut dx = run.in_precision(precision, x.shape());
        let [x_words, y_words] = [precision.words(2 * width), kept.words(width)];
        let arrays = (
            (dx.words_mut(), ROWS * x_words),
            (x.words(), ROWS * x_words),
            (dy.words(), ROWS * y_words),
        );
        run.pool.split(arrays, |_, (dx, x, dy)| {
            let given = x.chunks_exact(x_words).zip(dy.chunks_exact(y_words));
            for (dx, (x, dy)) in dx.chunks_exact_mut(x_words).zip(given) {
                activation::gate_backward(self.activation, dx, x, precision, dy, kept, width);
            }
        });
        [dx]
    }
}
