//! The block of most decoders: the norm stands before each part.

use crate::block::attention::Attention;
use crate::block::mlp::Mlp;
use crate::block::{Dropout, Linear, LinearOnto, Norm};
use crate::{BlockSite, Pass, Site, Value};

/// x ← x + attention(norm(x)); x ← x + MLP(norm(x)) (Radford et al. 2019).
///
/// Each half is written twice: in the open, layer by layer, when somebody looks between its layers; and as few fused
/// layers when nobody does. Both compute the same.
#[derive(Clone, Debug)]
pub struct PreNormBlock {
    /// Before attention.
    pub ln1: Norm,
    /// Moves information between positions.
    pub attention: Attention,
    /// Before the MLP.
    pub ln2: Norm,
    /// Works on each position alone.
    pub mlp: Mlp,
}

impl PreNormBlock {
    /// The residual stream `[B·T,D]` through block after block; each is a segment of the tape.
    pub fn forward_all(blocks: &[Self], pass: &mut Pass<'_>, mut x: Value) -> Value {
        for (layer, block) in blocks.iter().enumerate() {
            let block = block.clone();
            let forward = move |pass: &mut Pass<'_>, x| block.forward(pass, x, layer);
            x = if layer + 1 < blocks.len() {
                pass.segment(x, forward)
            } else {
                // The backward pass begins with this block: to keep its activations takes no more than to make them again.
                forward(pass, x)
            };
        }
        x
    }

    /// All its linear layers.
    pub(crate) fn linears(&self) -> [Linear; 4] {
        let [up, down] = self.mlp.linears();
        [self.attention.qkv, self.attention.out, up, down]
    }

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
        let mlp_out = if pass.watched_in_block(layer, &[Ln2, MlpPre, MlpPost]) {
            let mut normed = pass.apply(self.ln2, [x]);
            pass.tap(at(Ln2), &mut normed, &[x.tensor().width()]);
            self.mlp.forward(pass, &normed, layer)
        } else if joins {
            return self.mlp.fused(pass, self.ln2, x, true);
        } else {
            self.mlp.fused(pass, self.ln2, x, false)
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
