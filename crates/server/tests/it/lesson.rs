//! What a kept text teaches its model, over HTTP.

use axum::http::StatusCode;
use serde_json::json;

use crate::api::{json_of, tensors_of};
use crate::support::{app, get, post, trace, turning};

const TEXT: &str = "Once upon a time, there was a fox. 从前，有一只小狐狸";

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    let numbers = value.as_array().unwrap().iter();
    numbers.map(|number| number.as_f64().unwrap()).collect()
}

#[tokio::test]
async fn losses_are_those_of_the_kept_probabilities() {
    for (app, text) in [(app(), TEXT), (turning(), "once upon a time.")] {
        let (traced, id) = trace(&app, text).await;
        let lesson = json_of(&app, &format!("/api/trace/{id}/lesson")).await;
        let probs = tensors_of(&app, &format!("/api/trace/{id}/tensors?sites=probs")).await;
        let (shape, probs) = &probs["probs"];
        let tokens = traced["tokens"].as_array().unwrap();
        let losses = numbers(&lesson["losses"]);
        assert_eq!(losses.len(), tokens.len() - 1);
        for (t, loss) in losses.iter().enumerate() {
            let target = tokens[t + 1]["id"].as_u64().unwrap();
            assert_eq!(lesson["targets"][t]["id"], target);
            let p = probs[t * shape[1] + target as usize];
            assert!((loss + f64::from(p).ln()).abs() < 1e-3, "{t}: {loss}, {p}");
        }
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        assert!((lesson["loss"].as_f64().unwrap() - mean).abs() < 1e-6);
        assert_eq!(lesson["steps"].as_array().unwrap().len(), 8);
        assert!(
            lesson["loss_after"].as_f64().unwrap() < mean,
            "it has learned"
        );
    }
}

#[tokio::test]
async fn a_number_of_the_model_is_watched_through_the_steps() {
    let app = app();
    let (_, id) = trace(&app, TEXT).await;
    let path = format!(
        "/api/trace/{id}/lesson?weight=blocks.1.attn.W_Q&at=3,5&steps=2&learning_rate=0.01"
    );
    let lesson = json_of(&app, &path).await;
    assert_eq!(
        lesson["watched"],
        json!({"weight": "blocks.1.attn.W_Q", "at": [3, 5]})
    );
    let before = tensors_of(
        &app,
        "/api/weights?name=blocks.1.attn.W_Q&rows=3..4&cols=5..6",
    )
    .await;
    let first = &lesson["steps"][0];
    assert!((first["before"].as_f64().unwrap() - f64::from(before["weight"].1[0])).abs() < 1e-9);
    assert_eq!(lesson["steps"][1]["before"], first["after"]);
    assert_eq!(lesson["steps"].as_array().unwrap().len(), 2);
    // Without a name: where the gradient of the last block's W_down is largest.
    let lesson = json_of(&app, &format!("/api/trace/{id}/lesson")).await;
    let watched = lesson["watched"]["weight"].as_str().unwrap();
    let weights = lesson["weights"].as_array().unwrap();
    let weight = weights
        .iter()
        .find(|weight| weight["name"] == watched)
        .unwrap();
    assert_eq!(weight["largest"], lesson["watched"]["at"]);
    assert_eq!(weight["value"], lesson["steps"][0]["gradient"]);
}

#[tokio::test]
async fn gradients_come_by_the_names_of_sites() {
    let app = app();
    let (traced, id) = trace(&app, TEXT).await;
    let n = traced["tokens"].as_array().unwrap().len() - 1;
    let base = format!("/api/trace/{id}/gradients?sites=blocks.*.resid_post,embed,blocks.0.q");
    let all = tensors_of(&app, &base).await;
    assert_eq!(all["embed"].0, [n, 192]);
    assert_eq!(all["blocks.0.q"].0, [n, 6, 32]);
    assert_eq!(
        all.keys()
            .filter(|name| name.ends_with("resid_post"))
            .count(),
        6
    );
    let some = tensors_of(&app, &format!("{base}&rows=4,1")).await;
    assert_eq!(some["embed"].0, [2, 192]);
    assert_eq!(some["embed"].1[..192], all["embed"].1[4 * 192..5 * 192]);
    assert_eq!(
        some["blocks.0.q"].1[192..],
        all["blocks.0.q"].1[192..2 * 192]
    );
}

#[tokio::test]
async fn what_cannot_be_taught_is_told() {
    let app = app();
    let (_, id) = trace(&app, TEXT).await;
    let (_, short) = trace(&app, "a").await;
    let edited = json!({"text": TEXT, "ablate": ["blocks.0.mlp"]}).to_string();
    let (_, edited) = post(&app, "/api/trace", edited).await;
    let edited = edited["id"].as_str().unwrap();
    for (path, status, part) in [
        (
            format!("{id}/lesson?weight=blocks.9.attn.W_Q"),
            400,
            "no blocks.9.attn.W_Q",
        ),
        (
            format!("{id}/lesson?weight=W_E&at=1,192"),
            400,
            "no place of this parameter",
        ),
        (format!("{id}/lesson?learning_rate=0"), 400, "learning rate"),
        (
            format!("{id}/gradients?sites=logits"),
            400,
            "none of these sites",
        ),
        (
            format!("{id}/gradients?sites=embed&rows=500"),
            400,
            "no position 500",
        ),
        (format!("{short}/lesson"), 400, "two tokens"),
        (format!("{short}/gradients?sites=embed"), 400, "two tokens"),
        (format!("{edited}/lesson"), 400, "as it is"),
        ("999/lesson".to_owned(), 404, "no longer kept"),
    ] {
        let (got, bytes) = get(&app, &format!("/api/trace/{path}")).await;
        let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let error = answer["error"].as_str().unwrap();
        assert_eq!(
            got,
            StatusCode::from_u16(status).unwrap(),
            "{path}: {error}"
        );
        assert!(
            error.contains(part) && !error.contains('\n'),
            "{path}: {error}"
        );
    }
}
