//! The kernels, split over the threads of a [`crate::Pool`].
//!
//! Splits are by whole rows, so results do not depend on which thread did what.

pub mod elementwise;
pub mod linear;
pub mod loss;
pub mod norm;
pub mod optimizer;
pub mod product;
pub mod quantised;
