//! Each route: what it gives, and what it says when it cannot.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use glassformer_weights::TensorFile;
use serde_json::{Value, json};

use crate::support::{app, get, post, trace, turning, two};

/// Of the letters that the turning model knows; some come again.
const TEXT_OF_LETTERS: &str = "once upon a time.";

const TEXT: &str = "从前，有一只小狐狸 and a little dog.";

pub(crate) async fn json_of(app: &axum::Router, path: &str) -> Value {
    let (status, bytes) = get(app, path).await;
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(status, StatusCode::OK, "{path}: {value}");
    value
}

pub(crate) async fn tensors_of(
    app: &axum::Router,
    path: &str,
) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let (status, bytes) = get(app, path).await;
    assert_eq!(
        status,
        StatusCode::OK,
        "{path}: {}",
        String::from_utf8_lossy(&bytes)
    );
    let file = TensorFile::from_vec(bytes, path).unwrap();
    file.names()
        .into_iter()
        .map(|name| (name.clone(), file.load_f32(&name).unwrap()))
        .collect()
}

#[tokio::test]
async fn the_model_describes_itself() {
    let model = json_of(&app(), "/api/model").await;
    assert_eq!(model["family"], "gpt2");
    assert_eq!(model["norm_eps"], 1e-5);
    let [heads, d_head, d_model] =
        ["n_heads", "d_head", "d_model"].map(|name| model[name].as_u64().unwrap());
    assert_eq!(heads * d_head, d_model);
    let vocab = json_of(&app(), "/api/vocab").await;
    assert_eq!(
        vocab["tokens"].as_array().unwrap().len() as u64,
        model["vocab"].as_u64().unwrap()
    );
}

#[tokio::test]
async fn tokens_cover_the_text_and_their_merges_replay() {
    let (answer, _) = trace(&app(), TEXT).await;
    let mut at = 0;
    for token in answer["tokens"].as_array().unwrap() {
        let bytes: Vec<u8> = serde_json::from_value(token["bytes"].clone()).unwrap();
        assert_eq!(token["start"], at);
        assert_eq!(&TEXT.as_bytes()[at..at + bytes.len()], bytes);
        at += bytes.len();
        let mut pieces: Vec<Vec<u8>> = bytes.iter().map(|&byte| vec![byte]).collect();
        for merge in token["merges"].as_array().unwrap() {
            let place = merge["at"].as_u64().unwrap() as usize;
            let right = pieces.remove(place + 1);
            assert_eq!(json!(pieces[place]), merge["left"]);
            assert_eq!(json!(right), merge["right"]);
            pieces[place].extend(right);
        }
        assert_eq!(pieces, [bytes], "the merges of {token}");
    }
    assert_eq!(at, TEXT.len());
}

#[tokio::test]
async fn tensors_come_whole_or_in_rows() {
    let app = app();
    let (answer, id) = trace(&app, TEXT).await;
    let all = tensors_of(&app, &format!("/api/trace/{id}/tensors?sites=*")).await;
    for site in answer["sites"].as_array().unwrap() {
        let shape: Vec<usize> = serde_json::from_value(site["shape"].clone()).unwrap();
        assert_eq!(all[site["name"].as_str().unwrap()].0, shape);
    }
    let corner = format!("/api/trace/{id}/tensors?sites=*.pattern,embed&rows=3,1&cols=0..2");
    let corner = tensors_of(&app, &corner).await;
    let length = all["embed"].0[0];
    let at =
        |h: usize, q: usize, k: usize| all["blocks.0.pattern"].1[(h * length + q) * length + k];
    let (shape, values) = &corner["blocks.0.pattern"];
    assert_eq!(
        (&shape[1..], &values[..4]),
        (
            &[2, 2][..],
            &[at(0, 3, 0), at(0, 3, 1), at(0, 1, 0), at(0, 1, 1)][..]
        )
    );
    assert_eq!(corner["embed"].0[0], 2);
    let some = tensors_of(
        &app,
        &format!("/api/trace/{id}/tensors?sites=embed,blocks.0.pattern&rows=2..4"),
    )
    .await;
    assert_eq!(some.len(), 2);
    let d = all["embed"].0[1];
    assert_eq!(some["embed"].1, all["embed"].1[2 * d..4 * d]);
    let [heads, t, _] = all["blocks.0.pattern"].0[..] else {
        panic!("[H,T,T]")
    };
    assert_eq!(some["blocks.0.pattern"].0, [heads, 2, t]);
    assert_eq!(
        some["blocks.0.pattern"].1[..t],
        all["blocks.0.pattern"].1[2 * t..3 * t]
    );
}

