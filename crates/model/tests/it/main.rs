//! Rings 2 and 3: every layer against finite differences, every site and gradient against PyTorch.

mod cache;
mod encoders;
mod fused;
mod fused_layers;
mod isa;
mod layer_check;
mod layers;
mod loss;
mod network;
mod parameters;
mod parity;
mod precision;
mod ragged;
mod recompute;
mod support;
