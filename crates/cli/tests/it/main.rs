//! The program as its users meet it.

mod bad_input;
mod bench;
mod generate;
mod lora;
mod support;
mod survive;
mod trace;
