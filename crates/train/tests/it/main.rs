//! One binary for all integration tests of this crate.

mod data;
mod memory;
mod parity;
mod resume;
mod runs;
mod steps;
