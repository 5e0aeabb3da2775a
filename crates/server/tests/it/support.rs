//! A router on the built-in model, and requests to it.

use std::path::Path;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use glassformer_model::families;
use glassformer_server::{Explained, Served, router};
use glassformer_tensor::Pool;
use glassformer_tokens::{ChatTemplate, Tokenizer, TokenizerConfig};
use glassformer_weights::TensorFile;
use serde_json::Value;
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
