//! The block of the first Transformers: the norm stands behind each part, on the residual stream itself.

use super::residual::{attend, transform};
use crate::block::attention::Attention;
use crate::block::mlp::Mlp;
use crate::block::{Block, Linear, Norm};
use crate::{BlockSite, Pass, Site, Value};

/// x ← norm(x + attention(x)); x ← norm(x + MLP(x)) (Vaswani et al. 2017, §3.1).
///
/// The sites `resid_mid` and `resid_post` are the sums, `ln1` and `ln2` what the norms make of them; the next block's
/// `resid_pre` is this one's `ln2`.
#[derive(Clone, Debug)]
pub struct PostNormBlock {
    /// Moves information between positions.
    pub attention: Attention,
    /// Behind attention.
    pub ln1: Norm,
    /// Works on each position alone.
    pub mlp: Mlp,
    /// Behind the MLP.
    pub ln2: Norm,
}

impl Block for PostNormBlock {
    const IS_POST_NORM: bool = true;

    fn of(attention: Attention, [ln1, ln2]: [Norm; 2], mlp: Mlp) -> Self {
        Self {
            attention,
            ln1,
            mlp,
            ln2,
        }
    }

    fn attention(&self) -> &Attention {
        &self.attention
    }

    fn mlp(&self) -> &Mlp {
        &self.mlp
    }

    fn attend(&self, pass: &mut Pass<'_>, mut x: Value, layer: usize) -> Value {
        let at = |site| Site::block(layer, site);
        let d_model = [x.tensor().width()];
        pass.tap(at(BlockSite::ResidPre), &mut x, &d_model);
        x = attend(pass, &self.attention, None, &x, layer);
        pass.tap(at(BlockSite::ResidMid), &mut x, &d_model);
        x = pass.apply(self.ln1, [&x]);
        pass.tap(at(BlockSite::Ln1), &mut x, &d_model);
        x
    }

    fn transform(&self, pass: &mut Pass<'_>, x: Value, layer: usize) -> Value {
        let at = |site| Site::block(layer, site);
        let d_model = [x.tensor().width()];
        let mut x = transform(pass, &self.mlp, None, &x, layer);
        pass.tap(at(BlockSite::ResidPost), &mut x, &d_model);
        x = pass.apply(self.ln2, [&x]);
        pass.tap(at(BlockSite::Ln2), &mut x, &d_model);
        x
    }

    fn linears(&self) -> [Linear; 4] {
        let [up, down] = self.mlp.linears();
        [self.attention.qkv, self.attention.out, up, down]
    }

    fn sites(&self) -> Vec<BlockSite> {
        use BlockSite::{AttnOut, Ln1, Ln2, MlpOut, ResidMid, ResidPost, ResidPre};
        let mlp = self.mlp.sites().iter().copied();
        [ResidPre]
            .into_iter()
            .chain(self.attention.sites())
            .chain([AttnOut, ResidMid, Ln1])
            .chain(mlp)
            .chain([MlpOut, ResidPost, Ln2])
            .collect()
    }
}
