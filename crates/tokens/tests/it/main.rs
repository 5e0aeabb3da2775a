//! One binary for all integration tests of this crate.

mod characters;
mod chat;
mod gguf;
mod gpt2;
mod malformed;
mod prompt;
mod round_trip;
mod shapes;
mod support;
mod to_gguf;
mod training;
