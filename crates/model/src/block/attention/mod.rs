//! Attention: each position asks the earlier ones and takes a weighted sum of what they say.

mod head_norm;
mod heads;
mod rope;

pub use glassformer_kernels::attention::Sees;
pub use head_norm::HeadNorm;
pub use heads::{Heads, SelfAttention};
pub use rope::{Rope, Rotate, Stretch};

use glassformer_kernels::attention::{Input, Kept, Sequences, decode, forward, open};
use glassformer_kernels::product::{Precision, Rows};
use glassformer_tensor::Tensor;

use crate::block::{Linear, Norm, RoundedLinear};
use crate::{BlockSite, KvCache, Lengths, Pass, Run, Site, Value};

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
        let mut qkv = self.placed(pass, qkv, layer, Precision::F32);
        let (q, kv) = (self.heads.width(), self.heads.kv_width());
        self.tap_pair(pass, &mut qkv, layer, [BlockSite::Q, BlockSite::K]);
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
        let qkv = self.placed(pass, qkv, layer, kept);
        self.mix(pass, &qkv, layer)
    }

    /// The sites that it shows, in the order in which they are computed.
    pub(crate) fn sites(&self) -> impl Iterator<Item = BlockSite> + use<> {
        use BlockSite::{K, KNorm, KPre, Pattern, Q, QNorm, QPre, Scores, V, Z};
        let given = self.places().then_some([QPre, KPre]);
        let between = (self.head_norm.is_some() && self.rope.is_some()).then_some([QNorm, KNorm]);
        let before = given.into_iter().chain(between).flatten();
        before.chain([Q, K, V, Scores, Pattern, Z])
    }

    /// Shows the columns of q and k.
    fn tap_pair(&self, pass: &mut Pass<'_>, qkv: &mut Value, layer: usize, sites: [BlockSite; 2]) {
        let Heads {
            heads,
            kv_heads,
            d_head,
        } = self.heads;
        let (q, kv) = (self.heads.width(), self.heads.kv_width());
        let [q_site, k_site] = sites.map(|site| Site::block(layer, site));
        pass.tap_columns(q_site, qkv, 0..q, &[heads, d_head]);
        pass.tap_columns(k_site, qkv, q..q + kv, &[kv_heads, d_head]);
    }

    /// Whether something happens to queries and keys before they meet.
    fn places(&self) -> bool {
        self.head_norm.is_some() || self.rope.is_some()
    }

    /// Queries and keys as they enter the dot product: normed and turned, where the model does so.
    fn placed(&self, pass: &mut Pass<'_>, mut qkv: Value, layer: usize, kept: Precision) -> Value {
        if self.places() {
            self.tap_pair(pass, &mut qkv, layer, [BlockSite::QPre, BlockSite::KPre]);
        }
        if let Some(norm) = self.head_norm {
            qkv = pass.apply(norm, [&qkv]);
        }
        if let Some(rope) = self.rope.clone() {
            if self.head_norm.is_some() {
                self.tap_pair(pass, &mut qkv, layer, [BlockSite::QNorm, BlockSite::KNorm]);
            }
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
        let qkv = qkv.tensor();
        let kept = self.heads.cached(cache, layer, qkv);
        if new <= decode::MOST_QUERIES {
            let mut scratch = run.tensor(&[decode::scratch_len(&most)]);
            let q = qkv.as_rows().columns(0, self.heads.width());
            let z = z.data_mut();
            decode::decode(run.pool, shape, q, kept, z, scratch.data_mut());
        } else {
            let mut log_sum = run.tensor(&[self.heads.heads, new]);
            let all = kept.map(|kept| Floats::of(run, kept));
            let input = self.heads.cached_input(qkv, &all);
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
            Some(cache) => {
                let kept = self.heads.cached(cache, layer, qkv.tensor());
                let all = kept.map(|kept| Floats::of(run, kept));
                f(self.heads.cached_input(qkv.tensor(), &all));
            }
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
    /// Writes the new keys and values behind the cached ones and gives all of them.
    ///
    /// To call it again before the cache advances writes the same numbers to the same places.
    fn cached<'a>(&self, cache: &'a mut KvCache, layer: usize, qkv: &Tensor) -> [Kept<'a>; 2] {
        let (q, kv) = (self.width(), self.kv_width());
        let rows = qkv.data().chunks_exact(q + 2 * kv);
        cache.write(layer, rows.map(|row| [&row[q..q + kv], &row[q + kv..]]))
    }

    /// The new queries against all keys and values.
    fn cached_input<'a>(&self, qkv: &'a Tensor, all: &'a [Floats<'_>; 2]) -> Input<'a> {
        let [k, v] = all.each_ref().map(|x| Rows::f32(x.data(), self.kv_width()));
        Input {
            k,
            v,
            ..self.input(qkv, None)
        }
    }
}

/// Keys or values of a cache in `f32`.
enum Floats<'a> {
    /// Where they lie.
    There(&'a [f32]),
    /// Widened.
    Copied(Tensor),
}

impl<'a> Floats<'a> {
    fn of(run: Run<'_>, kept: Kept<'a>) -> Self {
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
