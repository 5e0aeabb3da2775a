//! Models that are no decoders: a translator, and an encoder that fills gaps.

use axum::Router;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::api::{json_of, tensors_of};
use crate::support::{app, filler, get, post, trace, translator};

const WORDS: &str = "w10 w11 w12 w13 w14 w15";

/// What a request that cannot be answered says.
async fn refusal(app: &Router, path: &str, body: Option<Value>) -> String {
    let (status, value) = if let Some(body) = body {
        post(app, path, body.to_string()).await
    } else {
        let (status, bytes) = get(app, path).await;
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    };
    assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {value}");
    let line = value["error"].as_str().unwrap().to_owned();
    assert!(!line.contains('\n'), "{line}");
    line
}

fn ids(tokens: &Value) -> Vec<u64> {
    let tokens = tokens.as_array().unwrap().iter();
    tokens.map(|token| token["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_model_says_what_kind_it_is() {
    let model = json_of(&translator(), "/api/model").await;
    assert_eq!(model["kind"], "encoder_decoder");
    assert_eq!([&model["n_layers"], &model["n_heads"]], [2, 5]);
    assert_eq!(model["encoder"]["n_layers"], 3);
    assert_eq!(model["encoder"]["n_heads"], 3);
    assert_eq!(model["parts"]["positions"], "waves");
    assert_eq!(model["parts"]["norm"], "layer");
    let model = json_of(&filler(), "/api/model").await;
    assert_eq!(model["kind"], "encoder");
    assert_eq!(
        [&model["mask"], &model["encoder"]],
        [&json!(4), &Value::Null]
    );
    let model = json_of(&app(), "/api/model").await;
    assert_eq!(model["kind"], "decoder");
    assert_eq!([&model["mask"], &model["encoder"]], [&Value::Null; 2]);
}

#[tokio::test]
async fn a_translator_writes_what_its_likeliest_tokens_say() {
    let app = translator();
    let (run, id) = trace(&app, WORDS).await;
    let (source, target) = (ids(&run["tokens"]), ids(&run["target"]["tokens"]));
    assert_eq!(source, [10, 11, 12, 13, 14, 15, 0]);
    assert_eq!(target[0], 100, "what all targets begin with");
    assert_eq!(target.len(), source.len() + 5, "as long as it may be");
    assert_eq!(run["target"]["ended"], false);
    // At each place the likeliest token that may be written is the one that was written next: the search was greedy.
    let guesses = json_of(&app, &format!("/api/trace/{id}/guesses?k=3")).await;
    let top = guesses["top"].as_array().unwrap();
    assert_eq!(top.len(), target.len());
    let mut sum = 0.0;
    for (t, written) in target[1..].iter().enumerate() {
        let mut guesses = top[t].as_array().unwrap().iter();
        let allowed = guesses.find(|guess| ![0, 100].map(Value::from).contains(&guess["id"]));
        assert_eq!(allowed.unwrap()["id"], *written, "place {t}");
        sum += allowed.unwrap()["prob"].as_f64().unwrap().ln();
    }
    let found = run["target"]["log_prob"].as_f64().unwrap();
    assert!((found - sum).abs() < 1e-3, "{found} {sum}");
}

#[tokio::test]
async fn both_stacks_are_recorded() {
    let app = translator();
    let (run, id) = trace(&app, WORDS).await;
    let (s, t) = (
        ids(&run["tokens"]).len(),
        ids(&run["target"]["tokens"]).len(),
    );
    let all = tensors_of(&app, &format!("/api/trace/{id}/tensors?sites=*")).await;
    for site in run["sites"].as_array().unwrap() {
        let (shape, _) = &all[site["name"].as_str().unwrap()];
        assert_eq!(json!(shape), site["shape"], "{}", site["name"]);
    }
    let (shape, cross) = &all["decoder.blocks.1.cross_pattern"];
    assert_eq!(*shape, [5, t, s]);
    for row in cross.chunks(s) {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
    // The encoder looks both ways; the decoder not ahead.
    let (_, encoder) = &all["encoder.blocks.0.pattern"];
    assert!(encoder.iter().all(|&share| share > 0.0));
    let (_, decoder) = &all["decoder.blocks.0.pattern"];
    let ahead = |at: usize| at % t > at / t % t;
    assert!(
        decoder
            .iter()
            .enumerate()
            .all(|(at, &share)| (share == 0.0) == ahead(at))
    );
    // The same numbers in part.
    let path =
        format!("/api/trace/{id}/tensors?sites=decoder.blocks.1.cross_pattern&rows=1&cols=2,3");
    let part = &tensors_of(&app, &path).await["decoder.blocks.1.cross_pattern"];
    assert_eq!(part.0, [5, 1, 2]);
    assert_eq!(part.1[..2], cross[s + 2..s + 4]);
}

#[tokio::test]
async fn a_target_may_be_given() {
    let app = translator();
    let body = json!({"text": WORDS, "target": "w20 w21"}).to_string();
    let (status, run) = post(&app, "/api/trace", body).await;
    assert_eq!(status, StatusCode::OK, "{run}");
    assert_eq!(ids(&run["target"]["tokens"]), [100, 20, 21]);
    assert_eq!(run["target"]["text"], "w20 w21");
    assert_eq!(run["target"]["end"]["id"], 0);
    assert_eq!(run["target"]["score"], Value::Null);
}

#[tokio::test]
async fn what_a_translator_cannot_answer_is_said() {
    let app = translator();
    let (_, id) = trace(&app, WORDS).await;
    for path in [
        "lens",
        "lesson",
        "gradients?sites=*",
        "cell?site=logits&index=0,0",
    ] {
        let line = refusal(&app, &format!("/api/trace/{id}/{path}"), None).await;
        assert!(line.contains("encoder–decoder"), "{path}: {line}");
    }
    let line = refusal(&app, "/api/sample", Some(json!({"trace": id}))).await;
    assert!(line.contains("encoder–decoder"), "{line}");
    let line = refusal(&app, "/api/generate", Some(json!({"text": WORDS}))).await;
    assert!(line.contains("encoder–decoder"), "{line}");
    for (body, says) in [
        (json!({"text": " "}), "empty"),
        (json!({"text": WORDS, "chat": true}), "messages"),
        (
            json!({"text": WORDS, "ablate": ["blocks.0.attn"]}),
            "cannot be changed",
        ),
        (json!({"text": WORDS, "mask": [1]}), "cannot be changed"),
        (
            json!({"text": "w5 ".repeat(40)}),
            "41 tokens, and 29 are read",
        ),
        (
            json!({"text": WORDS, "target": "w5 ".repeat(40)}),
            "40 tokens, and at most 28",
        ),
    ] {
        let line = refusal(&app, "/api/trace", Some(body)).await;
        assert!(line.contains(says), "{line}");
    }
    let line = refusal(
        &app_of_one(),
        "/api/trace",
        Some(json!({"text": "a", "target": "b"})),
    )
    .await;
    assert!(line.contains("one text alone"), "{line}");
}

fn app_of_one() -> Router {
    app()
}

#[tokio::test]
async fn a_gap_is_filled() {
    let app = filler();
    let body = json!({"text": WORDS, "mask": [3]}).to_string();
    let (status, run) = post(&app, "/api/trace", body).await;
    assert_eq!(status, StatusCode::OK, "{run}");
    assert_eq!(ids(&run["tokens"]), [1, 10, 11, 4, 13, 14, 15, 3]);
    let id = run["id"].as_str().unwrap();
    let guesses = json_of(&app, &format!("/api/trace/{id}/guesses?k=4&rows=3")).await;
    let lens = json_of(&app, &format!("/api/trace/{id}/lens?k=4&rows=3")).await;
    let last = lens["top"].as_array().unwrap().last().unwrap();
    for (one, other) in guesses["top"][0]
        .as_array()
        .unwrap()
        .iter()
        .zip(last[0].as_array().unwrap())
    {
        assert_eq!(one["id"], other["id"]);
        let [p, q] = [one, other].map(|guess| guess["prob"].as_f64().unwrap());
        assert!((p - q).abs() < 1e-6, "{p} {q}");
    }
    // Words on both sides of the gap have a say.
    let all = tensors_of(
        &app,
        &format!("/api/trace/{id}/tensors?sites=blocks.0.pattern&rows=3"),
    )
    .await;
    assert!(all["blocks.0.pattern"].1.iter().all(|&share| share > 0.0));
}

#[tokio::test]
async fn gaps_that_cannot_be_are_refused() {
    let app = filler();
    for place in [0, 7, 8] {
        let line = refusal(
            &app,
            "/api/trace",
            Some(json!({"text": WORDS, "mask": [place]})),
        )
        .await;
        assert!(line.contains("no token of the text"), "{line}");
    }
    let line = refusal(
        &app_of_one(),
        "/api/trace",
        Some(json!({"text": "a b", "mask": [0]})),
    )
    .await;
    assert!(line.contains("no mask"), "{line}");
    let line = refusal(&app, "/api/generate", Some(json!({"text": WORDS}))).await;
    assert!(line.contains("encoder"), "{line}");
    let (_, id) = trace(&app, WORDS).await;
    let line = refusal(&app, &format!("/api/trace/{id}/lesson"), None).await;
    assert!(line.contains("encoder"), "{line}");
}
