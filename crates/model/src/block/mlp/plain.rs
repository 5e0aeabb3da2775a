//! The MLP of the original Transformer.

use super::{Activation, Neurons, NormMlp};
use crate::block::{Linear, LinearOnto, Norm};
use crate::{BlockSite, Pass, Site, Value};

/// mlp_out = f(x·W_up + b_up)·W_down + b_down (Vaswani et al. 2017, eq. 2).
#[derive(Clone, Copy, Debug)]
pub struct PlainMlp {
    /// D → F.
    pub up: Linear,
    /// f.
    pub activation: Activation,
    /// F → D.
    pub down: Linear,
}

impl PlainMlp {
    pub(super) fn forward(&self, pass: &mut Pass<'_>, x: &Value, layer: usize) -> Value {
        let at = |site| Site::block(layer, site);
        let mut pre = self.up.call(pass, x);
        pass.tap(at(BlockSite::MlpPre), &mut pre, &[self.up.d_out]);
        let mut post = pass.apply(self.activation, [&pre]);
        pass.tap(at(BlockSite::MlpPost), &mut post, &[self.up.d_out]);
        self.down.call(pass, &post)
    }

    pub(super) fn fused(
        &self,
        pass: &mut Pass<'_>,
        norm: Option<Norm>,
        x: &Value,
        joined: bool,
    ) -> Value {
        let (run, is_one) = (pass.run(), self.is_one(pass, x));
        let whole = norm.and_then(|norm| NormMlp::new(norm, *self, joined));
        // Its backward pass brings gradients of weights, which are not wanted beside an adapter.
        let is_trained = !(run.keeps && run.parameters.adapter().is_some());
        let is_whole = is_one && is_trained && !self.down.is_adapted(run);
        if let Some(layer) = whole.filter(|_| is_whole) {
            return pass.apply(layer, [x]);
        }
        let normed = norm.map(|norm| pass.apply(norm, [x]));
        let inner = normed.as_ref().unwrap_or(x);
        let post = if is_one {
            let neurons = Neurons {
                up: self.up,
                activation: self.activation,
            };
            pass.apply(neurons, [inner])
        } else {
            let pre = self.up.call(pass, inner);
            pass.apply(self.activation, [&pre])
        };
        LinearOnto::joining(pass, self.down, &post, joined.then_some(x))
    }

    /// Whether the products can hand tiles to each other: both have their operand at hand, for more than a few rows, and
    /// nothing is added between them.
    fn is_one(&self, pass: &Pass<'_>, x: &Value) -> bool {
        let (run, rows) = (pass.run(), x.tensor().rows());
        !self.up.runs_in_place(run, rows)
            && !self.up.is_adapted(run)
            && [self.up, self.down]
                .iter()
                .all(|linear| linear.has_operand(run, rows))
    }
}
