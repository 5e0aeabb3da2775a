//! The draw, and the loop around it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Shared;
use axum::extract::rejection::JsonRejection;
use glassformer_generate::{Candidate, Distribution, Generation, Sampling, Step, TextStream, Work};
use glassformer_model::Site;
use glassformer_trace::Replay;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Token;
use super::edited::EditedLoop;
use super::run::{Asked, Prompt, body};
use crate::error::ApiError;
use crate::state::{self, State};

#[derive(Deserialize)]
pub(crate) struct SampleRequest {
    trace: String,
    #[serde(default)]
    step: u64,
    k: Option<usize>,
    #[serde(flatten)]
    sampling: Sampling,
}

pub(crate) async fn sample(
    Shared(state): Shared<State>,
    request: Result<Json<SampleRequest>, JsonRejection>,
) -> Result<Json<Value>, ApiError> {
    let request = body(request)?;
    let (state, trace) = state.trace_of_one(&request.trace)?;
    state
        .compute(move |shared| draw(shared, &trace, &request))
        .await
        .map(Json)
}

fn draw(
    shared: &state::Shared,
    trace: &Replay,
    request: &SampleRequest,
) -> Result<Value, ApiError> {
    request
        .sampling
        .check()
        .map_err(|error| ApiError::bad(error.to_string()))?;
    let logits = trace.kept().get(Site::Logits)?;
    let vocab = shared.model().dimensions().vocab;
    let last = &logits.data[logits.data.len() - vocab..];
    let distribution = request.sampling.distribution(last, trace.ids());
    let u = request.sampling.draw_number(request.step);
    let chosen = distribution.draw(u.unwrap_or(0.0));
    let most = request.k.unwrap_or(200).min(vocab);
    let mut cumulative = 0.0;
    let candidates: Vec<Value> = distribution.candidates[..most]
        .iter()
        .enumerate()
        .map(|(i, candidate)| {
            cumulative += f64::from(candidate.final_prob);
            to_json(shared, candidate, i < distribution.kept, cumulative)
        })
        .collect();
    Ok(json!({
        "candidates": candidates,
        "total": vocab,
        "kept": distribution.kept,
        "u": u,
        "chosen": Token::new(shared.tokenizer(), chosen.id),
    }))
}

fn to_json(shared: &state::Shared, candidate: &Candidate, kept: bool, cumulative: f64) -> Value {
    let Token { id, text, bytes } = Token::new(shared.tokenizer(), candidate.id);
    json!({
        "id": id, "text": text, "bytes": bytes,
        "logit": candidate.logit, "scaled": candidate.scaled, "prob": candidate.prob,
        "kept": kept, "final_prob": candidate.final_prob, "cumulative": cumulative,
    })
}

#[derive(Deserialize)]
pub(crate) struct GenerateRequest {
    #[serde(flatten)]
    asked: Asked,
    #[serde(default = "sixteen")]
    max_tokens: usize,
    #[serde(default)]
    stop: Vec<String>,
    /// A kept trace with edits: its text goes on with them.
    trace: Option<String>,
    /// One that was trained here; that of the trace, or the server's own, without it.
    model: Option<String>,
    #[serde(flatten)]
    sampling: Sampling,
}

fn sixteen() -> usize {
    16
}

/// The longest loop of one request.
const MAX_TOKENS: usize = 512;

pub(crate) async fn generate(
    Shared(state): Shared<State>,
    request: Result<Json<GenerateRequest>, JsonRejection>,
) -> Result<Json<Value>, ApiError> {
    let request = body(request)?;
    let (state, trace) = match &request.trace {
        Some(id) => state
            .trace_of_one(id)
            .map(|(state, trace)| (state, Some(trace)))?,
        None => (state.on(request.model.as_deref())?, None),
    };
    let edited = trace.filter(|trace| !trace.edits().is_empty());
    state
        .compute(move |shared| run_loop(shared, edited.as_deref(), &request))
        .await
        .map(Json)
}

fn run_loop(
    shared: &state::Shared,
    edited: Option<&Replay>,
    request: &GenerateRequest,
) -> Result<Value, ApiError> {
    request
        .sampling
        .check()
        .map_err(|error| ApiError::bad(error.to_string()))?;
    let (model, tokenizer) = (shared.model(), shared.tokenizer());
    continues(shared)?;
    let prompt = match edited {
        Some(trace) => trace.ids().to_vec(),
        None => Prompt::read(shared, &request.asked)?.ids,
    };
    let mut text_goes_on = match edited {
        Some(trace) => Looped::Edited(EditedLoop::new(
            shared,
            Arc::clone(trace.edits()),
            &prompt,
            request.sampling,
        )),
        None => Looped::Plain(Generation::new(
            model,
            shared.pool(),
            &prompt,
            request.sampling,
            Work::Cached,
        )),
    };
    let mut stream = TextStream::new(tokenizer, &request.stop);
    let (mut steps, mut text) = (Vec::new(), String::new());
    for _ in 0..request.max_tokens.min(MAX_TOKENS) {
        let Some((step, distribution)) = text_goes_on.step() else {
            break;
        };
        steps.push(step_json(shared, step, distribution));
        if tokenizer.end_of_text() == Some(step.id) {
            break;
        }
        text += &stream.push(step.id);
        if stream.stopped() {
            break;
        }
    }
    text += &stream.finish();
    Ok(json!({"prompt_tokens": prompt.len(), "steps": steps, "text": text}))
}

/// Refuses models that cannot go on with a text.
pub(super) fn continues(shared: &state::Shared) -> Result<(), ApiError> {
    let checked = shared.model().check_continues(&shared.explained.name);
    checked.map_err(|error| ApiError::bad(error.to_string()))
}

/// The loop with its cache, or with edits and without.
enum Looped<'a> {
    Plain(Generation<'a>),
    Edited(EditedLoop<'a>),
}

impl Looped<'_> {
    fn step(&mut self) -> Option<(Step, &Distribution)> {
        match self {
            Self::Plain(generation) => Some((generation.step(), generation.distribution())),
            Self::Edited(edited) => Some((edited.step()?, edited.distribution())),
        }
    }
}

fn step_json(shared: &state::Shared, step: Step, distribution: &Distribution) -> Value {
    let top: Vec<Value> = distribution.candidates[..distribution.kept.min(5)]
        .iter()
        .map(|candidate| {
            let Token { id, text, bytes } = Token::new(shared.tokenizer(), candidate.id);
            json!({"id": id, "text": text, "bytes": bytes, "prob": candidate.final_prob})
        })
        .collect();
    let Token { id, text, bytes } = Token::new(shared.tokenizer(), step.id);
    json!({
        "id": id, "text": text, "bytes": bytes, "prob": step.prob, "position": step.position,
        "cached": step.cached, "computed": step.computed, "top": top,
    })
}
