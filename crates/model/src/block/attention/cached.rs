//! Self-attention against the keys and values of a cache.

use glassformer_kernels::attention::{Input, Kept, Sequences, decode, forward};
use glassformer_kernels::product::{Precision, Rows};
use glassformer_tensor::Tensor;

use super::heads::{Heads, Mix};
use super::scoring::as_bias;
use crate::cache::KeptLayer;
use crate::{KvCache, Pass, Run, Value};

impl Mix {
    /// Decoding: new queries of each sequence against its cached keys and values and their own.
    pub(super) fn cached(&self, pass: &mut Pass<'_>, qkv: &Value, layer: usize) -> Value {
        let (run, rows, first) = (pass.run(), pass.rows(), pass.first_position());
        let cache = pass.cache().expect("a cached pass");
        let batch = cache.sequences();
        let new = rows / batch.max(1);
        let against = |keys| Sequences::Equal {
            batch,
            queries: new,
            keys,
        };
        let shape = self.shape(against(first + new));
        cache.hold(first + new);
        // As for all the memory that the cache has, so that each new token takes the same buffer.
        let held = cache.held();
        let most = self.shape(against(held));
        let bias = self.bias(run, held);
        let bias = bias.as_ref().map(as_bias);
        let mut z = run.tensor(&[rows, self.heads.width()]);
        let qkv = qkv.tensor();
        let kept = self.heads.cached(cache, layer, qkv);
        if new <= decode::MOST_QUERIES || batch != 1 {
            let mut scratch = run.tensor(&[decode::scratch_len(&most)]);
            let q = qkv.as_rows().columns(0, self.heads.width());
            let (z, scratch) = (z.data_mut(), scratch.data_mut());
            decode::decode(run.pool, shape, q, bias, |b| kept.of(b), z, scratch);
        } else {
            let mut log_sum = run.tensor(&[self.heads.heads, new]);
            let all = kept.of(0).map(|kept| Floats::of(run, kept));
            let input = Input {
                bias,
                ..self.heads.cached_input(qkv, &all)
            };
            let (out, sums) = ((z.words_mut(), Precision::F32), log_sum.data_mut());
            forward::forward(run.pool, shape, input, run.precision, out, sums);
        }
        pass.constant(z)
    }
}

impl Heads {
    /// Writes the new keys and values behind the cached ones and gives all of them.
    ///
    /// To call it again before the cache advances writes the same numbers to the same places.
    pub(super) fn cached<'a>(
        &self,
        cache: &'a mut KvCache,
        layer: usize,
        qkv: &Tensor,
    ) -> KeptLayer<'a> {
        let (q, kv) = (self.width(), self.kv_width());
        let rows = qkv.data().chunks_exact(q + 2 * kv);
        cache.write(layer, rows.map(|row| [&row[q..q + kv], &row[q + kv..]]))
    }

    /// The new queries against all keys and values.
    pub(super) fn cached_input<'a>(&self, qkv: &'a Tensor, all: &'a [Floats<'_>; 2]) -> Input<'a> {
        let [k, v] = all.each_ref().map(|x| Rows::f32(x.data(), self.kv_width()));
        Input {
            k,
            v,
            ..self.input(qkv)
        }
    }
}

/// Keys or values of a cache in `f32`.
pub(super) enum Floats<'a> {
    /// Where they lie.
    There(&'a [f32]),
    /// Widened.
    Copied(Tensor),
}

impl<'a> Floats<'a> {
    pub(super) fn of(run: Run<'_>, kept: Kept<'a>) -> Self {
        kept.floats().map_or_else(
            || {
                let mut copy = run.tensor(&[kept.rows(), kept.cols()]);
                kept.read(copy.data_mut());
                Self::Copied(copy)
            },
            Self::There,
        )
    }

    fn data(&self) -> &[f32] {
        match self {
            Self::There(data) => data,
            Self::Copied(tensor) => tensor.data(),
        }
    }
}
