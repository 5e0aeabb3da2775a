//! Stage 3: the block, and the layers it is made of.

mod cross_block;
mod dropout;
mod in_parts;
mod layer_norm;
mod linear;
mod lora;
mod norm;
mod norm_linear;
mod post_norm;
mod pre_norm;
mod residual;
mod rms_norm;
mod rounded_linear;
mod scaled;

pub mod attention;
pub mod mlp;

pub use cross_block::{CrossBlock, forward_across};
pub use dropout::Dropout;
pub use layer_norm::LayerNorm;
pub use linear::{Linear, LinearOnto, Storage};
pub(crate) use linear::{Operand, Way};
pub use lora::{Adapted, LowRank};
pub use norm::Norm;
pub use norm_linear::NormLinear;
pub use post_norm::PostNormBlock;
pub use pre_norm::PreNormBlock;
pub use rms_norm::RmsNorm;
pub use rounded_linear::RoundedLinear;
pub use scaled::Scaled;

use crate::{BlockSite, Pass, Site, Value};
use attention::Attention;
use mlp::Mlp;

/// The parts of a block; the residual stream between them is all that the second knows of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Moves information between positions.
    Attention,
    /// Works on each position alone.
    Mlp,
}

/// What the body of a network is a stack of.
pub trait Block: Clone + Send + Sync + 'static {
    /// Whether norms stand behind the parts, on the residual stream itself.
    const IS_POST_NORM: bool;

    /// A block of these parts; the norms are attention's and the MLP's.
    fn of(attention: Attention, norms: [Norm; 2], mlp: Mlp) -> Self;

    /// What moves information between positions.
    fn attention(&self) -> &Attention;

    /// What works on each position alone.
    fn mlp(&self) -> &Mlp;

    /// The residual stream `[B·T,D]` through attention, to what the MLP gets.
    fn attend(&self, pass: &mut Pass<'_>, x: Value, layer: usize) -> Value;

    /// … and through the MLP.
    fn transform(&self, pass: &mut Pass<'_>, x: Value, layer: usize) -> Value;

    /// The residual stream `[B·T,D]` through block `layer`.
    fn forward(&self, pass: &mut Pass<'_>, x: Value, layer: usize) -> Value {
        let x = self.attend(pass, x, layer);
        self.transform(pass, x, layer)
    }

    /// One half of it alone.
    fn half(&self, pass: &mut Pass<'_>, x: Value, layer: usize, half: Half) -> Value {
        match half {
            Half::Attention => self.attend(pass, x, layer),
            Half::Mlp => self.transform(pass, x, layer),
        }
    }

    /// All its linear layers.
    fn linears(&self) -> [Linear; 4];

    /// The sites that it shows, in the order in which they are computed.
    fn sites(&self) -> Vec<BlockSite>;
}

/// The sites of all blocks, in the order in which they are computed.
pub fn sites<B: Block>(blocks: &[B]) -> impl Iterator<Item = Site> {
    blocks.iter().enumerate().flat_map(|(layer, block)| {
        let sites = block.sites().into_iter();
        sites.map(move |site| Site::block(layer, site))
    })
}

/// The residual stream `[B·T,D]` through block after block; each is a segment of the tape.
pub fn forward_all<B: Block>(blocks: &[B], pass: &mut Pass<'_>, mut x: Value) -> Value {
    for (layer, block) in blocks.iter().enumerate() {
        let block = block.clone();
        let forward = move |pass: &mut Pass<'_>, [x]: [Value; 1]| block.forward(pass, x, layer);
        x = if layer + 1 < blocks.len() {
            pass.segment([x], forward)
        } else {
            // The backward pass begins with this block: to keep its activations takes no more than to make them again.
            forward(pass, [x])
        };
    }
    x
}
