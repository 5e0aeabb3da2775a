//! What is recorded is what was computed, every stage follows from the ones before it, and edits do what they say.

mod edits;
mod explain;
mod files;
mod hand;
mod map;
mod reading;
mod recording;
mod replay;
mod stages;
mod support;
