//! A router on the built-in model, and requests to it.

use std::path::Path;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use glassformer_generate::translate::{Ids, Longest, Search};
use glassformer_model::{Model, families};
use glassformer_server::{Explained, Served, Translating, router};
use glassformer_tensor::Pool;
use glassformer_tokens::{ChatTemplate, Tokenizer, TokenizerConfig};
use glassformer_weights::TensorFile;
use serde_json::{Map, Value, json};
use tower::ServiceExt;

pub(crate) fn app() -> Router {
    served(builtin(), Vec::new())
}

/// A golden model that turns queries and keys, has gates and fewer heads of keys; its tokens are letters.
pub(crate) fn turning() -> Router {
    served(qwen(), Vec::new())
}

/// The built-in model, and that one beside it.
pub(crate) fn two() -> Router {
    served(builtin(), vec![qwen()])
}

/// A golden translator: words `w4`, `w5`, … into words, the likeliest at each step.
pub(crate) fn translator() -> Router {
    served(marian(), Vec::new())
}

/// A golden encoder that fills gaps, of the same words.
pub(crate) fn filler() -> Router {
    served(bert(), Vec::new())
}

fn served(explained: Explained, beside: Vec<Explained>) -> Router {
    router(Served {
        explained,
        beside,
        pool: Pool::new(2),
    })
}

fn builtin() -> Explained {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/builtin");
    let read = |name: &str| {
        std::fs::read(folder.join(name)).expect("the built-in model is in the repository")
    };
    let weights = TensorFile::open(&folder.join("model.safetensors")).unwrap();
    let config = String::from_utf8(read("config.json")).unwrap();
    Explained {
        name: "builtin".to_owned(),
        model: families::load(&config, &weights, "builtin").unwrap(),
        tokenizer: Tokenizer::from_json(&read("tokenizer.json")).unwrap(),
        stored: None,
        chat: None,
        translating: None,
        initial_text: None,
    }
}

fn qwen() -> Explained {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../parity/golden/qwen3-tiny");
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let weights = TensorFile::open(&folder.join("model.safetensors")).unwrap();
    let letters = "abcdefghijklmnopqrstuvwxyz .".to_owned();
    Explained {
        name: "qwen3-tiny".to_owned(),
        model: families::load(&config, &weights, "qwen3-tiny").unwrap(),
        tokenizer: Tokenizer::characters(std::iter::once(letters)).unwrap(),
        stored: Some("Q8_0".to_owned()),
        chat: Some(
            ChatTemplate::new("{{ messages[0].content }}.", &TokenizerConfig::default()).unwrap(),
        ),
        translating: None,
        initial_text: None,
    }
}

fn golden(name: &str) -> Model {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../parity/golden")
        .join(name);
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let weights = TensorFile::open(&folder.join("model.safetensors")).unwrap();
    families::load(&config, &weights, name).unwrap()
}

/// `specials`, then `w4`, `w5`, … up to `size` ids; a text stands between `before` and `after`.
fn words(specials: &[(&str, u32)], size: u32, before: Option<&str>, after: &str) -> Tokenizer {
    let named = |id: u32| {
        specials
            .iter()
            .find(|(_, own)| *own == id)
            .map(|(name, _)| *name)
    };
    let word = |id: u32| named(id).map_or_else(|| format!("w{id}"), str::to_owned);
    let vocab: Map<_, _> = (0..size).map(|id| (word(id), json!(id))).collect();
    let special = |(name, id): &(&str, u32)| json!({"id": id, "content": name, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false});
    let token = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let around = |name: &str| {
        (
            name.to_owned(),
            json!({"id": name, "ids": [vocab[name]], "tokens": [name]}),
        )
    };
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let single: Vec<Value> = before
        .map(token)
        .into_iter()
        .chain([text, token(after)])
        .collect();
    let json = json!({
        "version": "1.0",
        "added_tokens": specials.iter().map(special).collect::<Vec<_>>(),
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing", "single": single,
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": before.into_iter().chain([after]).map(around).collect::<Map<_, _>>(),
        },
        "model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": vocab},
    });
    Tokenizer::from_json(json.to_string().as_bytes()).unwrap()
}

fn marian() -> Explained {
    let model = golden("marian-tiny");
    let mut ids = Ids::of(&model).unwrap();
    // Its random weights would end at once.
    ids.never.extend(ids.ends.clone());
    let search = Search::greedy(ids, Longest::BeyondSource(4));
    let specials = [("</s>", 0), ("<unk>", 2), ("<pad>", 100)];
    Explained {
        name: "marian-tiny".to_owned(),
        model,
        tokenizer: words(&specials, 101, None, "</s>"),
        stored: None,
        chat: None,
        translating: Some(Translating {
            search,
            target: None,
        }),
        initial_text: None,
    }
}

fn bert() -> Explained {
    let specials = [
        ("[PAD]", 0),
        ("[CLS]", 1),
        ("<unk>", 2),
        ("[SEP]", 3),
        ("[MASK]", 4),
    ];
    Explained {
        name: "bert-tiny".to_owned(),
        model: golden("bert-tiny"),
        tokenizer: words(&specials, 101, Some("[CLS]"), "[SEP]"),
        stored: None,
        chat: None,
        translating: None,
        initial_text: None,
    }
}

pub(crate) async fn send(app: &Router, request: Request<Body>) -> (StatusCode, Vec<u8>) {
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    (
        status,
        to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap()
            .to_vec(),
    )
}

pub(crate) async fn get(app: &Router, path: &str) -> (StatusCode, Vec<u8>) {
    send(
        app,
        Request::get(path)
            .header("host", "127.0.0.1:1")
            .body(Body::empty())
            .unwrap(),
    )
    .await
}

pub(crate) async fn post(app: &Router, path: &str, body: impl Into<String>) -> (StatusCode, Value) {
    let request = Request::post(path)
        .header("host", "localhost:1")
        .header("content-type", "application/json")
        .body(Body::from(body.into()))
        .unwrap();
    let (status, bytes) = send(app, request).await;
    (
        status,
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}

/// Traces a text that must work; the answer and the id.
pub(crate) async fn trace(app: &Router, text: &str) -> (Value, String) {
    let (status, value) = post(
        app,
        "/api/trace",
        serde_json::json!({"text": text}).to_string(),
    )
    .await;
    assert_eq!(status, StatusCode::OK, "{value}");
    let id = value["id"].as_str().unwrap().to_owned();
    (value, id)
}
