//! The table W_E as a place: cosines between its rows, a map of them, sums of words.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State as Shared};
use glassformer_tokens::Tokenizer;
use glassformer_trace::neighbours::{Table, cosines};
use glassformer_trace::{Replay, map, words};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Token;
use crate::error::ApiError;
use crate::state::{Shared as Served, State};

/// Tokens that may be named at once.
const MOST_IDS: usize = 256;
/// Nearest tokens that are given, at most.
const MOST_NEAR: usize = 64;
/// Tokens of a neighbourhood, at most.
const MOST_AROUND: usize = 1024;

/// Of which run, or of which model.
#[derive(Deserialize)]
pub(crate) struct Of {
    /// As an edited run had it.
    trace: Option<String>,
    /// One that was trained here; that of the trace, or the server's own, without it.
    model: Option<String>,
}

/// The server on the model asked for, and the run whose edits count.
type On = (State, Option<Arc<Replay>>);

fn on(state: &State, of: &Of) -> Result<On, ApiError> {
    match &of.trace {
        Some(id) => state.trace(id).map(|(state, trace)| (state, Some(trace))),
        None => Ok((state.on(of.model.as_deref())?, None)),
    }
}

/// W_E as it is, or as the run had it.
fn table<'a>(shared: &'a Served, run: Option<&Replay>) -> Result<Table<'a>, ApiError> {
    let table = Table::of(shared.model())?;
    Ok(match run {
        Some(run) => table.with(shared.model(), run.edits()),
        None => table,
    })
}

/// `3,7,10`.
fn numbers(text: &str) -> Result<Vec<u32>, ApiError> {
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let one = |part: &str| {
        let wrong = || {
            ApiError::bad(format!(
                "{part:?} is no token's number; ids look like 3,7,10"
            ))
        };
        part.parse().map_err(|_| wrong())
    };
    let ids = parts.map(one).collect::<Result<Vec<u32>, _>>()?;
    if ids.len() > MOST_IDS {
        let count = ids.len();
        return Err(ApiError::bad(format!(
            "{count} ids are asked for; at most {MOST_IDS} are shown at once"
        )));
    }
    Ok(ids)
}

/// Tokens with a cosine each, nearest first.
fn told(tokenizer: &Tokenizer, near: impl IntoIterator<Item = (u32, f32)>) -> Vec<Value> {
    let one = |(id, cosine): (u32, f32)| {
        let Token { text, bytes, .. } = Token::new(tokenizer, id);
        json!({"id": id, "text": text, "bytes": bytes, "cosine": cosine})
    };
    near.into_iter().map(one).collect()
}

#[derive(Deserialize)]
pub(crate) struct Near {
    id: u32,
    #[serde(default = "eight")]
    k: usize,
}

fn eight() -> usize {
    8
}

pub(crate) async fn neighbours(
    Shared(state): Shared<State>,
    Query(Near { id, k }): Query<Near>,
    Query(of): Query<Of>,
) -> Result<Json<Value>, ApiError> {
    let (state, run) = on(&state, &of)?;
    let near = state.compute(move |shared| {
        let table = table(shared, run.as_deref())?;
        Ok(table.nearest(&table.row(id)?, &[id], k.min(MOST_NEAR)))
    });
    let near = told(state.shared().tokenizer(), near.await?);
    Ok(Json(json!({ "id": id, "neighbours": near })))
}

#[derive(Deserialize)]
pub(crate) struct Ids {
    #[serde(default)]
    ids: String,
    /// Of a neighbourhood.
    n: Option<usize>,
}

