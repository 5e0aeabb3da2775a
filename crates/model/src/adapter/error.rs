//! What can be wrong with an adapter.

use std::path::PathBuf;

use glassformer_weights::WeightsError;

/// What can be wrong with an adapter, or with it on a model.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// A number that cannot be.
    #[error("{0}")]
    Config(String),
    /// `adapter_config.json` cannot be understood, or asks for what cannot be computed.
    #[error("adapter_config.json {0}")]
    File(String),
    /// A target that the model has not.
    #[error(
        "the model has no linear layer {name:?} that can be adapted; it has {all}, or name all-linear"
    )]
    Target {
        /// As asked for.
        name: String,
        /// Those that there are.
        all: String,
    },
    /// A tensor has no place.
    #[error("{path}: the tensor {tensor:?} {reason}")]
    Tensor {
        /// Which file.
        path: PathBuf,
        /// Which tensor.
        tensor: String,
        /// Why not.
        reason: String,
    },
    /// A file without tensors.
    #[error("{path} holds no adapter: there is no tensor in it")]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// A tensor is missing or does not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The base is not in memory in f32.
    #[error(
        "the model's matrices stay in their file; an adapter is merged into a model that is in memory"
    )]
    NotInMemory,
}
