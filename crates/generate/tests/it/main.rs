//! Ring 3 for generation: greedy text as transformers gives it, the cache against the simple version, and what a token
//! allocates.

mod allocations;
mod cached;
mod embed;
mod greedy;
mod score;
mod support;
mod text;
mod translate;
