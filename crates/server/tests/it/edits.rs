//! Edited runs over HTTP, each against the plain run or another way to the same numbers.

use std::collections::BTreeMap;

use axum::Router;
use axum::http::StatusCode;
use glassformer_weights::TensorFile;
use serde_json::{Value, json};

use crate::support::{app, get, post, trace, turning};

const TEXT: &str = "once upon a time.";

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

async fn tensors(app: &Router, path: &str) -> Tensors {
    let (status, bytes) = get(app, path).await;
    assert_eq!(
        status,
        StatusCode::OK,
        "{}",
        String::from_utf8_lossy(&bytes)
    );
    let file = TensorFile::from_vec(bytes, path).unwrap();
    let names = file.names().into_iter();
    names
        .map(|name| (name.clone(), file.load_f32(&name).unwrap()))
        .collect()
}

async fn all(app: &Router, id: &str) -> Tensors {
    tensors(app, &format!("/api/trace/{id}/tensors?sites=*")).await
}

/// Traces with edits that must fit.
async fn edited(app: &Router, text: &str, edits: Value) -> String {
    let body = json!({"text": text, "edits": edits}).to_string();
    let (status, answer) = post(app, "/api/trace", body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

/// Row `t` of a site of heads or none.
fn row<'a>(all: &'a Tensors, site: &str, t: usize) -> &'a [f32] {
    let (shape, data) = &all[site];
    let width: usize = shape[1..].iter().product();
    &data[t * width..(t + 1) * width]
}

#[tokio::test]
async fn a_part_is_switched_off_or_scaled_and_undone() {
    let app = app();
    let (_, plain) = trace(&app, TEXT).await;
    let plain = all(&app, &plain).await;
    let off = edited(
        &app,
        TEXT,
        json!([{"kind": "off", "part": "blocks.1.head.2"}]),
    )
    .await;
    let off = all(&app, &off).await;
    let [_, heads, d_head] = plain["blocks.1.z"].0[..] else {
        panic!("[T,H,E]")
    };
    assert!(heads > 2);
    assert!(
        row(&off, "blocks.1.z", 3)[2 * d_head..3 * d_head]
            .iter()
            .all(|&x| x == 0.0)
    );
    assert_eq!(off["blocks.1.v"], plain["blocks.1.v"]);
    assert_ne!(off["logits"], plain["logits"]);
    let half = json!([{"kind": "scale", "part": "blocks.0.mlp", "by": 0.5}]);
    let half = all(&app, &edited(&app, TEXT, half).await).await;
    let (whole, part) = (
        row(&plain, "blocks.0.mlp_out", 2),
        row(&half, "blocks.0.mlp_out", 2),
    );
    assert!(whole.iter().zip(part).all(|(x, y)| x * 0.5 == *y));
    let nothing = all(&app, &edited(&app, TEXT, json!([])).await).await;
    assert_eq!(nothing, plain);
}

#[tokio::test]
async fn a_mask_is_edited_in_one_head_or_in_all() {
    for app in [app(), turning()] {
        let (_, plain) = trace(&app, TEXT).await;
        let plain = all(&app, &plain).await;
        let one = json!([
            {"kind": "mask", "layer": 1, "head": 0, "query": 4, "key": 2, "allow": false},
            {"kind": "mask", "layer": 1, "head": 0, "query": 1, "key": 3, "allow": true},
        ]);
        let one = all(&app, &edited(&app, TEXT, one).await).await;
        let everywhere = json!([{"kind": "mask", "query": 4, "key": 2, "allow": false}]);
        let everywhere = all(&app, &edited(&app, TEXT, everywhere).await).await;
        let [heads, length, _] = plain["blocks.1.pattern"].0[..] else {
            panic!("[H,T,T]")
        };
        let at = |all: &Tensors, l: usize, h: usize, q: usize, k: usize| {
            all[&format!("blocks.{l}.pattern")].1[(h * length + q) * length + k]
        };
        assert_eq!(at(&one, 1, 0, 4, 2), 0.0);
        assert!(at(&plain, 1, 0, 4, 2) > 0.0 && at(&plain, 1, 0, 1, 3) == 0.0);
        assert!(at(&one, 1, 0, 1, 3) > 0.0);
        assert_eq!(at(&one, 1, 1, 4, 2), at(&plain, 1, 1, 4, 2));
        // What is left is shared out in the same proportions.
        let (before, after) = (at(&plain, 1, 0, 4, 0), at(&one, 1, 0, 4, 0));
        assert!((after - before / (1.0 - at(&plain, 1, 0, 4, 2))).abs() < 1e-5);
        for head in 0..heads {
            assert_eq!(at(&everywhere, 1, head, 4, 2), 0.0);
        }
    }
}

