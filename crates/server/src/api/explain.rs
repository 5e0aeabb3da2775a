//! Questions about a kept trace: its tensors, its logit lens, its heads, where a number comes from.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State as Shared};
use axum::http::header;
use axum::response::IntoResponse;
use glassformer_model::Site;
use glassformer_trace::heads::HeadView;
use glassformer_trace::{
    Cell, Cut, Selection, Source, Term, cell as cells, lens as lenses, to_safetensors,
};
use glassformer_weights::{FloatType, NamedTensor, safetensors};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Token;
use super::table::list;
use crate::error::ApiError;
use crate::state::{self, State};

#[derive(Deserialize)]
pub(crate) struct Which {
    sites: String,
    rows: Option<String>,
    cols: Option<String>,
}

pub(crate) async fn tensors(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Query(which): Query<Which>,
) -> Result<impl IntoResponse, ApiError> {
    let (state, trace) = state.trace(&id)?;
    let network = &*state.shared().model().network;
    let selection = Selection::for_network(&which.sites, network)?;
    let places = |text: Option<&str>| text.map(|text| list(text, trace.positions())).transpose();
    let cut = Cut {
        rows: places(which.rows.as_deref())?,
        cols: places(which.cols.as_deref())?,
    };
    let cut_out = move |shared: &state::Shared| {
        let parts = trace.cut(shared.model(), shared.pool(), &selection, &cut)?;
        Ok(to_safetensors(&parts, &BTreeMap::new())?)
    };
    let bytes = state.compute(cut_out).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes))
}

#[derive(Deserialize)]
pub(crate) struct HowMany {
    k: Option<usize>,
    rows: Option<String>,
}

impl HowMany {
    /// How many guesses, and of which of so many positions.
    fn of(self, positions: usize) -> Result<(usize, Cut), ApiError> {
        let rows = self.rows.map(|rows| list(&rows, positions)).transpose()?;
        let k = self.k.unwrap_or(5).clamp(1, MOST_GUESSES);
        Ok((k, Cut { rows, cols: None }))
    }
}

pub(crate) async fn lens(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Query(asked): Query<HowMany>,
) -> Result<Json<Value>, ApiError> {
    let (state, trace) = state.trace_of_one(&id)?;
    let (k, cut) = asked.of(trace.ids().len())?;
    let value = state
        .compute(move |shared| {
            let read = lenses::read(shared.model(), shared.pool(), trace.kept(), &cut, k)?;
            let word = |&guess: &(u32, f32)| guessed(shared, guess);
            let top: Vec<Vec<Vec<Value>>> = read
                .iter()
                .map(|site| {
                    site.iter()
                        .map(|position| position.iter().map(word).collect())
                        .collect()
                })
                .collect();
            let sites: Vec<String> = lenses::sites(&*shared.model().network)
                .iter()
                .map(ToString::to_string)
                .collect();
            Ok(json!({"sites": sites, "rows": cut.rows, "top": top}))
        })
        .await?;
    Ok(Json(value))
}

/// The most guesses of one position.
const MOST_GUESSES: usize = 50;

/// A token and its probability, of those that the model writes.
fn guessed(shared: &state::Shared, (id, prob): (u32, f32)) -> Value {
    let Token { text, bytes, .. } = Token::new(shared.writes(), id);
    json!({"id": id, "text": text, "bytes": bytes, "prob": prob})
}

/// The likeliest tokens at each position: of a decoder those that could come next, of an encoder those that could stand there.
pub(crate) async fn guesses(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Query(asked): Query<HowMany>,
) -> Result<Json<Value>, ApiError> {
    let (state, trace) = state.trace(&id)?;
    let (k, cut) = asked.of(trace.ids().len())?;
    let read = move |shared: &state::Shared| {
        let logits = trace.kept().cut(Site::Logits, &cut)?;
        let vocab = shared.model().dimensions().vocab;
        let rows = logits.data.chunks_exact(vocab);
        let top: Vec<Vec<Value>> = rows
            .map(|row| {
                let best = lenses::top(row, k);
                best.into_iter().map(|one| guessed(shared, one)).collect()
            })
            .collect();
        Ok(json!({"rows": cut.rows, "top": top}))
    };
    state.compute(read).await.map(Json)
}

