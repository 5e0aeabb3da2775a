//! What can be wrong with a file of weights.

use std::io;
use std::path::PathBuf;

/// Each message is one line: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file cannot be opened or mapped.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what its name says.
    #[error("{path} is damaged or not a safetensors file: {reason}; get it again, or use an earlier checkpoint", path = path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// A tensor is not there.
    #[error("{path} has no tensor {name}: these weights are of another model than their config.json says", path = path.display())]
    Missing {
        /// Which file.
        path: PathBuf,
        /// Which tensor.
        name: String,
    },
    /// A tensor has another shape.
    #[error("{path}: {name} has shape {found:?} but config.json asks for {expected:?}", path = path.display())]
    Shape {
        /// Which file.
        path: PathBuf,
        /// Which tensor.
        name: String,
        /// As the config asks.
        expected: Vec<usize>,
        /// As it stands in the file.
        found: Vec<usize>,
    },
    /// A tensor's numbers are of a kind that cannot be weights.
    #[error("{path}: {name} is {found}; F32, F16 and BF16 can be read", path = path.display())]
    Type {
        /// Which file.
        path: PathBuf,
        /// Which tensor.
        name: String,
        /// The type in the file.
        found: String,
    },
}
