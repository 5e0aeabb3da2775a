//! The MLP: each vector alone asks d_ff questions and adds up the answers.

mod activation;
mod gate;
mod gated;
mod neurons;
mod norm_mlp;
mod plain;

pub use activation::Activation;
pub use gate::Gate;
pub use gated::GatedMlp;
pub use neurons::Neurons;
pub use norm_mlp::NormMlp;
pub use plain::PlainMlp;

use crate::block::{Linear, Norm};
use crate::{BlockSite, Pass, Value};

/// The MLPs that a block may have.
#[derive(Clone, Copy, Debug)]
pub enum Mlp {
    /// Two products with a non-linearity between them.
    Plain(PlainMlp),
    /// Three products: what goes through is multiplied by a gate.
    Gated(GatedMlp),
}

impl Mlp {
    /// Its non-linearity.
    pub fn activation(&self) -> Activation {
        match self {
            Self::Plain(mlp) => mlp.activation,
            Self::Gated(mlp) => mlp.activation,
        }
    }

    /// The sites that it shows, in the order in which they are computed.
    pub(crate) fn sites(&self) -> &'static [BlockSite] {
        match self {
            Self::Plain(_) => &[BlockSite::MlpPre, BlockSite::MlpPost],
            Self::Gated(_) => &[BlockSite::MlpPre, BlockSite::MlpUp, BlockSite::MlpPost],
        }
    }

    /// The product after the norm, and the last one.
    pub(crate) fn linears(&self) -> [Linear; 2] {
        match self {
            Self::Plain(mlp) => [mlp.up, mlp.down],
            Self::Gated(mlp) => [mlp.gate_up, mlp.down],
        }
    }

    /// `x [B·T,D]` (after the norm) to what the MLP adds, `[B·T,D]`, step by step for whoever looks.
    pub fn forward(&self, pass: &mut Pass<'_>, x: &Value, layer: usize) -> Value {
        match self {
            Self::Plain(mlp) => mlp.forward(pass, x, layer),
            Self::Gated(mlp) => mlp.forward(pass, x, layer),
        }
    }

    /// `x [B·T,D]` (before the norm, if one comes first) to what the MLP adds, plus x if it is `joined`, in few layers.
    pub(crate) fn fused(
        &self,
        pass: &mut Pass<'_>,
        norm: Option<Norm>,
        x: &Value,
        joined: bool,
    ) -> Value {
        match self {
            Self::Plain(mlp) => mlp.fused(pass, norm, x, joined),
            Self::Gated(mlp) => mlp.fused(pass, norm, x, joined),
        }
    }
}
