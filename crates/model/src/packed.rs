//! Weights laid out for products once, for a model that is only run.

use std::collections::HashMap;

use glassformer_kernels::product::{Precision, Right};
use glassformer_tensor::ops::product::PackedRight;
use glassformer_tensor::{Buffers, Pool};

use crate::block::Linear;
use crate::{ParamId, Parameters};

/// The B operands of a model's linear layers. They do not follow the parameters: pack anew when those change.
#[derive(Debug)]
pub struct PackedWeights {
    precision: Precision,
    weights: HashMap<ParamId, PackedRight>,
}

impl PackedWeights {
    /// Lays out the weights of `layers` in `precision`.
    pub fn new(
        pool: &Pool,
        parameters: &Parameters,
        precision: Precision,
        layers: &[Linear],
    ) -> Self {
        let buffers = Buffers::new();
        let pack = |linear: &Linear| {
            let packed = linear.forward_operand(pool, &buffers, parameters, precision);
            (linear.weight, packed)
        };
        Self {
            precision,
            weights: layers.iter().map(pack).collect(),
        }
    }

    /// What the weights were rounded to.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// One layer's weights.
    pub fn get(&self, weight: ParamId) -> Option<Right<'_>> {
        self.weights.get(&weight).map(PackedRight::view)
    }

    /// Bytes of all of them: what decoding one token reads.
    pub fn bytes(&self) -> usize {
        self.weights.values().map(PackedRight::bytes).sum()
    }
}
