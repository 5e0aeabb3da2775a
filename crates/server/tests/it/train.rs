//! Training on a visitor's text: it learns, it can be stopped and opened, and the page goes on meanwhile.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::api::{json_of, tensors_of};
use crate::support::{app, get, post, send, trace};

/// Simple enough to be learned in a hundred steps.
fn text() -> String {
    "the fox sees the dog. 狐狸看见了狗。\n".repeat(40)
}

async fn stop(app: &Router) -> Value {
    let request = Request::delete("/api/train")
        .header("host", "localhost:1")
        .body(Body::empty())
        .unwrap();
    let (status, bytes) = send(app, request).await;
    assert_eq!(status, StatusCode::OK);
    serde_json::from_slice(&bytes).unwrap()
}

async fn start(app: &Router, request: Value) -> (StatusCode, Value) {
    post(app, "/api/train", request.to_string()).await
}

/// Waits until `done` says so.
async fn wait(app: &Router, done: impl Fn(&Value) -> bool) -> Value {
    let begin = Instant::now();
    loop {
        let run = json_of(app, "/api/train").await;
        if done(&run) {
            return run;
        }
        assert!(begin.elapsed() < Duration::from_mins(4), "{run}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_text_is_learned_and_the_model_opened() {
    let app = app();
    assert_eq!(json_of(&app, "/api/train").await, json!({"run": null}));
    let asked = json!({"text": text(), "preset": "tiny", "steps": 80});
    let (status, begun) = start(&app, asked.clone()).await;
    assert_eq!(status, StatusCode::OK, "{begun}");
    let run = wait(&app, |run| run["phase"] != "running").await;
    assert_eq!(
        (&run["phase"], &run["step"]),
        (&json!("finished"), &json!(80)),
        "{run}"
    );
    let losses = run["losses"].as_array().unwrap();
    let first = losses[0].as_f64().unwrap();
    let vocab = run["vocab"].as_f64().unwrap();
    assert!(
        (first - vocab.ln()).abs() < 0.5,
        "it begins with a guess: {first}"
    );
    assert!(losses[79].as_f64().unwrap() < first / 2.0, "it has learned");
    let validation = run["validation"].as_array().unwrap();
    assert!(validation.len() > 2 && validation[0]["step"] == 0, "{run}");
    assert_eq!(run["samples"].as_array().unwrap().len(), validation.len());
    let later = json_of(&app, "/api/train?since=78").await;
    assert_eq!(later["losses"].as_array().unwrap()[..], losses[78..]);

    // Opened with the tools of every model.
    let name = run["model"].as_str().unwrap();
    let model = json_of(&app, &format!("/api/model?model={name}")).await;
    assert_eq!(
        (&model["n_layers"], &model["vocab"]),
        (&json!(2), &run["vocab"])
    );
    assert_eq!(json_of(&app, "/api/model?model=trained").await, model);
    assert_eq!(model["default_text"]["zh"], model["initial_text"]);
    let asked = json!({"text": model["initial_text"], "model": name}).to_string();
    let (status, traced) = post(&app, "/api/trace", asked).await;
    assert_eq!(status, StatusCode::OK, "{traced}");
    let id = traced["id"].as_str().unwrap();
    let probs = tensors_of(
        &app,
        &format!("/api/trace/{id}/tensors?sites=probs,blocks.1.pattern"),
    )
    .await;
    assert_eq!(
        probs["probs"].0,
        [
            traced["tokens"].as_array().unwrap().len(),
            model["vocab"].as_u64().unwrap() as usize
        ]
    );
    for path in [
        format!("/api/trace/{id}/cell?site=blocks.1.q&index=3,1,17"),
        format!("/api/trace/{id}/lens"),
        format!("/api/trace/{id}/lesson"),
        format!("/api/vocab?model={name}"),
        format!("/api/neighbours?id=1&model={name}"),
    ] {
        json_of(&app, &path).await;
    }
    let weight = format!("/api/weights?name=blocks.1.attn.W_Q&model={name}");
    assert_eq!(tensors_of(&app, &weight).await["weight"].0, [64, 64]);
    let sampled = post(
        &app,
        "/api/sample",
        json!({"trace": id, "seed": 1}).to_string(),
    )
    .await;
    assert_eq!(sampled.1["total"], model["vocab"]);
    let asked = json!({"text": "the fox", "model": name, "temperature": 0, "max_tokens": 5});
    let (_, generated) = post(&app, "/api/generate", asked.to_string()).await;
    let written = generated["text"].as_str().unwrap();
    assert!(written.starts_with(" sees"), "{generated}");

    // The server's own model is as it was.
    let (own, _) = trace(&app, "Once upon a time").await;
    assert_eq!(own["sites"][1]["shape"][1], 192);
}

#[tokio::test]
async fn the_page_is_answered_while_training_runs_and_it_can_be_stopped() {
    let app = app();
    let asked = json!({"text": text(), "preset": "small", "steps": 5000});
    let (status, begun) = start(&app, asked.clone()).await;
    assert_eq!(status, StatusCode::OK, "{begun}");
    wait(&app, |run| run["step"].as_u64() > Some(1)).await;
    // Twenty traces one after the other: each comes at once, and not after the training.
    for i in 0..20 {
        let begin = Instant::now();
        trace(&app, &format!("Once upon a time, there was a little {i}")).await;
        let taken = begin.elapsed();
        assert!(taken < Duration::from_secs(10), "trace {i} took {taken:?}");
    }
    let run = json_of(&app, "/api/train").await;
    assert_eq!(run["phase"], "running");
    let (status, second) = start(&app, asked).await;
    assert_eq!(status, StatusCode::CONFLICT, "{second}");
    stop(&app).await;
    let run = wait(&app, |run| run["phase"] != "running").await;
    assert_eq!(run["phase"], "stopped");
    assert!(run["step"].as_u64() < Some(5000), "{run}");
    let name = run["model"].as_str().unwrap();
    json_of(&app, &format!("/api/model?model={name}")).await;
    // Another may begin now.
    let (status, next) = start(&app, json!({"text": text(), "steps": 1})).await;
    assert_eq!(
        (status, &next["run"]),
        (StatusCode::OK, &json!(2)),
        "{next}"
    );
    wait(&app, |run| run["phase"] == "finished").await;
}

/// While somebody always waits for an answer, the training stands still.
#[tokio::test]
async fn training_gives_way() {
    const WINDOW: Duration = Duration::from_secs(1);
    let app = app();
    start(&app, json!({"text": text(), "steps": 5000})).await;
    let step = async || json_of(&app, "/api/train?since=9999").await["step"].as_u64();
    wait(&app, |run| run["step"].as_u64() > Some(5)).await;
    let first = step().await.unwrap();
    tokio::time::sleep(WINDOW).await;
    let alone = step().await.unwrap() - first;
    let before = step().await.unwrap();
    let end = Instant::now() + WINDOW;
    let visitor = |i: usize| {
        let app = &app;
        async move {
            while Instant::now() < end {
                trace(app, &format!("Once upon a time there were {i} visitors")).await;
            }
        }
    };
    tokio::join!(visitor(1), visitor(2), visitor(3), visitor(4));
    let busy = step().await.unwrap() - before;
    stop(&app).await;
    assert!(
        busy * 3 < alone,
        "{busy} steps in a busy second, {alone} in a quiet one"
    );
}

#[tokio::test]
async fn what_cannot_be_trained_on_is_told() {
    let app = app();
    let long = "a".repeat(1_000_001);
    for (asked, part) in [
        (json!({"text": ""}), "too short"),
        (json!({"text": " \n".repeat(300)}), "too short"),
        (json!({"text": "too little"}), "10 characters"),
        (json!({"text": long}), "too long"),
        (json!({"text": text(), "preset": "gpt5"}), "tiny or small"),
        (json!({"text": text(), "steps": 0}), "between 1 and 5000"),
        (json!({"text": text(), "steps": 5001}), "between 1 and 5000"),
        (
            json!({"text": text(), "learning_rate": -1}),
            "learning rate",
        ),
        (json!({"text": text(), "learning_rate": 2}), "learning rate"),
    ] {
        let (status, answer) = start(&app, asked).await;
        let error = answer["error"].as_str().unwrap();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
        assert!(error.contains(part) && !error.contains('\n'), "{error}");
    }
    // Nothing was begun, and nothing can be opened.
    assert_eq!(json_of(&app, "/api/train").await, json!({"run": null}));
    let (status, bytes) = get(&app, "/api/model?model=trained").await;
    let error: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(error["error"].as_str().unwrap().contains("train it again"));
}
