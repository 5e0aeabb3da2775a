//! What a kept text teaches its model: losses, gradients, steps of AdamW on a copy.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State as Shared};
use axum::http::header;
use axum::response::IntoResponse;
use glassformer_model::{Model, WeightName, WeightView};
use glassformer_trace::{Replay, Selection};
use glassformer_train::lesson::{self, Lesson, WeightGradient};
use glassformer_train::{Options, memory};
use glassformer_weights::{FloatType, NamedTensor, safetensors};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Token;
use super::table::list;
use crate::error::ApiError;
use crate::state::{self, State};

/// The most steps of one lesson.
const MAX_STEPS: usize = 32;

#[derive(Deserialize)]
pub(crate) struct Asked {
    /// The parameter of which one number is watched; that with the largest gradient in the last block's W_down without it.
    weight: Option<String>,
    /// Its row and column; where the gradient is largest without it.
    at: Option<String>,
    #[serde(default = "eight")]
    steps: usize,
    #[serde(default = "gentle")]
    learning_rate: f64,
}

fn eight() -> usize {
    8
}

/// A model that knows much already learns from one text in small steps.
fn gentle() -> f64 {
    1e-4
}

pub(crate) async fn lesson(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, ApiError> {
    let (state, trace) = state.trace_of_one(&id)?;
    let options = options(asked.learning_rate)?;
    state
        .compute(move |shared| run(shared, &trace, &asked, &options))
        .await
        .map(Json)
}

/// nanoGPT's optimiser, at this learning rate.
fn options(learning_rate: f64) -> Result<Options, ApiError> {
    if !(learning_rate > 0.0 && learning_rate <= 1.0) {
        return Err(ApiError::bad(format!(
            "the learning rate is {learning_rate}; it must lie above 0 and be at most 1"
        )));
    }
    let mut options = Options::preset("nano").expect("a preset of this crate");
    options.learning_rate = learning_rate;
    Ok(options)
}

fn run(
    shared: &state::Shared,
    trace: &Replay,
    asked: &Asked,
    options: &Options,
) -> Result<Value, ApiError> {
    let (model, pool) = (shared.model(), shared.pool());
    super::sample::continues(shared)?;
    check(model, trace)?;
    let learned = lesson::learn(model, pool, trace.ids(), &|_| false);
    let weights = lesson::by_weight(model, &learned.gradients);
    let (watched, view, at) = watched(model, asked, &weights)?;
    let count = asked.steps.clamp(1, MAX_STEPS);
    let steps = lesson::steps(model, pool, trace.ids(), (view, at), options, count);
    let targets = trace.ids()[1..].iter();
    let targets: Vec<Token> = targets
        .map(|&id| Token::new(shared.tokenizer(), id))
        .collect();
    let Options {
        learning_rate,
        beta1,
        beta2,
        eps,
        weight_decay,
        clip,
        ..
    } = *options;
    let shortest = super::table::shortest;
    Ok(json!({
        "targets": targets,
        "losses": learned.losses,
        "loss": mean(&learned.losses),
        "weights": weights.iter().map(weight).collect::<Vec<_>>(),
        "options": {
            "learning_rate": learning_rate, "beta1": shortest(beta1), "beta2": shortest(beta2), "eps": shortest(eps),
            "weight_decay": shortest(weight_decay), "clip": clip,
        },
        "watched": {"weight": watched.to_string(), "at": at},
        "steps": steps.steps.iter().map(step).collect::<Vec<_>>(),
        "losses_after": steps.losses,
        "loss_after": mean(&steps.losses),
    }))
}

/// Which number the steps are told of.
fn watched(
    model: &Model,
    asked: &Asked,
    weights: &[WeightGradient],
) -> Result<(WeightName, WeightView, [usize; 2]), ApiError> {
    let last = model.dimensions().n_layers - 1;
    let text = asked.weight.clone();
    let text = text.unwrap_or_else(|| format!("blocks.{last}.mlp.W_down"));
    let name: WeightName = text.parse().map_err(ApiError::bad)?;
    let missing = || ApiError::bad(format!("this model has no {name}"));
    let view = model.network.weight(name).ok_or_else(missing)?;
    let at = match &asked.at {
        Some(at) => place(at, view)?,
        None => weights
            .iter()
            .find(|weight| weight.name == name)
            .map_or([0, 0], |weight| weight.largest),
    };
    Ok((name, view, at))
}

fn place(text: &str, view: WeightView) -> Result<[usize; 2], ApiError> {
    let parts: Option<Vec<usize>> = text.split(',').map(|i| i.trim().parse().ok()).collect();
    let within = |&[r, c]: &[usize; 2]| r < view.rows && c < view.cols;
    parts
        .and_then(|parts| <[usize; 2]>::try_from(parts).ok())
        .filter(within)
        .ok_or_else(|| {
            let (rows, cols) = (view.rows - 1, view.cols - 1);
            ApiError::bad(format!(
                "{text:?} is no place of this parameter; places lie between 0,0 and {rows},{cols}"
            ))
        })
}

/// Refuses what no gradient can be had of.
fn check(model: &Model, trace: &Replay) -> Result<(), ApiError> {
    if trace.ids().len() < 2 {
        let message = "a lesson needs two tokens: one to read, and the next to be guessed";
        return Err(ApiError::bad(message));
    }
    if !trace.edits().is_empty() {
        let message = "a lesson is of the model as it is: take the changes of this run back, or ask the untouched run";
        return Err(ApiError::bad(message));
    }
    if !model.parameters.are_in_memory() {
        let message = "this model's weights stay in their file as they are stored, so no step can be taken on them; convert it to f32 for a lesson";
        return Err(ApiError::bad(message));
    }
    let options = Options {
        batch_size: 1,
        n_ctx: trace.ids().len() - 1,
        ..Options::preset("nano").expect("a preset of this crate")
    };
    let needs = memory::Needs::of(&options, &model.dimensions()).total();
    match memory::available() {
        Some(available) if needs > available => Err(ApiError::bad(format!(
            "a lesson on this model needs {} of memory and {} are free",
            memory::gigabytes(needs),
            memory::gigabytes(available)
        ))),
        _ => Ok(()),
    }
}

fn mean(losses: &[f32]) -> f64 {
    let sum: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
    sum / losses.len() as f64
}

fn weight(weight: &WeightGradient) -> Value {
    json!({
        "name": weight.name.to_string(), "shape": weight.shape, "norm": weight.norm,
        "largest": weight.largest, "value": weight.value,
    })
}

fn step(step: &lesson::Step) -> Value {
    let change = step.change;
    json!({
        "loss": step.loss, "grad_norm": step.grad_norm, "scale": step.scale,
        "before": change.before, "gradient": change.gradient,
        "m_before": change.moments_before[0], "v_before": change.moments_before[1],
        "m": change.moments[0], "v": change.moments[1],
        "m_hat": change.corrected[0], "v_hat": change.corrected[1],
        "decay": change.decay, "update": change.update, "after": change.after,
    })
}

#[derive(Deserialize)]
pub(crate) struct Which {
    sites: String,
    rows: Option<String>,
}

/// The gradient of the mean loss with respect to values of the run, as tensors by the sites' names.
pub(crate) async fn gradients(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Query(which): Query<Which>,
) -> Result<impl IntoResponse, ApiError> {
    let (state, trace) = state.trace_of_one(&id)?;
    let selection = Selection::for_network(&which.sites, &*state.shared().model().network)?;
    let positions = trace.ids().len() - 1;
    let rows = which.rows.as_deref();
    let rows = rows.map(|rows| list(rows, positions)).transpose()?;
    let bytes = state
        .compute(move |shared| {
            super::sample::continues(shared)?;
            check(shared.model(), &trace)?;
            let wanted = |site| selection.has(site) && lesson::is_differentiated(site);
            let (model, pool) = (shared.model(), shared.pool());
            let learned = lesson::learn(model, pool, trace.ids(), &wanted);
            to_file(&learned, rows.as_deref())
        })
        .await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes))
}

fn to_file(learned: &Lesson, rows: Option<&[usize]>) -> Result<Vec<u8>, ApiError> {
    if learned.sites.is_empty() {
        let message =
            "none of these sites has a gradient here; ask for sites such as blocks.*.resid_post";
        return Err(ApiError::bad(message));
    }
    let cut: Vec<(Vec<usize>, Vec<f32>)> = learned
        .sites
        .iter()
        .map(|site| {
            let Some(rows) = rows else {
                return (site.shape.clone(), site.data.clone());
            };
            let width = site.data.len() / site.shape[0];
            let data = rows.iter().flat_map(|&r| &site.data[r * width..][..width]);
            let shape = [&[rows.len()], &site.shape[1..]].concat();
            (shape, data.copied().collect())
        })
        .collect();
    let tensors: Vec<NamedTensor<'_>> = learned
        .sites
        .iter()
        .zip(&cut)
        .map(|(site, (shape, data))| NamedTensor {
            name: site.site.to_string(),
            shape: shape.clone(),
            data,
        })
        .collect();
    safetensors::to_bytes(&tensors, FloatType::F32, &BTreeMap::new())
        .map_err(|error| ApiError::bad(error.to_string()))
}
