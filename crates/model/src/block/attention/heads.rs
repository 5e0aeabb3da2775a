//! All heads of self-attention as one layer, from the fused row q·k·v.
//!
//! z[t,h] = Σ_s softmax_s(q[t,h]·k[s,h]/√E)·v[s,h]: qkv [B·T,(H+2K)·E], z [B·T,H·E]. Saved: log Σ exp of each
//! row of scores [B,H,T] — the scores themselves are made again — and the output. Derivative: in
//! `glassformer_kernels::attention::backward`.

use glassformer_kernels::attention::backward::{self, Saved};
use glassformer_kernels::attention::{Input, Sees, Sequences, Shape, forward};
use glassformer_kernels::dropout::Mask;
use glassformer_kernels::product::Precision;
use glassformer_tensor::Tensor;

use crate::{Backward, Gradients, Layer, Lengths, Run};

/// Numbers and width of the heads.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// H.
    pub heads: usize,
    /// K, a divisor of H.
    pub kv_heads: usize,
    /// E.
    pub d_head: usize,
}

impl Heads {
    /// H·E.
    pub fn width(&self) -> usize {
        self.heads * self.d_head
    }

    /// K·E.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.d_head
    }

    /// What q, k, v and z may be kept in when products are in `precision`: each head must begin at a whole word.
    pub fn kept(&self, precision: Precision) -> Precision {
        if self.d_head.is_multiple_of(2) {
            precision
        } else {
            Precision::F32
        }
    }

    pub(crate) fn shape<'a>(&self, sees: Sees, sequences: Sequences<'a>) -> Shape<'a> {
        Shape {
            sequences,
            sees,
            heads: self.heads,
            kv_heads: self.kv_heads,
            d_head: self.d_head,
        }
    }

    /// The three parts of a fused `qkv`.
    pub(crate) fn input<'a>(&self, qkv: &'a Tensor, dropout: Option<Mask>) -> Input<'a> {
        let (q, kv, rows) = (self.width(), self.kv_width(), qkv.as_rows());
        Input {
            q: rows.columns(0, q),
            k: rows.columns(q, q + kv),
            v: rows.columns(q + kv, q + 2 * kv),
            dropout,
        }
    }
}

/// One call over whole sequences.
#[derive(Clone, Debug)]
pub struct SelfAttention {
    /// The heads' sizes.
    pub heads: Heads,
    /// Which keys a query looks at.
    pub sees: Sees,
    /// Which rows are one sequence.
    pub lengths: Lengths,
    /// Dropout on the pattern.
    pub dropout: Option<Mask>,
}

impl SelfAttention {
    fn shape(&self) -> Shape<'_> {
        self.heads.shape(self.sees, self.lengths.of_themselves())
    }
}

impl Layer<1> for SelfAttention {
    /// log Σ exp of the scores, [H,T] of each sequence.
    type Saved = Tensor;

    const NEEDS_OUTPUT: bool = true;

    fn forward(&self, run: Run<'_>, [qkv]: [&Tensor; 1]) -> (Tensor, Tensor) {
        let shape = self.shape();
        let mut z = run.in_precision(qkv.precision(), &[qkv.rows(), self.heads.width()]);
        let mut log_sum = run.tensor(&[qkv.rows(), shape.heads]);
        let input = self.heads.input(qkv, self.dropout);
        let out = (z.words_mut(), qkv.precision());
        forward::forward(
            run.pool,
            shape,
            input,
            run.precision,
            out,
            log_sum.data_mut(),
        );
        (z, log_sum)
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, Tensor, 1>,
        _gradients: &mut Gradients,
    ) -> [Tensor; 1] {
        let [qkv] = call.inputs;
        let mut d_qkv = run.in_precision(qkv.precision(), qkv.shape());
        let saved = Saved {
            z: call.output.expect("asked for").as_rows(),
            log_sum: call.saved.data(),
        };
        let (input, dz) = (self.heads.input(qkv, self.dropout), call.d_output.as_rows());
        let out = (d_qkv.words_mut(), qkv.precision());
        backward::backward(run.pool, self.shape(), input, saved, dz, run.precision, out);
        [d_qkv]
    }
}
