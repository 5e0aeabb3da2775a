//! Stage 3: the block, and the layers it is made of.

mod dropout;
mod layer_norm;
mod linear;

pub mod attention;
pub mod mlp;

pub use dropout::Dropout;
pub use layer_norm::LayerNorm;
pub use linear::{Linear, Storage};

use crate::{BlockSite, Pass, Site, Value};
use attention::Attention;
use mlp::Mlp;

/// A pre-norm block: x ← x + attention(norm(x)); x ← x + MLP(norm(x)) (Radford et al. 2019).
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
        let mut normed = pass.apply(self.ln1, &[&x]);
        pass.tap(at(BlockSite::Ln1), &mut normed, &d_model);
        let attn_out = self.attention.forward(pass, &normed, layer);
        let mut attn_out = Dropout::forward(pass, attn_out);
        pass.tap(at(BlockSite::AttnOut), &mut attn_out, &d_model);
        x = pass.add(&x, &attn_out);

        pass.tap(at(BlockSite::ResidMid), &mut x, &d_model);
        let mut normed = pass.apply(self.ln2, &[&x]);
        pass.tap(at(BlockSite::Ln2), &mut normed, &d_model);
        let mlp_out = self.mlp.forward(pass, &normed, layer);
        let mut mlp_out = Dropout::forward(pass, mlp_out);
        pass.tap(at(BlockSite::MlpOut), &mut mlp_out, &d_model);
        x = pass.add(&x, &mlp_out);

        pass.tap(at(BlockSite::ResidPost), &mut x, &d_model);
        x
    }
}
