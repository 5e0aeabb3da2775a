//! Corpora, optimiser, checkpoints and the training loop.
//!
//! Level 4. [`data`] turns text into batches, [`Trainer`] is the loop, [`checkpoint`] makes a run go on bit for bit.

pub mod adapter;
mod asked;
pub mod average;
pub mod checkpoint;
pub mod data;
mod error;
pub mod lesson;
mod material;
pub mod memory;
pub mod metrics;
mod optimizer;
mod options;
mod presets;
mod samples;
pub mod schedule;
pub mod setup;
mod source;
mod trainer;
mod translation;
mod window;

pub use error::TrainError;
pub use material::{Batch, Material};
pub use optimizer::Optimizer;
pub use options::{Compute, Options, Vocabulary};
pub use presets::PRESETS;
pub use trainer::{Observer, Outcome, StepReport, Trainer, Workspace, gradient};
pub use translation::Translation;
