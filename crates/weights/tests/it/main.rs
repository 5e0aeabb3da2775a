//! Files of weights: golden ones, round trips, and damaged ones.

mod gguf;
mod support;
