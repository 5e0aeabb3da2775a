//! The API as the page uses it, on the built-in model, without a socket.

mod api;
mod edits;
mod guard;
mod kinds;
mod lesson;
mod support;
mod train;
mod vocabulary;
