//! Rings 2 and 3: every layer against finite differences, every site and gradient against PyTorch.

mod cache;
mod layer_check;
mod layers;
mod loss;
mod network;
mod parity;
mod support;
