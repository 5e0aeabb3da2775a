//! The parts of a block, each added to the residual stream.
//!
//! Each is written twice: in the open, layer by layer, when somebody looks between its layers; and as few fused layers
//! when nobody does. Both compute the same.

use crate::block::attention::{Attention, CrossAttention};
use crate::block::mlp::Mlp;
use crate::block::{Dropout, Linear, LinearOnto, Norm};
use crate::{BlockSite, Pass, Site, Value};

/// Attention as a part of a block.
pub(super) trait Attends {
    /// What shows the norm before it, and what it adds.
    const SITES: [BlockSite; 2];

    /// The sites within it.
    fn sites(&self) -> impl Iterator<Item = BlockSite>;

    /// `x [ΣT,D]` (after the norm) to what is added, layer by layer.
    fn forward(&self, pass: &mut Pass<'_>, x: &Value, layer: usize) -> Value;

    /// `x [ΣT,D]` (before the norm, if one comes first) to the weighted sums, in few layers.
    fn fused(&self, pass: &mut Pass<'_>, norm: Option<Norm>, x: &Value, layer: usize) -> Value;

    /// From these to what is added.
    fn out(&self) -> Linear;
}

impl Attends for Attention {
    const SITES: [BlockSite; 2] = [BlockSite::Ln1, BlockSite::AttnOut];

    fn sites(&self) -> impl Iterator<Item = BlockSite> {
        self.sites()
    }

    fn forward(&self, pass: &mut Pass<'_>, x: &Value, layer: usize) -> Value {
        self.forward(pass, x, layer)
    }

    fn fused(&self, pass: &mut Pass<'_>, norm: Option<Norm>, x: &Value, layer: usize) -> Value {
        self.fused(pass, norm, x, layer)
    }

    fn out(&self) -> Linear {
        self.out
    }
}

/// Cross-attention, and what it looks at.
impl Attends for (CrossAttention, Option<&Value>) {
    const SITES: [BlockSite; 2] = [BlockSite::LnCross, BlockSite::CrossOut];

    fn sites(&self) -> impl Iterator<Item = BlockSite> {
        CrossAttention::sites().into_iter()
    }

    fn forward(&self, pass: &mut Pass<'_>, x: &Value, layer: usize) -> Value {
        self.0.forward(pass, x, self.1, layer)
    }

    fn fused(&self, pass: &mut Pass<'_>, norm: Option<Norm>, x: &Value, layer: usize) -> Value {
        self.0.fused(pass, norm, x, self.1, layer)
    }

    fn out(&self) -> Linear {
        self.0.out
    }
}

/// x + attention(norm(x)), or x + attention(x) where no norm comes first.
pub(super) fn attend<A: Attends>(
    pass: &mut Pass<'_>,
    attention: &A,
    norm: Option<Norm>,
    x: &Value,
    layer: usize,
) -> Value {
    let [normed_site, out_site] = A::SITES.map(|site| Site::block(layer, site));
    let is_open = pass.watched_in_block(layer, attention.sites())
        || norm.is_some() && pass.watched(normed_site);
    let out = if is_open {
        let normed = normed(pass, norm, x, normed_site);
        attention.forward(pass, normed.as_ref().unwrap_or(x), layer)
    } else {
        let z = attention.fused(pass, norm, x, layer);
        if pass.dropout() == 0.0 && !pass.watched(out_site) {
            return LinearOnto::joining(pass, attention.out(), &z, Some(x));
        }
        attention.out().call(pass, &z)
    };
    join(pass, x, out, out_site)
}

/// x + MLP(norm(x)), or x + MLP(x) where no norm comes first.
pub(super) fn transform(
    pass: &mut Pass<'_>,
    mlp: &Mlp,
    norm: Option<Norm>,
    x: &Value,
    layer: usize,
) -> Value {
    use BlockSite::{Ln2, MlpOut};
    let at = |site| Site::block(layer, site);
    let joins = pass.dropout() == 0.0 && !pass.watched(at(MlpOut));
    let is_open = pass.watched_in_block(layer, mlp.sites().iter().copied())
        || norm.is_some() && pass.watched(at(Ln2));
    let mlp_out = if is_open {
        let normed = normed(pass, norm, x, at(Ln2));
        mlp.forward(pass, normed.as_ref().unwrap_or(x), layer)
    } else if joins {
        return mlp.fused(pass, norm, x, true);
    } else {
        mlp.fused(pass, norm, x, false)
    };
    join(pass, x, mlp_out, at(MlpOut))
}

/// norm(x), shown at `site`.
fn normed(pass: &mut Pass<'_>, norm: Option<Norm>, x: &Value, site: Site) -> Option<Value> {
    let mut normed = pass.apply(norm?, [x]);
    pass.tap(site, &mut normed, &[x.tensor().width()]);
    Some(normed)
}

/// x + out, after dropout and whoever looks at it.
fn join(pass: &mut Pass<'_>, x: &Value, out: Value, site: Site) -> Value {
    let mut out = Dropout::forward(pass, out);
    pass.tap(site, &mut out, &[x.tensor().width()]);
    pass.add(x, &out)
}