pub(crate) async fn cosine(
    Shared(state): Shared<State>,
    Query(Ids { ids, .. }): Query<Ids>,
    Query(of): Query<Of>,
) -> Result<Json<Value>, ApiError> {
    let (state, run) = on(&state, &of)?;
    let ids = numbers(&ids)?;
    let asked = ids.clone();
    let matrix = state.compute(move |shared| {
        let table = table(shared, run.as_deref())?;
        let rows = asked.iter().map(|&id| table.row(id));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let all = rows.concat();
        Ok(rows
            .iter()
            .map(|row| cosines(&all, row))
            .collect::<Vec<_>>())
    });
    Ok(Json(json!({ "ids": ids, "cosines": matrix.await? })))
}

pub(crate) async fn plane(
    Shared(state): Shared<State>,
    Query(Ids { ids, n }): Query<Ids>,
    Query(of): Query<Of>,
) -> Result<Json<Value>, ApiError> {
    let (state, run) = on(&state, &of)?;
    let ids = numbers(&ids)?;
    let most = n.unwrap_or(400).clamp(2, MOST_AROUND);
    let map =
        state.compute(move |shared| Ok(map::map(&table(shared, run.as_deref())?, &ids, most)?));
    let map = map.await?;
    let tokenizer = state.shared().tokenizer();
    let tokens = map.tokens.iter().map(|&(id, [x, y])| {
        let Token { text, bytes, .. } = Token::new(tokenizer, id);
        json!({"id": id, "text": text, "bytes": text.is_none().then_some(bytes), "x": x, "y": y})
    });
    let tokens: Vec<Value> = tokens.collect();
    let vocab = state.shared().model().dimensions().vocab;
    Ok(Json(
        json!({"tokens": tokens, "shares": map.shares, "around": map.around, "vocab": vocab}),
    ))
}

#[derive(Deserialize)]
pub(crate) struct Sum {
    a: String,
    b: String,
    c: String,
    #[serde(default = "eight")]
    k: usize,
}

/// a − b + c, each a word of its own length 1, and the rows that point most nearly there.
pub(crate) async fn sum(
    Shared(state): Shared<State>,
    Query(Sum { a, b, c, k }): Query<Sum>,
    Query(of): Query<Of>,
) -> Result<Json<Value>, ApiError> {
    let (state, run) = on(&state, &of)?;
    let tokenizer = state.shared().tokenizer();
    let mut terms = Vec::new();
    for (text, sign) in [(&a, 1.0), (&b, -1.0), (&c, 1.0)] {
        let word = text.trim();
        let ids = words::ids(tokenizer, word).map_err(|e| ApiError::bad(e.to_string()))?;
        if word.is_empty() || ids.is_empty() {
            return Err(ApiError::bad(format!(
                "{text:?} has no tokens in this model's vocabulary"
            )));
        }
        terms.push(words::Term { sign, ids });
    }
    let asked = terms.clone();
    let found = state.compute(move |shared| {
        let table = table(shared, run.as_deref())?;
        let sum = words::sum(&table, &asked)?;
        let own: Vec<u32> = asked.iter().flat_map(|term| &term.ids).copied().collect();
        let near = table.nearest(&sum, &own, k.min(MOST_NEAR));
        // How near the words themselves would be: they are left out, and this is what that hides.
        let rows = own.iter().map(|&id| table.row(id));
        let hidden = cosines(&rows.collect::<Result<Vec<_>, _>>()?.concat(), &sum);
        let mut hidden: Vec<(u32, f32)> = own.into_iter().zip(hidden).collect();
        hidden.sort_by_key(|a| a.0);
        hidden.dedup();
        hidden.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok((near, hidden))
    });
    let (near, hidden) = found.await?;
    let show = |ids: &[u32]| {
        ids.iter()
            .map(|&id| Token::new(tokenizer, id))
            .collect::<Vec<_>>()
    };
    let terms: Vec<Value> = terms
        .iter()
        .zip([a, b, c])
        .map(|(term, text)| json!({"text": text, "sign": term.sign, "tokens": show(&term.ids)}))
        .collect();
    Ok(Json(json!({
        "terms": terms,
        "neighbours": told(tokenizer, near),
        "left_out": told(tokenizer, hidden),
    })))
}
