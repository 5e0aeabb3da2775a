//! The numbers of a recorded value.

use std::ops::Deref;
use std::sync::Arc;

use glassformer_tensor::Tensor;

/// Row-major numbers: a tensor of the pass that was recorded, kept as it is, or an array of their own.
#[derive(Clone, Debug)]
pub enum Numbers {
    /// Not copied: recording it costs nothing but the memory.
    Shared(Tensor),
    /// A part of a tensor, copied.
    Owned(Arc<[f32]>),
}

impl Deref for Numbers {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Shared(tensor) => tensor.data(),
            Self::Owned(numbers) => numbers,
        }
    }
}

impl From<Vec<f32>> for Numbers {
    fn from(numbers: Vec<f32>) -> Self {
        Self::Owned(numbers.into())
    }
}

impl FromIterator<f32> for Numbers {
    fn from_iter<T: IntoIterator<Item = f32>>(numbers: T) -> Self {
        Self::Owned(numbers.into_iter().collect())
    }
}

impl PartialEq for Numbers {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
