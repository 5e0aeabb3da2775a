//! What does not depend on a text: the model's facts, its vocabulary, its parameters.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Query, State as Shared};
use axum::http::header;
use axum::response::IntoResponse;
use glassformer_model::block::attention::{Rope, Sees};
use glassformer_model::{BlockWeight, Dimensions, EncoderDecoder, Network, WeightName};
use glassformer_tokens::{Encoding, Tokenizer};
use glassformer_trace::weight::Weight;
use glassformer_weights::{FloatType, NamedTensor, safetensors};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Token;
use super::run::mask_of;
use crate::error::ApiError;
use crate::state::State;

/// Texts that the page begins with, in English and in Chinese: to be gone on with …
const BEGUN: [&str; 2] = [
    "Once upon a time, there was a little",
    "从前，有一个小女孩，她",
];

/// … and whole, for models that read to the end.
const WHOLE: [&str; 2] = [
    "A little girl plays with her dog in the park.",
    "一个小女孩在公园里和她的狗玩。",
];

/// The texts for a model; a language that it cannot read gives way to the other.
fn texts(shared: &crate::state::Shared) -> [&str; 2] {
    let network = &shared.model().network;
    if !network.is_encoder() && network.pair().is_none() {
        return BEGUN;
    }
    let tokenizer = shared.tokenizer();
    let reads = WHOLE.map(|text| {
        tokenizer
            .encode(text)
            .is_ok_and(|read| reads(tokenizer, &read))
    });
    match reads {
        [true, false] => [WHOLE[0]; 2],
        [false, true] => [WHOLE[1]; 2],
        _ => WHOLE,
    }
}

/// Whether a text became tokens of its own, and not mostly single bytes or marks for what is not known.
fn reads(tokenizer: &Tokenizer, read: &Encoding) -> bool {
    let is_whole = |id: &&u32| {
        !tokenizer.is_special(**id) && std::str::from_utf8(tokenizer.token_bytes(**id)).is_ok()
    };
    read.unknown.is_empty() && 2 * read.ids.iter().filter(is_whole).count() > read.ids.len()
}

/// What kind of network it is.
fn kind(network: &dyn Network) -> &'static str {
    match (network.pair(), network.is_encoder()) {
        (Some(_), _) => "encoder_decoder",
        (None, true) => "encoder",
        (None, false) => "decoder",
    }
}

/// Of which model.
#[derive(Deserialize)]
pub(crate) struct Which {
    /// One that was trained here; the server's own without it.
    model: Option<String>,
}

pub(crate) async fn model(
    Shared(state): Shared<State>,
    Query(which): Query<Which>,
) -> Result<Json<Value>, ApiError> {
    let state = state.on(which.model.as_deref())?;
    Ok(Json(facts(state.shared())))
}

/// All that can be asked about.
pub(crate) async fn models(Shared(state): Shared<State>) -> Json<Value> {
    let all = state.all();
    let all: Vec<Value> = all.iter().map(|state| facts(state.shared())).collect();
    Json(json!({ "models": all }))
}

fn facts(shared: &crate::state::Shared) -> Value {
    let network = &shared.model().network;
    // A model that was trained here knows its own text alone.
    let own = shared.explained.initial_text.as_deref();
    let own = own.filter(|_| !shared.is_own());
    let [en, zh] = texts(shared).map(|text| own.unwrap_or(text));
    let encoder = network.pair().map(EncoderDecoder::encoder);
    let Dimensions {
        n_layers,
        n_heads,
        n_kv_heads,
        d_model,
        d_head,
        d_ff,
        n_ctx,
        vocab,
    } = network.dimensions();
    json!({
        "name": shared.explained.name,
        "family": network.family(),
        "kind": kind(&**network),
        "encoder": encoder.map(|encoder| json!({
            "n_layers": encoder.n_layers, "n_heads": encoder.n_heads, "n_ctx": encoder.n_ctx, "vocab": encoder.vocab,
        })),
        "mask": mask_of(shared.tokenizer()).filter(|_| network.is_encoder()),
        "n_layers": n_layers, "n_heads": n_heads, "n_kv_heads": n_kv_heads,
        "d_model": d_model, "d_head": d_head, "d_ff": d_ff, "n_ctx": n_ctx, "vocab": vocab,
        "activation": network.activation().name(),
        "tied": shared.model().head().is_tied_to(network.weight(WeightName::Embed)),
        "norm_eps": shortest(network.norm_eps()),
        "parts": parts(&**network),
        "stored": shared.explained.stored,
        "chat": shared.explained.chat.is_some(),
        "teachable": shared.model().parameters.are_in_memory(),
        "parameters": shared.model().parameters.layout().len(),
        "version": env!("CARGO_PKG_VERSION"),
        "initial_text": shared.explained.initial_text,
        "default_text": {"en": en, "zh": zh},
    })
}

