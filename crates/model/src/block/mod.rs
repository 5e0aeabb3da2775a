//! Stage 3: the block, and the layers it is made of.

mod dropout;
mod layer_norm;
mod linear;
mod norm_linear;

pub mod attention;
pub mod mlp;

pub use dropout::Dropout;
pub use layer_norm::LayerNorm;
pub use linear::{Linear, LinearOnto, Storage};
pub use norm_linear::NormLinear;

use crate::{BlockSite, Pass, Site, Value};
use attention::Attention;
use mlp::{Mlp, NormMlp};

/// A pre-norm block: x ← x + attention(norm(x)); x ← x + MLP(norm(x)) (Radford et al. 2019).
///
/// Each half is written twice: in the open, layer by layer, when somebody looks between its layers; and as few fused
/// layers when nobody does. Both compute the same.
#[derive(Clone, Copy, Debug)]
pub struct PreNormBlock {
    /// Before attention.
    pub ln1: LayerNorm,
    /// Moves information between positions.
    pub attention: Attention,
    /// Before the MLP.
    pub ln2: LayerNorm,
    /// Works on each position alone.
    pub mlp: Mlp,
}

impl PreNormBlock {
    /// The residual stream `[B·T,D]` through block `layer`.
    pub fn forward(&self, pass: &mut Pass<'_>, mut x: Value, layer: usize) -> Value {
        let at = |site| Site::block(layer, site);
        let d_model = [x.tensor().width()];
        pass.tap(at(BlockSite::ResidPre), &mut x, &d_model);
        x = self.attend(pass, &x, layer);
        pass.tap(at(BlockSite::ResidMid), &mut x, &d_model);
        x = self.transform(pass, &x, layer);
        pass.tap(at(BlockSite::ResidPost), &mut x, &d_model);
        x
    }

    /// x + attention(norm(x)).
    fn attend(&self, pass: &mut Pass<'_>, x: &Value, layer: usize) -> Value {
        use BlockSite::{AttnOut, K, Ln1, Pattern, Q, Scores, V, Z};
        let at = |site| Site::block(layer, site);
        let d_model = [x.tensor().width()];
        let attn_out = if pass.watched_in_block(layer, &[Ln1, Q, K, V, Scores, Pattern, Z]) {
            let mut normed = pass.apply(self.ln1, [x]);
            pass.tap(at(Ln1), &mut normed, &d_model);
            self.attention.forward(pass, &normed, layer)
        } else {
            let z = self.attention.fused(pass, self.ln1, x, layer);
            if pass.dropout() == 0.0 && !pass.watched(at(AttnOut)) {
                return pass.apply(LinearOnto(self.attention.out), [&z, x]);
            }
            pass.apply(self.attention.out, [&z])
        };
        Self::join(pass, x, attn_out, at(AttnOut))
    }

    /// x + MLP(norm(x)).
    fn transform(&self, pass: &mut Pass<'_>, x: &Value, layer: usize) -> Value {
        use BlockSite::{Ln2, MlpOut, MlpPost, MlpPre};
        let at = |site| Site::block(layer, site);
        let joins = pass.dropout() == 0.0 && !pass.watched(at(MlpOut));
        let in_the_open = pass.watched_in_block(layer, &[Ln2, MlpPre, MlpPost])
            || self.mlp.up.runs_in_place(pass.run(), x.tensor().rows());
        let fused = NormMlp::new(self.ln2, self.mlp, joins).filter(|_| !in_the_open);
        let mlp_out = match fused {
            Some(layer) if joins => return pass.apply(layer, [x]),
            Some(layer) => pass.apply(layer, [x]),
            None => {
                let mut normed = pass.apply(self.ln2, [x]);
                pass.tap(at(Ln2), &mut normed, &[x.tensor().width()]);
                self.mlp.forward(pass, &normed, layer)
            }
        };
        Self::join(pass, x, mlp_out, at(MlpOut))
    }

    /// x + out, after dropout and whoever looks at it.
    fn join(pass: &mut Pass<'_>, x: &Value, out: Value, site: Site) -> Value {
        let mut out = Dropout::forward(pass, out);
        pass.tap(site, &mut out, &[x.tensor().width()]);
        pass.add(x, &out)
    }
}
