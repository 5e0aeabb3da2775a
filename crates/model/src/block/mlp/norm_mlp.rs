//! A norm and the whole MLP behind it, as one; the neurons' values exist only as operands of the next product.
//!
//! y = f(norm(x)·W_up + b_up)·W_down + b_down (+ x): x, y [N,D], F neurons.
//!
//! Saved: norm(x), μ and 1/σ, and h = norm(x)·W_up + b_up, all rounded as products read them; f(h) is made again.
//! With dy the gradient of y: dh = (dy·W_downᵀ)∘f′(h); dW_down += f(h)ᵀ·dy; d norm(x) = dh·W_upᵀ;
//! dW_up += norm(x)ᵀ·dh; the biases' gradients are row sums. dh and f(h)ᵀ leave the first product's tiles in the
//! layouts of the three that follow (`glassformer_kernels::product::finish::activate_backward`).

use glassformer_kernels::activation::Activation;
use glassformer_kernels::product::finish::{self, ActivationGradients};
use glassformer_kernels::product::{BLOCK_ROWS, Precision};
use glassformer_kernels::rows;
use glassformer_tensor::Tensor;
use glassformer_tensor::ops::product::{PackedLeft, PackedRight, Rounded};

use crate::block::mlp::{Neurons, PlainMlp};
use crate::block::{Linear, Norm, Storage};
use crate::{Backward, Gradients, Layer, Run};

/// The layers.
#[derive(Clone, Copy, Debug)]
pub struct NormMlp {
    /// First.
    pub norm: Norm,
    /// D → F.
    pub up: Linear,
    /// f.
    pub activation: Activation,
    /// F → D.
    pub down: Linear,
    /// Whether x is added to what comes out: the residual stream, when nothing is done to the sum's parts.
    pub onto_input: bool,
}

/// What the backward pass needs.
#[derive(Debug)]
pub struct Saved {
    normed: Tensor,
    stats: Tensor,
    /// h [N,F].
    pre: Tensor,
}

impl NormMlp {
    /// The fused form of `mlp` behind `norm`, for weights that are stored [I,O].
    pub fn new(norm: Norm, mlp: PlainMlp, onto_input: bool) -> Option<Self> {
        let PlainMlp {
            up,
            activation,
            down,
        } = mlp;
        let stored = [up.storage, down.storage];
        (stored == [Storage::InOut; 2]).then_some(Self {
            norm,
            up,
            activation,
            down,
            onto_input,
        })
    }
}

impl Layer<1> for NormMlp {
    type Saved = Saved;

    const ADDS: bool = true;

    fn forward(&self, run: Run<'_>, [x]: [&Tensor; 1]) -> (Tensor, Saved) {
        let (normed, stats) = self.norm.apply(run, x, run.precision);
        let neurons = Neurons {
            up: self.up,
            activation: self.activation,
        };
        let (post, pre) = neurons.apply(run, &normed);
        let y = self.down.apply(run, &post, self.onto_input.then_some(x));
        (y, Saved { normed, stats, pre })
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, Saved, 1>,
        gradients: &mut Gradients,
    ) -> [Tensor; 1] {
        let Saved { normed, stats, pre } = call.saved;
        let (n, f, precision) = (pre.rows(), pre.width(), run.precision);
        let dy = call.d_output;
        let mut dh = run.in_precision(precision, &[n, f]);
        let mut dh_right = PackedRight::uninitialised(run.buffers, precision, n, f);
        let mut post = PackedLeft::uninitialised(run.buffers, precision, f, n);
        let mut sums = run.tensor(&[n.div_ceil(BLOCK_ROWS), f]);
        // Rounded once for both products that read its rows.
        let rounded = Rounded::new(run.pool, run.buffers, precision, dy.as_rows());
        {
            let w = self.down.backward_operand(run);
            let mut out = ActivationGradients {
                rows: dh.words_mut(),
                right: dh_right.words_mut(),
                post: post.words_mut(),
                sums: sums.data_mut(),
            };
            let (f, a, pre) = (self.activation, rounded.view().into(), pre.as_rows());
            finish::activate_backward(run.pool, &mut out, f, a, w.view(), pre);
        }
        {
            let right = PackedRight::of(run.pool, run.buffers, precision, rounded.view());
            self.down
                .add_weight_gradient(run, post.view(), right.view(), gradients);
            self.down.add_bias_gradient(run, dy.as_rows(), gradients);
        }
        drop((post, rounded));
        let columns = PackedLeft::columns(run.pool, run.buffers, precision, normed.as_rows());
        self.up
            .add_weight_gradient(run, columns.view(), dh_right.view(), gradients);
        let up_bias = self.up.bias;
        if let Some(db) = up_bias.and_then(|bias| gradients.get_mut(run.pool, bias)) {
            rows::sum_rows(db, sums.data());
        }
        drop((columns, dh_right));
        let d_normed = self.up.input_gradient(run, dh.as_rows(), Precision::F32);
        let [x] = call.inputs;
        let given = [&d_normed, x, stats];
        let sum = match (self.onto_input, call.sum) {
            (true, None) => Some(dy),
            (true, Some(mut sum)) => {
                rows::add(sum.data_mut(), dy.data());
                Some(sum)
            }
            (false, sum) => sum,
        };
        [self.norm.add_gradients(run, sum, given, gradients)]
    }
}
