//! Attention: each position asks the earlier ones and takes a weighted sum of what they say.

mod head_norm;
mod heads;
mod rope;

pub use glassformer_kernels::attention::Sees;
pub use head_norm::HeadNorm;
pub use heads::{Heads, SelfAttention};
pub use rope::{Rope, Rotate, Stretch};

use glassformer_kernels::attention::{Input, Sequences, decode, forward, open};
use glassformer_kernels::product::{Precision, Rows};

use crate::block::{Linear, Norm, RoundedLinear};
use crate::{BlockSite, Lengths, Pass, Site, Value};

/// attn_out = concat_h(softmax(q_h·k_hᵀ/√E + mask)·v_h)·W_O + b_O (Vaswani et al. 2017, §3.2.2).
#[derive(Clone, Debug)]
pub struct Attention {
    /// D → (H+2K)·E: queries, keys and values of all heads side by side.
    pub qkv: Linear,
    /// A norm of each head's queries and keys.
    pub head_norm: Option<HeadNorm>,
    /// What turns queries and keys by their positions.
    pub rope: Option<Rope>,
    /// The heads' sizes.
    pub heads: Heads,
    /// Which keys a query looks at.
    pub sees: Sees,
    /// H·E → D.
    pub out: Linear,
}

impl Attention {
    /// `x [B·T,D]` (after the norm) to what attention adds, `[B·T,D]`, step by step for whoever looks.
    pub fn forward(&self, pass: &mut Pass<'_>, x: &Value, layer: usize) -> Value {
        let Heads {
            heads,
            kv_heads,
            d_head,
        } = self.heads;
        let at = |site| Site::block(layer, site);
        let qkv = self.qkv.call(pass, x);
        let mut qkv = self.placed(pass, qkv, Precision::F32);
        let (q, kv) = (self.heads.width(), self.heads.kv_width());
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
        self.out.call(pass, &z)
    }

    /// `x [B·T,D]` (before the norm, if one comes first) to the weighted sums z `[B·T,H·E]`, in few layers; z may be
    /// rounded.
    pub(crate) fn fused(
        &self,
        pass: &mut Pass<'_>,
        norm: Option<Norm>,
        x: &Value,
        layer: usize,
    ) -> Value {
        // The cache is in f32.
        let kept = match pass.cache() {
            Some(_) => Precision::F32,
            None => self.heads.kept(pass.run().precision),
        };
        let linear = RoundedLinear {
            linear: self.qkv,
            // What is still to be turned stays exact until then.
            kept: if self.places() { Precision::F32 } else { kept },
        };
        let qkv = linear.behind(pass, norm, x);
        let qkv = self.placed(pass, qkv, kept);
        self.mix(pass, &qkv, layer)
    }

    /// Whether something happens to queries and keys before they meet.
    fn places(&self) -> bool {
        self.head_norm.is_some() || self.rope.is_some()
    }

    /// Queries and keys as they enter the dot product: normed and turned, where the model does so.
    fn placed(&self, pass: &mut Pass<'_>, mut qkv: Value, kept: Precision) -> Value {
        if let Some(norm) = self.head_norm {
            qkv = pass.apply(norm, [&qkv]);
        }
        if let Some(rope) = self.rope.clone() {
            let call = Rotate {
                rope,
                heads: self.heads,
                positions: pass.places(),
                kept,
            };
            qkv = pass.apply(call, [&qkv]);
        }
        qkv
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
                let call = SelfAttention {
                    heads: self.heads,
                    sees: self.sees,
                    lengths: pass.lengths().clone(),
                    dropout,
                };
                pass.apply(call, [qkv])
            }
        }
    }

    /// Decoding: new queries against the cached keys and values and their own.
    fn mix_cached(&self, pass: &mut Pass<'_>, qkv: &Value, layer: usize) -> Value {
        let run = pass.run();
        let (first, new) = (pass.first_position(), pass.rows());
        let against = |keys| Sequences::Equal {
            batch: 1,
            queries: new,
            keys,
        };
        let shape = self.heads.shape(self.sees, against(first + new));
        let mut z = run.tensor(&[new, self.heads.width()]);
        let cache = pass.cache().expect("a cached pass");
        cache.hold(first + new);
        // As for all the memory that the cache has, so that each new token takes the same buffer.
        let most = self.heads.shape(self.sees, against(cache.held()));
        let input = self.heads.cached_input(cache, layer, qkv.tensor());
        if new <= decode::MOST_QUERIES {
            let mut scratch = run.tensor(&[decode::scratch_len(&most)]);
            decode::decode(run.pool, shape, input, z.data_mut(), scratch.data_mut());
        } else {
            let mut log_sum = run.tensor(&[self.heads.heads, new]);
            let out = (z.words_mut(), Precision::F32);
            forward::forward(
                run.pool,
                shape,
                input,
                run.precision,
                out,
                log_sum.data_mut(),
            );
        }
        pass.constant(z)
    }

    /// Scores and pattern in full, shown to the hook.
    fn mix_in_the_open(&self, pass: &mut Pass<'_>, qkv: &Value, layer: usize) -> Value {
        let run = pass.run();
        let &Lengths::Equal {
            batch,
            positions: new,
        } = pass.lengths()
        else {
            panic!("patterns are shown of sequences of equal length");
        };
        let (keys, heads) = (pass.first_position() + new, self.heads.heads);
        let sequences = Sequences::Equal {
            batch,
            queries: new,
            keys,
        };
        let shape = self.heads.shape(self.sees, sequences);
        let input = |pass: &mut Pass<'_>, f: &mut dyn FnMut(Input<'_>)| match pass.cache() {
            Some(cache) => f(self.heads.cached_input(cache, layer, qkv.tensor())),
            None => f(self.heads.input(qkv.tensor(), None)),
        };
        let mut scores = run.tensor(&[batch * heads * new, keys]);
        input(pass, &mut |input| {
            open::scores(run.pool, shape, input, scores.data_mut());
        });
        let mut scores = pass.constant(scores);
        pass.tap_pattern(Site::block(layer, BlockSite::Scores), &mut scores, heads);
        let mut pattern = scores.tensor().copy(run.buffers);
        open::pattern(run.pool, pattern.data_mut(), keys);
        let mut pattern = pass.constant(pattern);
        pass.tap_pattern(Site::block(layer, BlockSite::Pattern), &mut pattern, heads);
        let mut z = run.tensor(&[batch * new, self.heads.width()]);
        let pattern = pattern.tensor().data();
        input(pass, &mut |input| {
            open::weighted_values(run.pool, shape, pattern, input, z.data_mut());
        });
        pass.constant(z)
    }
}

impl Heads {
    /// Writes the new keys and values behind the cached ones and gives the new queries against all of them.
    ///
    /// To call it again before the cache advances writes the same numbers to the same places.
    fn cached_input<'a>(
        &self,
        cache: &'a mut crate::KvCache,
        layer: usize,
        qkv: &'a glassformer_tensor::Tensor,
    ) -> Input<'a> {
        let (q, kv) = (self.width(), self.kv_width());
        let rows = qkv.data().chunks_exact(q + 2 * kv);
        let (keys, values) = cache.write(layer, rows.map(|row| (&row[q..q + kv], &row[q + kv..])));
        Input {
            k: Rows::f32(keys, kv),
            v: Rows::f32(values, kv),
            ..self.input(qkv, None)
        }
    }
}