/// What this family has that others have not: what the page draws differently.
fn parts(network: &dyn Network) -> Value {
    let has = |weight| network.weight(weight).is_some();
    let in_block = |weight| has(WeightName::block(0, weight));
    let attention = network.attention(0);
    let rope = attention.rope.as_ref();
    let facts = network.facts();
    let fact = |name| {
        facts
            .iter()
            .find(|(own, _)| *own == name)
            .map(|(_, fact)| fact.clone())
    };
    let neurons = network.dimensions().d_ff;
    let has_mlp_bias = network
        .linears()
        .iter()
        .any(|linear| linear.d_in == neurons && linear.bias.is_some());
    let is_gated = in_block(BlockWeight::Gate)
        || fact("activation").is_some_and(|activation| activation.starts_with("gated"));
    let is_rms = fact("norm").is_some_and(|norm| norm.starts_with("RMS"));
    let width = |layer| match network.attention(layer).sees {
        Sees::Window(width) => Some(width),
        Sees::All | Sees::Past => None,
    };
    let windows: Vec<Option<usize>> = (0..network.dimensions().n_layers).map(width).collect();
    json!({
        "norm": if is_rms { "rms" } else { "layer" },
        "positions": match (rope, fact("positions").as_deref()) {
            (Some(_), _) => "rotary",
            (None, Some("learned")) => "learned",
            (None, Some("waves")) => "waves",
            (None, Some(bias)) if bias.starts_with("a bias") => "bias",
            _ => "none",
        },
        "frequencies": rope.map(Rope::frequencies),
        "head_norm": attention.head_norm.is_some(),
        "post_norm": network.is_post_norm(),
        "gated": is_gated,
        "qkv_bias": attention.qkv.bias.is_some(),
        "out_bias": attention.out.bias.is_some(),
        "mlp_bias": has_mlp_bias,
        "windows": windows,
    })
}

pub(crate) async fn vocab(
    Shared(state): Shared<State>,
    Query(which): Query<Which>,
) -> Result<Json<Value>, ApiError> {
    let state = state.on(which.model.as_deref())?;
    let tokenizer = state.shared().tokenizer();
    let tokens: Vec<Token> = (0..tokenizer.vocab_size() as u32)
        .map(|id| Token::new(tokenizer, id))
        .collect();
    Ok(Json(json!({ "tokens": tokens })))
}

#[derive(Deserialize)]
pub(crate) struct Part {
    name: String,
    rows: Option<String>,
    cols: Option<String>,
    /// As it was in the run of a kept trace.
    trace: Option<String>,
    /// One that was trained here; that of the trace, or the server's own, without it.
    model: Option<String>,
}

pub(crate) async fn weights(
    Shared(state): Shared<State>,
    Query(part): Query<Part>,
) -> Result<impl IntoResponse, ApiError> {
    let name: WeightName = part.name.parse().map_err(ApiError::bad)?;
    let (state, trace) = match &part.trace {
        Some(id) => state.trace(id).map(|(state, trace)| (state, Some(trace)))?,
        None => (state.on(part.model.as_deref())?, None),
    };
    let model = state.shared().model();
    let mut weight = Weight::of(model, name)?;
    if let Some(trace) = trace {
        weight = weight.with(model, trace.edits());
    }
    let [rows, cols] = weight.shape();
    let part = weight.part(
        range(part.rows.as_deref(), rows)?,
        range(part.cols.as_deref(), cols)?,
    );
    let tensor = NamedTensor {
        name: "weight".to_owned(),
        shape: part.shape,
        data: &part.data,
    };
    let bytes = safetensors::to_bytes(&[tensor], FloatType::F32, &BTreeMap::new())
        .map_err(|error| ApiError::bad(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes))
}

/// `3..7`; everything when absent.
pub(crate) fn range(text: Option<&str>, all: usize) -> Result<std::ops::Range<usize>, ApiError> {
    let Some(text) = text else { return Ok(0..all) };
    let parsed = text
        .split_once("..")
        .and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    parsed
        .filter(|range: &std::ops::Range<usize>| range.start <= range.end)
        .ok_or_else(|| ApiError::bad(format!("{text:?} is no range; ranges look like 3..7")))
}

/// `3,7,10..14`: places below `all`; of ranges, those that there are.
pub(crate) fn list(text: &str, all: usize) -> Result<Vec<usize>, ApiError> {
    let mut places = Vec::new();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        if let Ok(one) = part.parse() {
            if one >= all {
                let most = all.saturating_sub(1);
                return Err(ApiError::bad(format!(
                    "there is no position {one}: they are 0 to {most}"
                )));
            }
            places.push(one);
        } else {
            let range = range(Some(part), all)?;
            places.extend(range.start.min(all)..range.end.min(all));
        }
        if places.len() > all {
            return Err(ApiError::bad(format!(
                "{text:?} asks for positions more than once"
            )));
        }
    }
    Ok(places)
}

/// The shortest decimal number that is this f32: 1e-5, not 9.999999747378752e-6.
pub(crate) fn shortest(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}
