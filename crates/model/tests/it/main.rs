//! Rings 2 and 3: every layer against finite differences, every site and gradient against PyTorch.

mod adapters;
mod agreement;
mod cache;
mod configs;
mod encoders;
mod export;
mod following;
mod fused;
mod fused_layers;
mod gguf;
mod isa;
mod layer_check;
mod layers;
mod loss;
mod network;
mod pairs;
mod parameters;
mod parity;
mod precision;
mod ragged;
mod recompute;
mod rope;
mod support;
mod translating;
