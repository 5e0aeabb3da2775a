//! Recording, editing and explaining every value of a run.
//!
//! Level 4. [`record`] runs a model once and keeps the chosen [sites](glassformer_model::Site); [`Replay`] keeps what is needed
//! to answer for all of them later; [`Edit`] changes values on the way; [`cell`] tells of one number from which others it was made; [`lens`] reads the residual stream as words.

pub mod cell;
mod edit;
pub mod heads;
pub mod lens;
pub mod map;
pub mod neighbours;
mod numbers;
mod recording;
mod replay;
mod select;
pub mod weight;
pub mod words;

pub use cell::{Cell, Source, Term};
pub use edit::{Change, Edit, Edits, Part, WeightEdit};
pub use numbers::Numbers;
pub use recording::{Cut, Recorded, Recording, record, record_edited, record_pair, to_safetensors};
pub use replay::{Replay, shapes};
pub use select::{Selection, TraceError};
