//! `/api/train`: a small model on a visitor's text, started, watched, stopped.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Query, State as Shared};
use glassformer_train::{Options, Trainer, Vocabulary, setup};
use serde::Deserialize;
use serde_json::{Value, json};

use super::run::body;
use crate::error::ApiError;
use crate::state::State;
use crate::training::{self, Plan, Run};

/// Characters of the shortest text: less says nothing.
const LEAST: usize = 200;
/// Bytes of the longest.
const MOST: usize = 1_000_000;
/// The most tokens of a vocabulary: all bytes, and as many merges, which are learned from the text.
const VOCABULARY: usize = 512;
/// Steps of a run.
const STEPS: std::ops::RangeInclusive<u64> = 1..=5_000;
/// Characters of a sample's beginning.
const PROMPT: usize = 12;
/// Characters that the page begins with on the trained model.
const BEGIN: usize = 24;

#[derive(Deserialize)]
pub(crate) struct TrainRequest {
    text: String,
    #[serde(default = "tiny")]
    preset: String,
    steps: Option<u64>,
    learning_rate: Option<f64>,
}

fn tiny() -> String {
    "tiny".to_owned()
}

/// The sizes that can be asked for: small enough for one thread and a visitor's patience.
fn preset(name: &str) -> Result<(&'static str, Options), ApiError> {
    let nano = Options {
        vocabulary: Vocabulary::Bpe(VOCABULARY),
        ..Options::preset("nano").expect("a preset of that crate")
    };
    let tiny = Options {
        n_layers: 2,
        n_heads: 2,
        d_model: 64,
        n_ctx: 32,
        steps: 500,
        learning_rate: 3e-3,
        min_learning_rate: 3e-4,
        ..nano.clone()
    };
    let small = Options {
        steps: 1_000,
        learning_rate: 2e-3,
        min_learning_rate: 2e-4,
        ..nano
    };
    match name {
        "tiny" => Ok(("tiny", tiny)),
        "small" => Ok(("small", small)),
        _ => Err(ApiError::bad(format!(
            "there is no preset {name:?}; choose tiny or small"
        ))),
    }
}

fn options(request: &TrainRequest) -> Result<(&'static str, Options), ApiError> {
    let (name, mut options) = preset(&request.preset)?;
    options.steps = request.steps.unwrap_or(options.steps);
    if !STEPS.contains(&options.steps) {
        let (least, most) = (STEPS.start(), STEPS.end());
        return Err(ApiError::bad(format!(
            "{} steps; choose between {least} and {most}",
            options.steps
        )));
    }
    if let Some(rate) = request.learning_rate {
        if !(rate > 0.0 && rate <= 1.0) {
            return Err(ApiError::bad(format!(
                "the learning rate is {rate}; it must lie above 0 and be at most 1"
            )));
        }
        options.learning_rate = rate;
        options.min_learning_rate = rate / 10.0;
    }
    options.warmup = (options.steps / 20).min(options.warmup);
    options.eval_every = (options.steps / 20).max(5);
    options.eval_batches = 8;
    Ok((name, options))
}

pub(crate) async fn start(
    Shared(state): Shared<State>,
    request: Result<Json<TrainRequest>, JsonRejection>,
) -> Result<Json<Value>, ApiError> {
    let request = body(request)?;
    let (name, mut options) = options(&request)?;
    let text = request.text;
    check(&text)?;
    let prompt: String = text.trim_start().chars().take(PROMPT).collect();
    options.sample_prompts = vec![prompt.clone()];
    let fingerprint = training::fingerprint(text.bytes());
    let begin_with: String = text.trim_start().chars().take(BEGIN).collect();
    let trainer = state
        .compute(move |shared| {
            setup::in_memory(&text, options, shared.pool())
                .map_err(|error| ApiError::bad(error.to_string()))
        })
        .await?;
    let plan = plan(name, &trainer, prompt, fingerprint);
    training::start(state.common(), plan, trainer, begin_with)?;
    Ok(Json(answer(&state, 0)))
}

fn check(text: &str) -> Result<(), ApiError> {
    let count = text.trim().chars().count();
    if count < LEAST {
        return Err(ApiError::bad(format!(
            "a text of {count} characters is too short to learn from; give at least {LEAST}"
        )));
    }
    if text.len() > MOST {
        return Err(ApiError::bad(format!(
            "a text of {} bytes is too long to be trained on here; give at most {MOST}, or train on the command line",
            text.len()
        )));
    }
    Ok(())
}

fn plan(preset: &'static str, trainer: &Trainer, prompt: String, fingerprint: u64) -> Plan {
    let options = &trainer.options;
    Plan {
        preset,
        steps: options.steps,
        learning_rate: options.learning_rate,
        n_layers: options.n_layers,
        d_model: options.d_model,
        n_ctx: options.n_ctx,
        vocab: trainer.tokenizers.source.vocab_size(),
        parameters: trainer.model.parameters.layout().len(),
        tokens: trainer.material.corpus(),
        prompt,
        fingerprint,
    }
}

#[derive(Deserialize)]
pub(crate) struct Since {
    /// Losses of later steps only.
    #[serde(default)]
    since: usize,
}

pub(crate) async fn state(
    Shared(state): Shared<State>,
    Query(Since { since }): Query<Since>,
) -> Json<Value> {
    Json(answer(&state, since))
}

pub(crate) async fn stop(Shared(state): Shared<State>) -> Json<Value> {
    state.common().training.stop();
    Json(answer(&state, 0))
}

/// Where the newest run stands, with the losses of the steps after `since`.
fn answer(state: &State, since: usize) -> Value {
    match &*state.common().training.newest() {
        Some(run) => told(run, since),
        None => json!({"run": null}),
    }
}

fn told(run: &Run, since: usize) -> Value {
    let plan = &run.plan;
    let since = since.min(run.losses.len());
    let points = run.validation.iter();
    let validation: Vec<Value> = points
        .map(|(step, loss)| json!({"step": step, "loss": finite(*loss)}))
        .collect();
    let samples = run.samples.iter();
    let samples: Vec<Value> = samples
        .map(|(step, text)| json!({"step": step, "text": text}))
        .collect();
    json!({
        "run": run.id,
        "phase": run.phase.name(),
        "preset": plan.preset, "steps": plan.steps, "learning_rate": plan.learning_rate,
        "n_layers": plan.n_layers, "d_model": plan.d_model, "n_ctx": plan.n_ctx, "vocab": plan.vocab,
        "parameters": plan.parameters, "tokens": plan.tokens, "prompt": plan.prompt,
        "step": run.losses.len(), "since": since, "losses": run.losses[since..],
        "validation": validation, "samples": samples,
        "tokens_per_s": run.tokens_per_s, "seconds": run.seconds,
        "model": run.model, "error": run.error,
    })
}

/// A loss that is no number is null.
fn finite(loss: f64) -> Option<f64> {
    loss.is_finite().then_some(loss)
}
