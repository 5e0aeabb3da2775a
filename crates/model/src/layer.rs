//! The trait that every trainable layer has: a pair of `forward` and `backward` in one file.

use glassformer_kernels::product::Precision;
use glassformer_tensor::{Buffers, Pool, Tensor};

use crate::{Gradients, PackedWeights, Parameters};

/// What every layer call may use: parameters, threads, memory, and how exact products are.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The model's parameters.
    pub parameters: &'a Parameters,
    /// Weights laid out for products beforehand.
    pub packed: Option<&'a PackedWeights>,
    /// The threads.
    pub pool: &'a Pool,
    /// Where activations live.
    pub buffers: &'a Buffers,
    /// What operands of products are rounded to.
    pub precision: Precision,
    /// Whether a backward pass will follow, for which layers keep what they need.
    pub keeps: bool,
}

impl<'a> Run<'a> {
    /// In `f32`, nothing laid out beforehand, nothing kept.
    pub fn new(parameters: &'a Parameters, pool: &'a Pool, buffers: &'a Buffers) -> Self {
        Self {
            parameters,
            packed: None,
            pool,
            buffers,
            precision: Precision::F32,
            keeps: false,
        }
    }

    /// A tensor to be written in full.
    pub fn tensor(&self, shape: &[usize]) -> Tensor {
        Tensor::uninitialised(self.buffers, shape)
    }

    /// A tensor in a precision, to be written in full.
    pub fn in_precision(&self, precision: Precision, shape: &[usize]) -> Tensor {
        Tensor::in_precision(self.buffers, precision, shape)
    }

    /// A tensor of the shape of another one, to be written in full.
    pub fn like(&self, other: &Tensor) -> Tensor {
        self.tensor(other.shape())
    }
}

/// What a backward call of a layer with `N` inputs gets.
#[derive(Debug)]
pub struct Backward<'a, S, const N: usize> {
    /// What `forward` saved.
    pub saved: &'a S,
    /// The inputs of `forward`.
    pub inputs: [&'a Tensor; N],
    /// The output of `forward`, for layers that ask for it ([`Layer::NEEDS_OUTPUT`]).
    pub output: Option<&'a Tensor>,
    /// The gradient of the loss with respect to the output; a layer may pass it on as that of an input.
    pub d_output: Tensor,
    /// What has come together of the gradient of the first input, for layers that add to it ([`Layer::ADDS`]).
    pub sum: Option<Tensor>,
}

/// A layer of `N` inputs together with the arguments of one call (ids, a dropout mask): small and `Send`.
///
/// `backward` has no default: a layer that cannot train does not have this trait, so a model with such a layer
/// cannot be put on a tape by accident.
pub trait Layer<const N: usize>: Send + 'static {
    /// What `forward` keeps for `backward` besides its inputs.
    type Saved: Send + 'static;

    /// Whether `backward` reads the output.
    const NEEDS_OUTPUT: bool = false;

    /// Whether `backward` adds the gradient of its first input onto [`Backward::sum`] and returns the whole.
    const ADDS: bool = false;

    /// The layer's equation. Shapes were checked when the parameters were bound; there is nothing to fail.
    fn forward(&self, run: Run<'_>, inputs: [&Tensor; N]) -> (Tensor, Self::Saved);

    /// The gradient with respect to each input; gradients of parameters are added to `gradients`.
    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, Self::Saved, N>,
        gradients: &mut Gradients,
    ) -> [Tensor; N];
}
