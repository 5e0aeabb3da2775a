//! Files of weights: golden ones, round trips, and damaged ones.

mod gguf;
mod llama2c;
mod support;
mod writing;
