//! Attention: each position asks the earlier ones and takes a weighted sum of what they say.

mod cached;
mod cross;
mod head_norm;
mod heads;
mod open;
mod rope;
mod scoring;

pub use cross::{AcrossHeads, CrossAttention};
pub use glassformer_kernels::attention::Sees;
pub use head_norm::HeadNorm;
pub use heads::{Heads, Mix, SelfAttention};
pub use rope::{Rope, Rotate, Stretch};
pub use scoring::{RelativeBias, Scoring};

use glassformer_kernels::product::Precision;

use crate::block::{Linear, Norm, RoundedLinear};
use crate::{BlockSite, Pass, Site, Value};

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
    /// How scores are made of queries and keys.
    pub scoring: Scoring,
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
        let mix = Mix {
            heads: self.heads,
            sees: self.sees,
            scoring: self.scoring,
            dropout: None,
        };
        let sites = [BlockSite::Scores, BlockSite::Pattern].map(|site| Site::block(layer, site));
        let seen = open::is_watched(pass, sites).then(|| mix.in_the_open(pass, qkv, layer, sites));
        match seen {
            // In training the open form has no gradient: it serves the recorder, and the tape gets the fused form.
            Some(z) if !pass.is_training() => z,
            _ if pass.cache().is_some() => mix.cached(pass, qkv, layer),
            _ => {
                let dropout = pass.pattern_mask();
                let call = SelfAttention {
                    mix: Mix { dropout, ..mix },
                    lengths: pass.lengths().clone(),
                };
                pass.apply(call, [qkv])
            }
        }
    }
}
