//! The product before the non-linearity and the non-linearity, as one: h leaves the product's tiles as f(h).
//!
//! y = f(h), h = x·W + b: x [N,D], y [N,F], kept as the next product reads its operand. Saved: h, rounded likewise.
//! Derivatives: dh = dy∘f′(h); then those of the linear layer.

use glassformer_kernels::activation::{self, Activation};
use glassformer_kernels::product::finish;
use glassformer_tensor::Tensor;
use glassformer_tensor::ops::product::Rounded;

use crate::block::Linear;
use crate::{Backward, Gradients, Layer, Run};

/// Rows that a thread takes at a time.
const ROWS: usize = 8;

/// The two layers.
#[derive(Clone, Copy, Debug)]
pub struct Neurons {
    /// D → F.
    pub up: Linear,
    /// f.
    pub activation: Activation,
}

impl Neurons {
    /// f(h), and h, empty unless a backward pass will follow.
    pub(super) fn apply(&self, run: Run<'_>, x: &Tensor) -> (Tensor, Tensor) {
        let room = |rows| run.in_precision(run.precision, &[rows, self.up.d_out]);
        let mut post = room(x.rows());
        let mut pre = room(if run.keeps { x.rows() } else { 0 });
        let x = Rounded::new(run.pool, run.buffers, run.precision, x.as_rows());
        let out = [pre.words_mut(), post.words_mut()];
        let (a, w) = (x.view().into(), self.up.operand(run));
        let bias = self.up.bias(run);
        finish::activate(run.pool, out, self.activation, a, w.view(), bias);
        (post, pre)
    }
}

impl Layer<1> for Neurons {
    /// h.
    type Saved = Tensor;

    fn forward(&self, run: Run<'_>, [x]: [&Tensor; 1]) -> (Tensor, Tensor) {
        self.apply(run, x)
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, Tensor, 1>,
        gradients: &mut Gradients,
    ) -> [Tensor; 1] {
        let ([x], pre, dy) = (call.inputs, call.saved, &call.d_output);
        let (width, precision, kept) = (pre.width(), pre.precision(), dy.precision());
        let mut dh = run.in_precision(precision, pre.shape());
        let [h_words, y_words] = [precision, kept].map(|precision| precision.words(width));
        let arrays = (
            (dh.words_mut(), ROWS * h_words),
            (pre.words(), ROWS * h_words),
            (dy.words(), ROWS * y_words),
        );
        run.pool.split(arrays, |_, (dh, pre, dy)| {
            let given = pre.chunks_exact(h_words).zip(dy.chunks_exact(y_words));
            for (dh, (pre, dy)) in dh.chunks_exact_mut(h_words).zip(given) {
                activation::backward_rounded(self.activation, dh, pre, precision, dy, kept, width);
            }
        });
        self.up
            .add_gradients(run, x.as_rows(), dh.as_rows(), gradients);
        [self.up.input_gradient(run, dh.as_rows(), x.precision())]
    }
}