#[tokio::test]
async fn every_cell_is_the_sum_of_its_terms() {
    for app in [app(), turning()] {
        cells_are_sums(&app).await;
    }
}

async fn cells_are_sums(app: &axum::Router) {
    let (answer, id) = trace(app, "once upon a time").await;
    for site in answer["sites"].as_array().unwrap() {
        let shape: Vec<usize> = serde_json::from_value(site["shape"].clone()).unwrap();
        // The last position, some element in the middle.
        let index: Vec<String> = shape.iter().map(|n| (n * 2 / 3).to_string()).collect();
        let name = site["name"].as_str().unwrap();
        let cell = json_of(
            app,
            &format!("/api/trace/{id}/cell?site={name}&index={}", index.join(",")),
        )
        .await;
        let (Some(value), Some(again)) = (cell["value"].as_f64(), cell["recomputed"].as_f64())
        else {
            panic!("{name}: {cell}")
        };
        assert!(
            (value - again).abs() <= 1e-4 * value.abs().max(1.0),
            "{name}: {cell}"
        );
    }
    let masked = json_of(
        app,
        &format!("/api/trace/{id}/cell?site=blocks.0.scores&index=0,0,1"),
    )
    .await;
    assert_eq!(
        (&masked["op"], &masked["value"]),
        (&json!("masked"), &json!("-inf"))
    );
}

#[tokio::test]
async fn the_lens_ends_at_the_models_own_guess() {
    let app = app();
    let (answer, id) = trace(&app, TEXT).await;
    let lens = json_of(&app, &format!("/api/trace/{id}/lens?k=1")).await;
    let probs = tensors_of(&app, &format!("/api/trace/{id}/tensors?sites=probs")).await;
    let (shape, probs) = &probs["probs"];
    let last = lens["top"].as_array().unwrap().last().unwrap();
    for position in 0..answer["tokens"].as_array().unwrap().len() {
        let row = &probs[position * shape[1]..][..shape[1]];
        let best = &last[position][0];
        let max = row.iter().copied().fold(0.0, f32::max);
        assert!((row[best["id"].as_u64().unwrap() as usize] - max).abs() < 1e-6);
        assert!((best["prob"].as_f64().unwrap() - f64::from(max)).abs() < 1e-4);
    }
}

#[tokio::test]
async fn the_lens_reads_the_rows_asked_for() {
    let app = turning();
    let (_, id) = trace(&app, TEXT_OF_LETTERS).await;
    let all = json_of(&app, &format!("/api/trace/{id}/lens?k=2")).await;
    let some = json_of(&app, &format!("/api/trace/{id}/lens?k=2&rows=7,3")).await;
    assert_eq!(some["rows"], json!([7, 3]));
    for (some, all) in some["top"]
        .as_array()
        .unwrap()
        .iter()
        .zip(all["top"].as_array().unwrap())
    {
        assert_eq!(some, &json!([all[7], all[3]]));
    }
}

/// What the page draws of the family, and the way from a score back to the turned query.
#[tokio::test]
async fn a_model_that_turns_tells_so() {
    let app = turning();
    let model = json_of(&app, "/api/model").await;
    let parts = &model["parts"];
    assert_eq!(
        (&parts["norm"], &parts["positions"]),
        (&json!("rms"), &json!("rotary"))
    );
    assert_eq!(parts["frequencies"].as_array().unwrap().len(), 7);
    assert_eq!(
        [&parts["head_norm"], &parts["gated"]],
        [&json!(true), &json!(true)]
    );
    assert_eq!(
        [&parts["qkv_bias"], &parts["mlp_bias"]],
        [&json!(false), &json!(false)]
    );
    assert_eq!(
        (&model["stored"], &model["n_kv_heads"]),
        (&json!("Q8_0"), &json!(2))
    );
    let (_, id) = trace(&app, TEXT_OF_LETTERS).await;
    let cell = |query: &str| format!("/api/trace/{id}/cell?{query}");
    let score = json_of(&app, &cell("site=blocks.1.scores&index=3,8,2")).await;
    assert_eq!(score["terms"][0]["right"]["index"][1], json!(1), "{score}");
    let query = json_of(&app, &cell("site=blocks.1.q&index=8,3,2")).await;
    assert_eq!(
        (&query["op"], query["terms"].as_array().unwrap().len()),
        (&json!("rotation"), 2)
    );
    let angles: Vec<&str> = query["terms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|term| term["right"]["angle"].as_str().unwrap())
        .collect();
    assert!(
        angles.contains(&"cos") && angles.contains(&"-sin"),
        "{query}"
    );
    let gate = json_of(&app, &cell("site=blocks.1.mlp_post&index=8,3")).await;
    assert_eq!(
        (&gate["op"], &gate["terms"][0]["right"]["site"]),
        (&json!("gate"), &json!("blocks.1.mlp_up"))
    );
}

#[tokio::test]
async fn messages_are_set_in_the_chat_template() {
    let body = json!({"text": "a cat", "chat": true}).to_string();
    let (_, answer) = post(&turning(), "/api/trace", body.clone()).await;
    assert_eq!(answer["text"], "a cat.");
    assert_eq!(answer["tokens"].as_array().unwrap().len(), 6);
    let (status, answer) = post(&app(), "/api/trace", body).await;
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().contains("chat template"));
    let body = json!({"text": "a cat", "chat": true, "max_tokens": 1}).to_string();
    let (_, answer) = post(&turning(), "/api/generate", body).await;
    assert_eq!(answer["prompt_tokens"], 6);
}

