//! Stage 3: the block, and the layers it is made of.

mod dropout;
mod layer_norm;
mod linear;
mod norm;
mod norm_linear;
mod pre_norm;
mod rms_norm;

pub mod attention;
pub mod mlp;

pub use dropout::Dropout;
pub use layer_norm::LayerNorm;
pub use linear::{Linear, LinearOnto, Storage};
pub use norm::Norm;
pub use norm_linear::NormLinear;
pub use pre_norm::PreNormBlock;
pub use rms_norm::RmsNorm;
