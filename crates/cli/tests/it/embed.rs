//! `embed` and `similar` on the built-in model, a decoder, whose vectors mean little but are what the engine computes.
