//! Attention: each position asks the earlier ones and takes a weighted sum of what they say.

mod heads;

pub use heads::{CausalHeads, Heads};

use glassformer_tensor::ops::attention::{self, Input, Rows};

use crate::block::Linear;
use crate::{BlockSite, Pass, Site, Value};

/// attn_out = concat_h(softmax(q_h·k_hᵀ/√E + mask)·v_h)·W_O + b_O (Vaswani et al. 2017, §3.2.2), causal.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// D → (H+2K)·E: queries, keys and values of all heads side by side.
    pub qkv: Linear,
    /// The heads' sizes.
    pub heads: Heads,
    /// H·E → D.
    pub out: Linear,
}

impl Attention {
    /// `x [B·T,D]` (after the norm) to what attention adds, `[B·T,D]`.
    pub fn forward(&self, pass: &mut Pass<'_>, x: &Value, layer: usize) -> Value {
        let Heads {
            heads,
            kv_heads,
            d_head,
        } = self.heads;
        let at = |site| Site::block(layer, site);
        let mut qkv = pass.apply(self.qkv, &[x]);
        let (q, kv) = (heads * d_head, kv_heads * d_head);
        pass.tap_columns(at(BlockSite::Q), &mut qkv, 0..q, &[heads, d_head]);
        pass.tap_columns(at(BlockSite::K), &mut qkv, q..q + kv, &[kv_heads, d_head]);
        pass.tap_columns(
            at(BlockSite::V),
            &mut qkv,
            q + kv..q + 2 * kv,
            &[kv_heads, d_head],
        );
        let mut z = self.mix(pass, &qkv, layer);
        pass.tap(at(BlockSite::Z), &mut z, &[heads, d_head]);
        pass.apply(self.out, &[&z])
    }

    /// The weighted sums z `[B·T,H·E]`: in one pass when nobody looks, step by step when somebody does.
    fn mix(&self, pass: &mut Pass<'_>, qkv: &Value, layer: usize) -> Value {
        let watched = pass.watched(Site::block(layer, BlockSite::Scores))
            || pass.watched(Site::block(layer, BlockSite::Pattern));
        let seen = watched.then(|| self.mix_in_the_open(pass, qkv, layer));
        match seen {
            // In training the open form has no gradient: it serves the recorder, and the tape gets the fused form.
            Some(z) if !pass.is_training() => z,
            _ if pass.cache().is_some() => self.mix_cached(pass, qkv, layer),
            _ => {
                let dropout = pass.mask();
                let call = CausalHeads {
                    heads: self.heads,
                    batch: pass.batch(),
                    dropout,
                };
                pass.apply(call, &[qkv])
            }
        }
    }

    /// Decoding: new queries against the cached keys and values and their own.
    fn mix_cached(&self, pass: &mut Pass<'_>, qkv: &Value, layer: usize) -> Value {
        let run = pass.run();
        let (first, new) = (pass.first_position(), pass.positions());
        let shape = self.heads.shape(1, new, first + new);
        let mut z = run.tensor(&[new, self.heads.width()]);
        let mut log_sum = run.tensor(&[new, self.heads.heads]);
        let cache = pass.cache().expect("a cached pass");
        let input = self.heads.cached_input(cache, layer, qkv.tensor());
        attention::forward(run.pool, shape, input, z.data_mut(), log_sum.data_mut());
        pass.constant(z)
    }

    /// Scores and pattern in full, shown to the hook.
    fn mix_in_the_open(&self, pass: &mut Pass<'_>, qkv: &Value, layer: usize) -> Value {
        let run = pass.run();
        let (batch, first, new) = (pass.batch(), pass.first_position(), pass.positions());
        let shape = self.heads.shape(batch, new, first + new);
        let heads = self.heads.heads;
        let mut scores = run.tensor(&[batch * heads * new, shape.keys]);
        let mut values = Vec::new();
        {
            let input = match pass.cache() {
                Some(cache) => self.heads.cached_input(cache, layer, qkv.tensor()),
                None => self.heads.input(qkv.tensor(), new, None),
            };
            attention::scores(run.pool, shape, input, scores.data_mut());
            if first > 0 {
                values.extend_from_slice(input.v.data);
            }
        }
        let mut scores = pass.constant(scores);
        pass.tap_pattern(Site::block(layer, BlockSite::Scores), &mut scores, heads);
        let mut pattern = scores.tensor().copy(run.buffers);
        attention::pattern(run.pool, pattern.data_mut(), shape.keys);
        let mut pattern = pass.constant(pattern);
        pass.tap_pattern(Site::block(layer, BlockSite::Pattern), &mut pattern, heads);
        let v = if first > 0 {
            let width = self.heads.kv_heads * self.heads.d_head;
            Rows {
                data: &values,
                row_stride: width,
                batch_stride: values.len(),
            }
        } else {
            self.heads.input(qkv.tensor(), new, None).v
        };
        let mut z = run.tensor(&[batch * new, self.heads.width()]);
        attention::weighted_values(run.pool, shape, pattern.tensor().data(), v, z.data_mut());
        pass.constant(z)
    }
}

impl Heads {
    /// Writes the new keys and values behind the cached ones and gives the new queries against all of them.
    fn cached_input<'a>(
        &self,
        cache: &'a mut crate::KvCache,
        layer: usize,
        qkv: &'a glassformer_tensor::Tensor,
    ) -> Input<'a> {
        let (q, kv) = (self.heads * self.d_head, self.kv_heads * self.d_head);
        let rows = qkv.data().chunks_exact(q + 2 * kv);
        let (keys, values) = cache.write(layer, rows.map(|row| (&row[q..q + kv], &row[q + kv..])));
        let cached = |data: &'a [f32]| Rows {
            data,
            row_stride: kv,
            batch_stride: data.len(),
        };
        Input {
            k: cached(keys),
            v: cached(values),
            ..self.input(qkv, qkv.rows(), None)
        }
    }
}
