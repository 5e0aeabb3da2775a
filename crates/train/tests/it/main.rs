//! One binary for all integration tests of this crate.

mod adapters;
mod average;
mod data;
mod lesson;
mod memory;
mod parity;
mod resume;
mod runs;
mod steps;
mod translation;
