//! Questions about a kept trace: its tensors, its logit lens, where a number comes from.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State as Shared};
use axum::http::header;
use axum::response::IntoResponse;
use glassformer_trace::{Cell, Selection, Source, Term, cell as cells, lens as lenses};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Token;
use super::table::range;
use crate::error::ApiError;
use crate::state::State;

#[derive(Deserialize)]
pub(crate) struct Which {
    sites: String,
    rows: Option<String>,
}

pub(crate) async fn tensors(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Query(which): Query<Which>,
) -> Result<impl IntoResponse, ApiError> {
    let trace = state.shared().store.get(&id)?;
    let network = &*state.shared().model().network;
    let selection = Selection::for_network(&which.sites, network)?;
    let rows = which
        .rows
        .as_deref()
        .map(|rows| range(Some(rows), trace.ids.len()))
        .transpose()?;
    let bytes = trace
        .recording
        .to_safetensors(&selection, rows.as_ref(), &BTreeMap::new())
        .map_err(|error| ApiError::bad(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes))
}

#[derive(Deserialize)]
pub(crate) struct HowMany {
    k: Option<usize>,
}

pub(crate) async fn lens(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Query(HowMany { k }): Query<HowMany>,
) -> Result<Json<Value>, ApiError> {
    let trace = state.shared().store.get(&id)?;
    let k = k.unwrap_or(5).clamp(1, 50);
    let value = state
        .compute(move |shared| {
            let read = lenses::read(shared.model(), shared.pool(), &trace.recording, k)?;
            let word = |&(id, prob): &(u32, f32)| {
                let Token { text, bytes, .. } = Token::new(shared.tokenizer(), id);
                json!({"id": id, "text": text, "bytes": bytes, "prob": prob})
            };
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
            Ok(json!({"sites": sites, "top": top}))
        })
        .await?;
    Ok(Json(value))
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
    let trace = state.shared().store.get(&id)?;
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
    let explain = move |shared: &crate::state::Shared| {
        let cell = cells::explain(shared.model(), &trace.recording, site, &index)?;
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
