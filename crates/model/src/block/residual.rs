//! The two halves of a block, each added to the residual stream.
//!
//! Each is written twice: in the open, layer by layer, when somebody looks between its layers; and as few fused layers
//! when nobody does. Both compute the same.

use crate::block::attention::Attention;
use crate::block::mlp::Mlp;
use crate::block::{Dropout, LinearOnto, Norm};
use crate::{BlockSite, Pass, Site, Value};

/// x + attention(norm(x)), or x + attention(x) where no norm comes first.
pub(super) fn attend(
    pass: &mut Pass<'_>,
    attention: &Attention,
    norm: Option<Norm>,
    x: &Value,
    layer: usize,
) -> Value {
    use BlockSite::{AttnOut, Ln1};
    let at = |site| Site::block(layer, site);
    let is_open =
        pass.watched_in_block(layer, attention.sites()) || norm.is_some() && pass.watched(at(Ln1));
    let attn_out = if is_open {
        let normed = normed(pass, norm, x, at(Ln1));
        attention.forward(pass, normed.as_ref().unwrap_or(x), layer)
    } else {
        let z = attention.fused(pass, norm, x, layer);
        if pass.dropout() == 0.0 && !pass.watched(at(AttnOut)) {
            return LinearOnto::joining(pass, attention.out, &z, Some(x));
        }
        attention.out.call(pass, &z)
    };
    join(pass, x, attn_out, at(AttnOut))
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
