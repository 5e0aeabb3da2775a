//! The gated MLP of Llama and its kin.

use glassformer_kernels::product::Precision;

use super::{Activation, Gate};
use crate::block::{Linear, LinearOnto, Norm, RoundedLinear};
use crate::{BlockSite, Pass, Site, Value};

/// mlp_out = (f(x·W_gate)∘(x·W_up))·W_down (Shazeer 2020, eq. 6 with f = SiLU), with biases where a family has them.
///
/// The site `mlp_pre` is what f gets, `mlp_up` what f's values are multiplied with, `mlp_post` what W_down gets.
#[derive(Clone, Copy, Debug)]
pub struct GatedMlp {
    /// D → 2F: W_gate and W_up side by side.
    pub gate_up: Linear,
    /// f.
    pub activation: Activation,
    /// F → D.
    pub down: Linear,
}

impl GatedMlp {
    pub(super) fn forward(&self, pass: &mut Pass<'_>, x: &Value, layer: usize) -> Value {
        let (at, f) = (|site| Site::block(layer, site), self.down.d_in);
        let mut gate_up = self.gate_up.call(pass, x);
        pass.tap_columns(at(BlockSite::MlpPre), &mut gate_up, 0..f, &[f]);
        pass.tap_columns(at(BlockSite::MlpUp), &mut gate_up, f..2 * f, &[f]);
        let mut post = pass.apply(self.gate(Precision::F32), [&gate_up]);
        pass.tap(at(BlockSite::MlpPost), &mut post, &[f]);
        self.down.call(pass, &post)
    }

    pub(super) fn fused(
        &self,
        pass: &mut Pass<'_>,
        norm: Option<Norm>,
        x: &Value,
        joined: bool,
    ) -> Value {
        let (run, rows) = (pass.run(), x.tensor().rows());
        // In pairs of numbers each half of a row must be whole words.
        let in_pairs = self.down.d_in.is_multiple_of(2)
            && self.gate_up.has_operand(run, rows)
            && !self.gate_up.runs_in_place(run, rows);
        let kept = if in_pairs {
            run.precision
        } else {
            Precision::F32
        };
        let first = RoundedLinear {
            linear: self.gate_up,
            kept,
        };
        let gate_up = first.behind(pass, norm, x);
        let reads = self.down.reads(run, rows);
        let post = pass.apply(self.gate(reads), [&gate_up]);
        LinearOnto::joining(pass, self.down, &post, joined.then_some(x))
    }

    fn gate(&self, kept: Precision) -> Gate {
        Gate {
            activation: self.activation,
            kept,
        }
    }
}
