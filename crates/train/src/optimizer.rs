//! AdamW over the flat arena, with clipping and groups.

use glassformer_kernels::adamw::AdamW;
use glassformer_kernels::memory::Block;
use glassformer_model::{Gradients, PackedWeights, Trainable};
use glassformer_tensor::{Pool, ops::optimizer};

use crate::Options;

/// The optimiser's memory: two numbers for each parameter, and how many steps were taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    /// First moments.
    pub m: Block,
    /// Second moments.
    pub v: Block,
    /// Steps taken.
    pub step: u64,
}

impl Optimizer {
    /// For `len` parameters.
    pub fn new(len: usize) -> Self {
        Self {
            m: Block::zeros(len),
            v: Block::zeros(len),
            step: 0,
        }
    }

    /// One step with gradients summed over the batch's mean, which are forgotten afterwards; returns the norm of the
    /// gradient before clipping. Operands that follow the weights are up to date again.
    pub fn step<'a>(
        &mut self,
        pool: &Pool,
        trainable: impl Into<Trainable<'a>>,
        gradients: &mut Gradients,
        options: &Options,
        learning_rate: f64,
    ) -> f64 {
        let Trainable { parameters, packed } = trainable.into();
        gradients.settle(pool);
        let norm = optimizer::norm(pool, gradients.arena());
        let gradient_scale = clipping(norm, options.clip);
        self.step += 1;
        let step = self.step;
        let groups = parameters.decay_groups().map(|(range, decays)| {
            let adamw = AdamW {
                learning_rate: learning_rate as f32,
                betas: (options.beta1, options.beta2),
                eps: options.eps,
                weight_decay: if decays { options.weight_decay } else { 0.0 },
                step,
                gradient_scale,
            };
            (range, adamw)
        });
        let moments = [&mut *self.m, &mut *self.v];
        let theta = parameters.arena_mut();
        let matrices = packed.into_iter().flat_map(PackedWeights::follow);
        optimizer::step(pool, theta, moments, gradients.arena(), &groups, matrices);
        gradients.forget();
        norm
    }
}

/// What gradients of this `norm` are multiplied by so that they are no longer than `clip`.
pub(crate) fn clipping(norm: f64, clip: f64) -> f32 {
    if clip > 0.0 && norm > clip {
        (clip / (norm + 1e-6)) as f32
    } else {
        1.0
    }
}