#[tokio::test]
async fn heads_come_in_little() {
    let app = turning();
    let (answer, id) = trace(&app, TEXT_OF_LETTERS).await;
    let heads = tensors_of(&app, &format!("/api/trace/{id}/heads")).await;
    let t = answer["tokens"].as_array().unwrap().len();
    assert_eq!(heads["pooled"].0, [2, 4, t, t]);
    let pattern = &tensors_of(
        &app,
        &format!("/api/trace/{id}/tensors?sites=blocks.1.pattern"),
    )
    .await["blocks.1.pattern"]
        .1;
    assert_eq!(&heads["pooled"].1[4 * t * t..], pattern.as_slice());
    assert_eq!(heads["previous"].0, [2, 4]);
    let of_head_3: f32 = (1..t).map(|q| pattern[(3 * t + q) * t + q - 1]).sum();
    assert!((heads["previous"].1[7] - of_head_3 / (t - 1) as f32).abs() < 1e-5);
}

#[tokio::test]
async fn the_draw_is_explained() {
    let app = app();
    let (_, id) = trace(&app, TEXT).await;
    let request =
        json!({"trace": id, "temperature": 0.8, "top_k": 40, "top_p": 0.9, "seed": 7, "step": 0});
    let (status, sample) = post(&app, "/api/sample", request.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{sample}");
    let u = sample["u"].as_f64().unwrap();
    let first_above = sample["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["cumulative"].as_f64().unwrap() > u);
    assert_eq!(first_above.unwrap()["id"], sample["chosen"]["id"]);
    let greedy = json!({"trace": id, "temperature": 0});
    let (_, sample) = post(&app, "/api/sample", greedy.to_string()).await;
    assert_eq!((&sample["u"], &sample["kept"]), (&Value::Null, &json!(1)));
    assert_eq!(sample["candidates"][0]["id"], sample["chosen"]["id"]);
}

#[tokio::test]
async fn the_loop_tells_what_it_kept() {
    let app = app();
    let request = json!({"text": TEXT, "max_tokens": 4, "seed": 3, "temperature": 1.0}).to_string();
    let (_, first) = post(&app, "/api/generate", request.clone()).await;
    let (_, again) = post(&app, "/api/generate", request).await;
    assert_eq!(first, again, "the same seed gives the same text");
    let prompt = first["prompt_tokens"].as_u64().unwrap();
    for (i, step) in first["steps"].as_array().unwrap().iter().enumerate() {
        let expected = if i == 0 {
            (0, prompt)
        } else {
            (prompt + i as u64 - 1, 1)
        };
        assert_eq!(
            (
                step["cached"].as_u64().unwrap(),
                step["computed"].as_u64().unwrap()
            ),
            expected
        );
    }
}

#[tokio::test]
async fn long_texts_keep_their_end() {
    let (answer, _) = trace(&app(), &"床前明月光，疑是地上霜。".repeat(500)).await;
    let kept = &answer["kept"];
    assert_eq!(kept["tokens_kept"], 256);
    assert!(kept["tokens_total"].as_u64().unwrap() > 2_000);
    assert_eq!(answer["tokens"].as_array().unwrap().len(), 256);
    let text = answer["text"].as_str().unwrap();
    assert!("床前明月光，疑是地上霜。".repeat(500).ends_with(text) && !text.contains('\u{fffd}'));
}

#[tokio::test]
async fn ablation_changes_the_run() {
    let app = app();
    let (_, plain) = trace(&app, TEXT).await;
    let (status, answer) = post(
        &app,
        "/api/trace",
        json!({"text": TEXT, "ablate": ["blocks.0.mlp"]}).to_string(),
    )
    .await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let path = |id: &str| {
        format!("/api/trace/{id}/tensors?sites=blocks.0.mlp_out,blocks.0.attn_out,logits")
    };
    let before = tensors_of(&app, &path(&plain)).await;
    let after = tensors_of(&app, &path(answer["id"].as_str().unwrap())).await;
    assert!(after["blocks.0.mlp_out"].1.iter().all(|&x| x == 0.0));
    assert_eq!(before["blocks.0.attn_out"], after["blocks.0.attn_out"]);
    assert_ne!(before["logits"], after["logits"]);
}

#[tokio::test]
async fn wrong_requests_get_one_clear_line() {
    let app = app();
    let (_, id) = trace(&app, "a").await;
    let posts = [
        ("/api/trace", r#"{"text":""}"#.to_owned()),
        ("/api/trace", "{".to_owned()),
        ("/api/trace", "{}".to_owned()),
        (
            "/api/trace",
            json!({"text": "a", "ablate": ["blocks.99.head.0"]}).to_string(),
        ),
        (
            "/api/trace",
            json!({"text": "a", "ablate": ["nonsense"]}).to_string(),
        ),
        ("/api/sample", json!({"trace": "999999"}).to_string()),
        ("/api/sample", json!({"trace": id, "top_p": 0}).to_string()),
        (
            "/api/generate",
            json!({"text": "a", "temperature": -1}).to_string(),
        ),
    ];
    for (path, body) in posts {
        let (status, value) = post(&app, path, body.clone()).await;
        assert!(status.is_client_error(), "{path} {body}: {status}");
        let line = value["error"]
            .as_str()
            .unwrap_or_else(|| panic!("{path} {body}: {value}"));
        assert!(!line.is_empty() && !line.contains('\n'), "{line:?}");
    }
    for path in [
        format!("/api/trace/{id}/tensors?sites=nothing"),
        format!("/api/trace/{id}/tensors?sites=embed&rows=x"),
        format!("/api/trace/{id}/tensors?sites=[["),
        "/api/trace/999999/lens".to_owned(),
        format!("/api/trace/{id}/cell?site=embed&index=0,99999"),
        format!("/api/trace/{id}/cell?site=embed&index=0"),
        format!("/api/trace/{id}/cell?site=blocks.99.q&index=0,0,0"),
        "/api/weights?name=W_X".to_owned(),
        "/api/weights?name=blocks.99.ln1.w".to_owned(),
        "/api/neighbours?id=999999".to_owned(),
    ] {
        let (status, bytes) = get(&app, &path).await;
        assert!(status.is_client_error(), "{path}: {status}");
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert!(value["error"].is_string(), "{path}: {value}");
    }
}

#[tokio::test]
async fn markup_and_odd_characters_are_text() {
    for text in [
        "<script>alert(1)</script>",
        "\u{0}\u{7}\u{202e}",
        "👩‍👩‍👧‍👦🏳️‍🌈",
        "שלום عالم",
        "\u{feff}a\r\n\tb",
    ] {
        let (answer, _) = trace(&app(), text).await;
        assert_eq!(answer["text"], text);
    }
}

#[tokio::test]
async fn a_second_model_is_asked_by_its_name() {
    let app = two();
    let own = json_of(&app, "/api/model").await;
    assert_eq!(own["name"], "builtin");
    let facts = json_of(&app, "/api/model?model=qwen3-tiny").await;
    let models = json_of(&app, "/api/models").await;
    assert_eq!(models, json!({"models": [own, facts]}));
    assert_eq!(facts["family"], "qwen3");
    let asked = json!({"text": "once upon a time.", "model": "qwen3-tiny"});
    let (status, run) = post(&app, "/api/trace", asked.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{run}");
    assert_eq!(run["tokens"].as_array().unwrap().len(), 17);
    // What is asked of the run is asked of its model: this one's tensors, and no other's.
    let id = run["id"].as_str().unwrap();
    let tensors = tensors_of(
        &app,
        &format!("/api/trace/{id}/tensors?sites=blocks.0.q_norm"),
    )
    .await;
    assert_eq!(tensors.len(), 1);
    let (status, answer) = get(&app, "/api/model?model=qwen").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(String::from_utf8_lossy(&answer).contains("no model"));
}
