//! The program as its users meet it.

mod bad_input;
mod bench;
mod convert;
mod embed;
mod film;
mod generate;
mod hub;
mod hub_server;
mod lora;
mod pairs;
mod score;
mod support;
mod survive;
mod trace;
mod translate;
