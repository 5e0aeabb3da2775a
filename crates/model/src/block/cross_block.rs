//! The block of a decoder that has a source: cross-attention stands between the halves of any other block.

use super::residual::attend;
use crate::block::attention::CrossAttention;
use crate::block::{Block, Linear, Norm};
use crate::{BlockSite, Pass, Site, Value};

/// Attention, then x ← x + cross(norm(x)) or x ← norm(x + cross(x)), as the block around it has its norms, then the MLP
/// (Vaswani et al. 2017, §3.1).
#[derive(Clone, Debug)]
pub struct CrossBlock<B> {
    /// What it stands in.
    pub block: B,
    /// Cross-attention's norm.
    pub ln_cross: Norm,
    /// Looks at the source.
    pub cross: CrossAttention,
}

impl<B: Block> CrossBlock<B> {
    /// The residual stream `[ΣT,D]` through block `layer`; `memory [ΣS,D]` is what the encoder made of the sources, unless
    /// the pass has a cache of them.
    pub fn forward(
        &self,
        pass: &mut Pass<'_>,
        x: Value,
        memory: Option<&Value>,
        layer: usize,
    ) -> Value {
        let x = self.block.attend(pass, x, layer);
        let x = self.ask(pass, &x, memory, layer);
        self.block.transform(pass, x, layer)
    }

    /// The residual stream through cross-attention.
    fn ask(&self, pass: &mut Pass<'_>, x: &Value, memory: Option<&Value>, layer: usize) -> Value {
        let at = |site| Site::block(layer, site);
        let (cross, d_model) = ((self.cross, memory), [x.tensor().width()]);
        let before = (!B::IS_POST_NORM).then_some(self.ln_cross);
        let mut x = attend(pass, &cross, before, x, layer);
        pass.tap(at(BlockSite::ResidCross), &mut x, &d_model);
        if B::IS_POST_NORM {
            x = pass.apply(self.ln_cross, [&x]);
            pass.tap(at(BlockSite::LnCross), &mut x, &d_model);
        }
        x
    }

    /// All its linear layers.
    pub fn linears(&self) -> impl Iterator<Item = Linear> {
        self.block.linears().into_iter().chain(self.cross.linears())
    }

    /// The sites that it shows, in the order in which they are computed.
    pub fn sites(&self) -> Vec<BlockSite> {
        use BlockSite::{CrossOut, Ln1, LnCross, ResidCross, ResidMid};
        let mut sites = self.block.sites();
        let last = sites
            .iter()
            .rposition(|site| [ResidMid, Ln1].contains(site));
        let rest = sites.split_off(last.map_or(0, |last| last + 1));
        let [before, behind] = [!B::IS_POST_NORM, B::IS_POST_NORM].map(|is| is.then_some(LnCross));
        sites.extend(before);
        sites.extend(CrossAttention::sites());
        sites.extend([CrossOut, ResidCross]);
        sites.extend(behind);
        sites.extend(rest);
        sites
    }
}

/// As [`forward_all`](super::forward_all), with what the blocks look at besides.
pub fn forward_across<B: Block>(
    blocks: &[CrossBlock<B>],
    pass: &mut Pass<'_>,
    mut x: Value,
    memory: Option<&Value>,
) -> Value {
    for (layer, block) in blocks.iter().enumerate() {
        let is_last = layer + 1 == blocks.len();
        x = match memory {
            Some(memory) if !is_last => {
                let block = block.clone();
                pass.segment([x, memory.clone()], move |pass, [x, memory]| {
                    block.forward(pass, x, Some(&memory), layer)
                })
            }
            _ => block.forward(pass, x, memory, layer),
        };
    }
    x
}
