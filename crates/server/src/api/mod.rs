//! One file per group of routes; `docs/api.md` describes them.

mod edited;
mod edits;
mod explain;
mod lesson;
mod pair;
mod run;
mod sample;
mod table;
mod train;
mod vocabulary;

use axum::Router;
use axum::routing::{get, post};
use glassformer_tokens::Tokenizer;
use serde::Serialize;

use crate::state::State;

pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/model", get(table::model))
        .route("/models", get(table::models))
        .route("/vocab", get(table::vocab))
        .route("/neighbours", get(vocabulary::neighbours))
        .route("/cosines", get(vocabulary::cosine))
        .route("/map", get(vocabulary::plane))
        .route("/sum", get(vocabulary::sum))
        .route("/weights", get(table::weights))
        .route("/trace", post(run::trace))
        .route("/trace/{id}/tensors", get(explain::tensors))
        .route("/trace/{id}/lens", get(explain::lens))
        .route("/trace/{id}/guesses", get(explain::guesses))
        .route("/trace/{id}/heads", get(explain::heads))
        .route("/trace/{id}/cell", get(explain::cell))
        .route("/trace/{id}/lesson", get(lesson::lesson))
        .route("/trace/{id}/gradients", get(lesson::gradients))
        .route("/sample", post(sample::sample))
        .route("/generate", post(sample::generate))
        .route(
            "/train",
            get(train::state).post(train::start).delete(train::stop),
        )
}

/// A token as the page shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Token {
    pub(crate) id: u32,
    /// `null` where the bytes are not whole characters.
    pub(crate) text: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

impl Token {
    pub(crate) fn new(tokenizer: &Tokenizer, id: u32) -> Self {
        Self {
            id,
            text: tokenizer.token_text(id),
            bytes: tokenizer.token_bytes(id).to_vec(),
        }
    }
}
