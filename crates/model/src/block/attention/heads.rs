//! All heads of self-attention as one layer, from the fused row q·k·v.
//!
//! z[t,h] = Σ_s softmax_s(q[t,h]·k[s,h]/√E)·v[s,h]: qkv [B·T,(H+2K)·E], z [B·T,H·E]. Saved: log Σ exp of each
//! row of scores [B,H,T] — the scores themselves are made again — and the output. Derivative: in
//! `glassformer_kernels::attention::backward`.

use glassformer_kernels::attention::backward::{self, Output, OutputRows, Saved};
use glassformer_kernels::attention::{Input, Sees, Sequences, Shape, forward};
use glassformer_kernels::dropout::Mask;
use glassformer_kernels::product::Precision;
use glassformer_tensor::Tensor;

use super::scoring::{Scoring, as_bias};
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

    /// The three parts of a fused `qkv`.
    pub(crate) fn input<'a>(&self, qkv: &'a Tensor) -> Input<'a> {
        let (q, kv, rows) = (self.width(), self.kv_width(), qkv.as_rows());
        Input {
            q: rows.columns(0, q),
            k: rows.columns(q, q + kv),
            v: rows.columns(q + kv, q + 2 * kv),
            dropout: None,
            bias: None,
        }
    }
}

/// Queries, keys and values to weighted sums: what all calls of attention share.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// The heads' sizes.
    pub heads: Heads,
    /// Which keys a query looks at.
    pub sees: Sees,
    /// How scores are made.
    pub scoring: Scoring,
    /// Dropout on the pattern.
    pub dropout: Option<Mask>,
}

impl Mix {
    pub(crate) fn shape<'a>(&self, sequences: Sequences<'a>) -> Shape<'a> {
        let Heads {
            heads,
            kv_heads,
            d_head,
        } = self.heads;
        Shape {
            sequences,
            sees: self.sees,
            heads,
            kv_heads,
            d_head,
            scale: self.scoring.scale,
        }
    }

    /// The bias of scores against up to `keys` keys.
    pub(crate) fn bias(&self, run: Run<'_>, keys: usize) -> Option<Tensor> {
        let bias = self.scoring.bias?;
        Some(bias.numbers(run, self.heads.heads, keys))
    }

    /// z `[ΣT,H·E]`, kept as the queries are, and log Σ exp of the scores, [H,T] of each sequence.
    pub(crate) fn forward(
        &self,
        run: Run<'_>,
        sequences: Sequences<'_>,
        input: Input<'_>,
    ) -> (Tensor, Tensor) {
        let (rows, kept) = (input.q.row_count(), input.q.precision());
        let mut z = run.in_precision(kept, &[rows, self.heads.width()]);
        let mut log_sum = run.tensor(&[rows, self.heads.heads]);
        let bias = self.bias(run, sequences.most_keys());
        let input = Input {
            dropout: self.dropout,
            bias: bias.as_ref().map(as_bias),
            ..input
        };
        let (shape, out) = (self.shape(sequences), (z.words_mut(), kept));
        let sums = log_sum.data_mut();
        forward::forward(run.pool, shape, input, run.precision, out, sums);
        (z, log_sum)
    }

    /// Gradients of queries, keys and values into `rows`, kept as these are; that of the bias is added to `gradients`.
    pub(crate) fn backward<const N: usize>(
        &self,
        run: Run<'_>,
        sequences: Sequences<'_>,
        input: Input<'_>,
        call: &Backward<'_, Tensor, N>,
        rows: OutputRows<'_>,
        gradients: &mut Gradients,
    ) {
        let saved = Saved {
            z: call.output.expect("asked for").as_rows(),
            log_sum: call.saved.data(),
        };
        let (heads, keys) = (self.heads.heads, sequences.most_keys());
        let bias = self.bias(run, keys);
        let width = bias.as_ref().map_or(0, Tensor::width);
        let mut d_bias = Tensor::zeros(run.buffers, &[sequences.count() * heads, width]);
        let input = Input {
            dropout: self.dropout,
            bias: bias.as_ref().map(as_bias),
            ..input
        };
        let out = Output {
            rows,
            kept: input.q.precision(),
            bias: d_bias.data_mut(),
        };
        let (shape, dz) = (self.shape(sequences), call.d_output.as_rows());
        backward::backward(run.pool, shape, input, saved, dz, run.precision, out);
        if let Some(bias) = self.scoring.bias {
            bias.add_gradient(run, d_bias.data(), [heads, keys], gradients);
        }
    }
}

/// One call over whole sequences.
#[derive(Clone, Debug)]
pub struct SelfAttention {
    /// Queries, keys and values to weighted sums.
    pub mix: Mix,
    /// Which rows are one sequence.
    pub lengths: Lengths,
}

impl Layer<1> for SelfAttention {
    /// log Σ exp of the scores, [H,T] of each sequence.
    type Saved = Tensor;

    const NEEDS_OUTPUT: bool = true;

    fn forward(&self, run: Run<'_>, [qkv]: [&Tensor; 1]) -> (Tensor, Tensor) {
        let input = self.mix.heads.input(qkv);
        self.mix.forward(run, self.lengths.of_themselves(), input)
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, Tensor, 1>,
        gradients: &mut Gradients,
    ) -> [Tensor; 1] {
        let [qkv] = call.inputs;
        let mut d_qkv = run.in_precision(qkv.precision(), qkv.shape());
        let rows = OutputRows::Fused(d_qkv.words_mut());
        let (sequences, input) = (self.lengths.of_themselves(), self.mix.heads.input(qkv));
        self.mix
            .backward(run, sequences, input, &call, rows, gradients);
        [d_qkv]
    }
}