/// All heads in little, as tensors by layer and head.
pub(crate) async fn heads(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let (_, trace) = state.trace(&id)?;
    let heads = trace.heads();
    let all = || heads.views.iter().flatten();
    let layers = [heads.views.len(), heads.views.first().map_or(0, Vec::len)];
    let one = |of: &dyn Fn(&HeadView) -> f32| (layers.to_vec(), all().map(of).collect::<Vec<_>>());
    let pooled = all().flat_map(|view| &view.pooled).copied().collect();
    let shape = [layers[0], layers[1], heads.side, heads.side].to_vec();
    let parts = [
        ("square", (vec![1], vec![heads.square as f32])),
        ("pooled", (shape, pooled)),
        ("previous", one(&|view| view.habits.previous)),
        ("first", one(&|view| view.habits.first)),
        ("self", one(&|view| view.habits.own)),
        ("same", one(&|view| view.habits.same)),
        ("induction", one(&|view| view.habits.induction)),
        ("interest", one(&|view| view.interest)),
    ];
    let tensors: Vec<NamedTensor<'_>> = parts
        .iter()
        .map(|(name, (shape, data))| NamedTensor {
            name: (*name).to_owned(),
            shape: shape.clone(),
            data,
        })
        .collect();
    let bytes = safetensors::to_bytes(&tensors, FloatType::F32, &BTreeMap::new())
        .map_err(|error| ApiError::bad(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes))
}

#[derive(Deserialize)]
pub(crate) struct Where {
    site: String,
    index: String,
    k: Option<usize>,
}

pub(crate) async fn cell(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Query(place): Query<Where>,
) -> Result<Json<Value>, ApiError> {
    let (state, trace) = state.trace(&id)?;
    let site = place.site.parse().map_err(ApiError::bad)?;
    let index: Vec<usize> = place
        .index
        .split(',')
        .map(|i| i.trim().parse())
        .collect::<Result<_, _>>()
        .map_err(|_| {
            ApiError::bad(format!(
                "{:?} is no index; an index looks like 3,1,17",
                place.index
            ))
        })?;
    let most = place.k.unwrap_or(64).min(4096);
    let explain = move |shared: &state::Shared| {
        let around = trace.around(shared.model(), shared.pool(), site);
        let cell = cells::explain(shared.model(), &around, site, &index)?;
        Ok(to_json(&cell, most))
    };
    state.compute(explain).await.map(Json)
}

fn to_json(cell: &Cell, most: usize) -> Value {
    let mut out = Map::new();
    for (name, value) in &cell.extra {
        out.insert((*name).to_owned(), number(*value));
    }
    let Value::Object(rest) = json!({
        "site": cell.site.to_string(),
        "index": cell.index,
        "value": number(f64::from(cell.value)),
        "op": cell.op,
        "formula": cell.formula,
        "terms": cell.terms.iter().take(most).map(term).collect::<Vec<_>>(),
        "total_terms": cell.terms.len(),
        "recomputed": number(cell.recomputed),
        "edited": cell.edited,
    }) else {
        unreachable!("an object")
    };
    out.extend(rest);
    Value::Object(out)
}

fn term(term: &Term) -> Value {
    let mut out = json!({"value": number(term.value), "left": source(&term.left)});
    if let Some(right) = &term.right {
        out["right"] = source(right);
    }
    out
}

fn source(source: &Source) -> Value {
    let value = number(f64::from(source.value()));
    match source {
        Source::Site { site, index, .. } => {
            json!({"site": site.to_string(), "index": index, "value": value})
        }
        Source::Weight { weight, index, .. } => {
            json!({"weight": weight.to_string(), "index": index, "value": value})
        }
        Source::Angle {
            function, index, ..
        } => json!({"angle": function, "index": index, "value": value}),
    }
}

/// JSON has no −∞: masked scores travel as the string "-inf".
fn number(x: f64) -> Value {
    match serde_json::Number::from_f64(x) {
        Some(x) => Value::Number(x),
        None if x < 0.0 => json!("-inf"),
        None if x > 0.0 => json!("inf"),
        None => json!("nan"),
    }
}