#[tokio::test]
async fn a_number_or_a_weight_is_set_for_one_run() {
    let app = app();
    let (_, plain_id) = trace(&app, TEXT).await;
    let plain = all(&app, &plain_id).await;
    let set = json!([{"kind": "set", "site": "blocks.0.mlp_post", "at": [3, 17], "to": 4.5}]);
    let set = all(&app, &edited(&app, TEXT, set).await).await;
    assert_eq!(row(&set, "blocks.0.mlp_post", 3)[17], 4.5);
    assert_eq!(
        row(&set, "blocks.0.mlp_post", 2),
        row(&plain, "blocks.0.mlp_post", 2)
    );

    let part = "/api/weights?name=blocks.0.mlp.W_down&rows=17..18&cols=5..6";
    let before = tensors(&app, part).await["weight"].1[0];
    let weight =
        json!([{"kind": "weight", "name": "blocks.0.mlp.W_down", "at": [17, 5], "to": 2.0}]);
    let id = edited(&app, TEXT, weight).await;
    let run = all(&app, &id).await;
    for t in 0..3 {
        let added = f64::from(2.0 - before) * f64::from(row(&plain, "blocks.0.mlp_post", t)[17]);
        let (x, y) = (
            row(&plain, "blocks.0.mlp_out", t),
            row(&run, "blocks.0.mlp_out", t),
        );
        assert!((f64::from(y[5] - x[5]) - added).abs() < 1e-4, "{added}");
        assert_eq!(x[4], y[4]);
    }
    assert_eq!(
        tensors(&app, &format!("{part}&trace={id}")).await["weight"].1,
        [2.0]
    );
    assert_eq!(
        tensors(&app, part).await["weight"].1,
        [before],
        "the model stays as it is"
    );
    let (status, bytes) = get(
        &app,
        &format!("/api/trace/{id}/cell?site=blocks.0.mlp_out&index=2,5&k=4096"),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    let cell: Value = serde_json::from_slice(&bytes).unwrap();
    let (value, again) = (
        cell["value"].as_f64().unwrap(),
        cell["recomputed"].as_f64().unwrap(),
    );
    assert!((value - again).abs() < 1e-4, "{value} {again}");
    assert_eq!(cell["edited"], false);
}

#[tokio::test]
async fn another_texts_stream_is_pasted_in() {
    let app = app();
    let other = "A dog ran";
    let (answer, there) = trace(&app, other).await;
    let last = answer["tokens"].as_array().unwrap().len() - 1;
    let there = all(&app, &there).await;
    let site = "blocks.2.resid_post";
    for (from, expected) in [(json!(1), 1), (Value::Null, last)] {
        let paste = json!([{"kind": "paste", "site": site, "to": 2, "text": other, "from": from}]);
        let run = all(&app, &edited(&app, TEXT, paste).await).await;
        assert_eq!(row(&run, site, 2), row(&there, site, expected));
        assert_ne!(row(&run, site, 3), row(&there, site, expected));
    }
}

#[tokio::test]
async fn the_loop_goes_on_with_the_edits() {
    let app = app();
    let (answer, plain) = trace(&app, TEXT).await;
    let length = answer["tokens"].as_array().unwrap().len() as u64;
    let off =
        json!([{"kind": "off", "part": "blocks.0.mlp"}, {"kind": "off", "part": "blocks.1.mlp"}]);
    let id = edited(&app, TEXT, off).await;
    let go = |id: &str| {
        json!({"text": TEXT, "trace": id, "max_tokens": 4, "temperature": 0}).to_string()
    };
    let (status, with) = post(&app, "/api/generate", go(&id)).await;
    assert_eq!(status, StatusCode::OK, "{with}");
    let steps = with["steps"].as_array().unwrap();
    assert_eq!(
        (&steps[1]["cached"], &steps[1]["computed"]),
        (&json!(0), &json!(length + 1))
    );
    let sample = json!({"trace": id, "temperature": 0}).to_string();
    let (_, drawn) = post(&app, "/api/sample", sample).await;
    assert_eq!(drawn["chosen"]["id"], steps[0]["id"]);
    let (_, without) = post(&app, "/api/generate", go(&plain)).await;
    assert_ne!(without["text"], with["text"]);
    assert_eq!(without["steps"][1]["computed"], 1);
}

#[tokio::test]
async fn edits_that_do_not_fit_get_one_clear_line() {
    let app = app();
    for (edit, says) in [
        (json!({"kind": "nothing"}), "unknown variant"),
        (
            json!({"kind": "off", "part": "blocks.99.mlp"}),
            "blocks 0 to",
        ),
        (json!({"kind": "off"}), "missing field"),
        (
            json!({"kind": "set", "site": "blocks.0.q", "at": [0, 0], "to": 1}),
            "3 axes",
        ),
        (
            json!({"kind": "set", "site": "blocks.0.q", "at": [0, 0, 999], "to": 1}),
            "no element",
        ),
        (
            json!({"kind": "set", "site": "embed", "at": [0, 0], "to": 1e20}),
            "between",
        ),
        (
            json!({"kind": "set", "site": "probs", "at": [0, 0], "to": 1}),
            "not used",
        ),
        (
            json!({"kind": "set", "site": "embed", "at": [99, 0], "to": 1}),
            "no element",
        ),
        (
            json!({"kind": "mask", "query": 0, "key": 0, "allow": false}),
            "leave it one key",
        ),
        (
            json!({"kind": "mask", "layer": 77, "query": 0, "key": 0, "allow": true}),
            "blocks 0 to",
        ),
        (
            json!({"kind": "mask", "query": -1, "key": 0, "allow": true}),
            "-1",
        ),
        (
            json!({"kind": "weight", "name": "W_X", "at": [0, 0], "to": 1}),
            "not a weight",
        ),
        (
            json!({"kind": "weight", "name": "W_E", "at": [0, 99_999], "to": 1}),
            "no element",
        ),
        (
            json!({"kind": "paste", "site": "embed", "to": 0, "text": ""}),
            "empty",
        ),
        (
            json!({"kind": "paste", "site": "embed", "to": 0, "text": "a", "from": 50}),
            "other text",
        ),
        (
            json!({"kind": "paste", "site": "blocks.0.scores", "to": 0, "text": "a"}),
            "one text",
        ),
    ] {
        let body = json!({"text": TEXT, "edits": [edit]}).to_string();
        let (status, answer) = post(&app, "/api/trace", body.clone()).await;
        assert!(status.is_client_error(), "{body}: {status}");
        let line = answer["error"]
            .as_str()
            .unwrap_or_else(|| panic!("{body}: {answer}"));
        assert!(
            line.contains(says) && !line.contains('\n'),
            "{body}: {line:?}"
        );
    }
}
