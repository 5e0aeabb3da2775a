//! All heads of causal self-attention as one layer, from the fused row q·k·v.
//!
//! z[t,h] = Σ_{s≤t} softmax_s(q[t,h]·k[s,h]/√E)·v[s,h]: qkv [B·T,(H+2K)·E], z [B·T,H·E]. Saved: log Σ exp of each
//! row of scores [B·T,H] — the scores themselves are made again. Derivative: in `glassformer_kernels::attention`.

use glassformer_kernels::dropout::Mask;
use glassformer_tensor::Tensor;
use glassformer_tensor::ops::attention::{self, Input, Rows, Shape};

use crate::{Backward, Gradients, Layer, Run};

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

    pub(crate) fn shape(&self, batch: usize, queries: usize, keys: usize) -> Shape {
        Shape {
            batch,
            queries,
            keys,
            heads: self.heads,
            kv_heads: self.kv_heads,
            d_head: self.d_head,
        }
    }

    /// The three parts of a fused `qkv` of sequences of `positions` rows.
    pub(crate) fn input<'a>(
        &self,
        qkv: &'a Tensor,
        positions: usize,
        dropout: Option<Mask>,
    ) -> Input<'a> {
        let row_stride = qkv.width();
        let part = |first: usize| Rows {
            data: &qkv.data()[first..],
            row_stride,
            batch_stride: positions * row_stride,
        };
        let (q, kv) = (self.heads * self.d_head, self.kv_heads * self.d_head);
        Input {
            q: part(0),
            k: part(q),
            v: part(q + kv),
            dropout,
        }
    }
}

/// One call over whole sequences.
#[derive(Clone, Copy, Debug)]
pub struct CausalHeads {
    /// The heads' sizes.
    pub heads: Heads,
    /// B.
    pub batch: usize,
    /// Dropout on the pattern.
    pub dropout: Option<Mask>,
}

impl Layer for CausalHeads {
    /// log Σ exp of the scores, [B·T,H].
    type Saved = Tensor;

    fn forward(&self, run: Run<'_>, inputs: &[&Tensor]) -> (Tensor, Tensor) {
        let qkv = inputs[0];
        let positions = qkv.rows() / self.batch;
        let mut z = run.tensor(&[qkv.rows(), self.heads.width()]);
        let mut log_sum = run.tensor(&[qkv.rows(), self.heads.heads]);
        let shape = self.heads.shape(self.batch, positions, positions);
        let input = self.heads.input(qkv, positions, self.dropout);
        attention::forward(run.pool, shape, input, z.data_mut(), log_sum.data_mut());
        (z, log_sum)
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: &Backward<'_, Tensor>,
        _gradients: &mut Gradients,
    ) -> Vec<Tensor> {
        let qkv = call.inputs[0];
        let positions = qkv.rows() / self.batch;
        let mut d_qkv = run.like(qkv);
        let shape = self.heads.shape(self.batch, positions, positions);
        let input = self.heads.input(qkv, positions, self.dropout);
        let log_sum = call.saved.data();
        attention::backward(
            run.pool,
            shape,
            input,
            call.d_output.data(),
            log_sum,
            d_qkv.data_mut(),
        );
        vec![d_qkv]
    }
}
