//! The block of most decoders: the norm stands before each part.

use super::residual::{attend, transform};
use crate::block::attention::Attention;
use crate::block::mlp::Mlp;
use crate::block::{Block, Linear, Norm};
use crate::{BlockSite, Pass, Site, Value};

/// x ← x + attention(norm(x)); x ← x + MLP(norm(x)) (Radford et al. 2019).
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

impl Block for PreNormBlock {
    const IS_POST_NORM: bool = false;

    fn of(attention: Attention, [ln1, ln2]: [Norm; 2], mlp: Mlp) -> Self {
        Self {
            ln1,
            attention,
            ln2,
            mlp,
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
        x = attend(pass, &self.attention, Some(self.ln1), &x, layer);
        pass.tap(at(BlockSite::ResidMid), &mut x, &d_model);
        x
    }

    fn transform(&self, pass: &mut Pass<'_>, x: Value, layer: usize) -> Value {
        let d_model = [x.tensor().width()];
        let mut x = transform(pass, &self.mlp, Some(self.ln2), &x, layer);
        let post = Site::block(layer, BlockSite::ResidPost);
        pass.tap(post, &mut x, &d_model);
        x
    }

    fn linears(&self) -> [Linear; 4] {
        let [up, down] = self.mlp.linears();
        [self.attention.qkv, self.attention.out, up, down]
    }

    fn sites(&self) -> Vec<BlockSite> {
        use BlockSite::{AttnOut, Ln1, Ln2, MlpOut, ResidMid, ResidPost, ResidPre};
        let mlp = self.mlp.sites().iter().copied();
        [ResidPre, Ln1]
            .into_iter()
            .chain(self.attention.sites())
            .chain([AttnOut, ResidMid, Ln2])
            .chain(mlp)
            .chain([MlpOut, ResidPost])
            .collect()
    }
}
