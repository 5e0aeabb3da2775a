//! Ring 3 for generation: greedy text as transformers gives it, and the cache against the simple version.

mod cached;
mod greedy;
mod support;
mod text;
