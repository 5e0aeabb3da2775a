//! The trait that every trainable layer has: a pair of `forward` and `backward` in one file.

use glassformer_tensor::{Buffers, Pool, Tensor};

use crate::{Gradients, Parameters};

/// What every layer call may use: parameters, threads and memory.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The model's parameters.
    pub parameters: &'a Parameters,
    /// The threads.
    pub pool: &'a Pool,
    /// Where activations live.
    pub buffers: &'a Buffers,
}

impl Run<'_> {
    /// A tensor to be written in full.
    pub fn tensor(&self, shape: &[usize]) -> Tensor {
        Tensor::uninitialised(self.buffers, shape)
    }

    /// A tensor of the shape of another one, to be written in full.
    pub fn like(&self, other: &Tensor) -> Tensor {
        self.tensor(other.shape())
    }
}

/// What a backward call gets.
#[derive(Debug)]
pub struct Backward<'a, S> {
    /// What `forward` saved.
    pub saved: &'a S,
    /// The inputs of `forward`.
    pub inputs: &'a [&'a Tensor],
    /// The gradient of the loss with respect to the output.
    pub d_output: &'a Tensor,
}

/// A layer together with the arguments of one call (ids, a dropout mask): small and `Send`.
///
/// `backward` has no default: a layer that cannot train does not have this trait, so a model with such a layer
/// cannot be put on a tape by accident.
pub trait Layer: Send + 'static {
    /// What `forward` keeps for `backward` besides its inputs.
    type Saved: Send + 'static;

    /// The layer's equation. Shapes were checked when the parameters were bound; there is nothing to fail.
    fn forward(&self, run: Run<'_>, inputs: &[&Tensor]) -> (Tensor, Self::Saved);

    /// The gradient with respect to each input, in order; gradients of parameters are added to `gradients`.
    fn backward(
        &self,
        run: Run<'_>,
        call: &Backward<'_, Self::Saved>,
        gradients: &mut Gradients,
    ) -> Vec<Tensor>;
}
