//! Files of weights: golden ones, round trips, and damaged ones.

mod gguf;
mod gguf_malformed;
mod llama2c;
mod malformed;
mod safetensors;
mod support;
mod writing;
