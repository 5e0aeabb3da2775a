//! The MLP: each vector alone asks d_ff questions and adds up the answers.

mod activation;
mod norm_mlp;

pub use activation::Activation;
pub use norm_mlp::NormMlp;

use crate::block::Linear;
use crate::{BlockSite, Pass, Site, Value};

/// mlp_out = act(x·W_up + b_up)·W_down + b_down (Vaswani et al. 2017, eq. 2).
#[derive(Clone, Copy, Debug)]
pub struct Mlp {
    /// D → F.
    pub up: Linear,
    /// The non-linearity.
    pub activation: Activation,
    /// F → D.
    pub down: Linear,
}

impl Mlp {
    /// `x [B·T,D]` (after the norm) to what the MLP adds, `[B·T,D]`, step by step for whoever looks.
    pub fn forward(&self, pass: &mut Pass<'_>, x: &Value, layer: usize) -> Value {
        let at = |site| Site::block(layer, site);
        let mut pre = pass.apply(self.up, [x]);
        pass.tap(at(BlockSite::MlpPre), &mut pre, &[self.up.d_out]);
        let mut post = pass.apply(self.activation, [&pre]);
        pass.tap(at(BlockSite::MlpPost), &mut post, &[self.up.d_out]);
        pass.apply(self.down, [&post])
    }
}
