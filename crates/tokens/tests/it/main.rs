//! One binary for all integration tests of this crate.

mod characters;
mod chat;
mod gpt2;
mod malformed;
mod round_trip;
mod support;
mod training;
