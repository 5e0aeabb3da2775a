//! One file per verb: its flags, and what it does.

pub(crate) mod bench;
pub(crate) mod chat;
pub(crate) mod convert;
pub(crate) mod embed;
pub(crate) mod eval;
pub(crate) mod explain;
pub(crate) mod film;
pub(crate) mod generate;
pub(crate) mod info;
pub(crate) mod running;
pub(crate) mod score;
pub(crate) mod similar;
pub(crate) mod tokenize;
pub(crate) mod trace;
pub(crate) mod train;
pub(crate) mod translate;
pub(crate) mod vectors;
