//! Recording, editing and explaining every value of a run.
//!
//! Level 4. [`record`] runs a model once and keeps the chosen [sites](glassformer_model::Site); [`Edit`] changes values
//! on the way; [`cell`] tells of one number from which others it was made; [`lens`] reads the residual stream as words.

pub mod cell;
mod edit;
pub mod lens;
pub mod neighbours;
mod numbers;
mod recording;
mod select;
pub mod weight;

pub use cell::{Cell, Source, Term};
pub use edit::{Change, Edit, Part};
pub use numbers::Numbers;
pub use recording::{Recorded, Recording, record};
pub use select::{Selection, TraceError};
