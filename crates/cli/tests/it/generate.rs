//! `generate`, `tokenize`, `info`, `convert` on the built-in model.

use std::io::Write;
use std::process::Stdio;

use crate::support::{command, glassformer};

#[test]
fn continues_both_languages_the_same_way_each_time() {
    for prompt in ["Once upon a time", "从前有一只小狐狸"] {
        let run = || glassformer(["generate", prompt, "--max-tokens", "20", "--seed", "5"]).ok();
        let text = run();
        assert!(
            text.starts_with(prompt) && text.len() > prompt.len() + 10,
            "{text}"
        );
        assert_eq!(text, run(), "the same seed gives the same text");
        let other = glassformer(["generate", prompt, "--max-tokens", "20", "--seed", "6"]).ok();
        assert_ne!(text, other, "another seed gives another text");
    }
}

#[test]
fn the_cache_changes_nothing() {
    for seed in ["1", "2", "3"] {
        let base = [
            "generate",
            "Once upon a time there was",
            "--max-tokens",
            "40",
            "--seed",
            seed,
        ];
        let cached = glassformer(base).ok();
        let scratch = glassformer(base.iter().chain(&["--no-cache"])).ok();
        assert_eq!(cached, scratch);
    }
}

#[test]
fn json_tells_the_same_text() {
    let base = [
        "generate",
        "One day",
        "--max-tokens",
        "12",
        "--temperature",
        "0",
    ];
    let text = glassformer(base).ok();
    let json: serde_json::Value =
        serde_json::from_str(&glassformer(base.iter().chain(&["--json"])).ok()).unwrap();
    assert_eq!(text, format!("One day{}\n", json["text"].as_str().unwrap()));
    assert_eq!(
        json["ids"].as_array().unwrap().len(),
        json["probs"].as_array().unwrap().len()
    );
}

#[test]
fn reads_standard_input_and_stops_before_the_stop_string() {
    let mut child = command(["generate", "-", "--stop", ".", "--max-tokens", "120"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"Once upon a time\n")
        .unwrap();
    let out = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(
        out.starts_with("Once upon a time") && !out.contains('.'),
        "{out}"
    );
}

#[test]
fn goes_on_beyond_the_context() {
    let text = glassformer([
        "generate",
        "The",
        "--max-tokens",
        "300",
        "--temperature",
        "1",
        "--top-k",
        "0",
        "--json",
    ])
    .ok();
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
}

#[test]
fn tokens_show_their_merges() {
    let out = glassformer(["tokenize", "床前 the", "--merges"]).ok();
    assert!(out.contains("merge ") && out.contains("e5"), "{out}");
    let json: serde_json::Value =
        serde_json::from_str(&glassformer(["tokenize", "床前", "--json"]).ok()).unwrap();
    let bytes: Vec<u8> = json["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|token| {
            token["bytes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|b| b.as_u64().unwrap() as u8)
        })
        .collect();
    assert_eq!(bytes, "床前".as_bytes());
}

#[test]
fn info_and_convert_agree() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("copy");
    glassformer(["convert", "--dtype", "f32", "--out", out.to_str().unwrap()]).ok();
    let info = |model: &str| -> serde_json::Value {
        serde_json::from_str(&glassformer(["info", "--json", "-m", model]).ok()).unwrap()
    };
    let (original, copy) = (info("builtin"), info(out.to_str().unwrap()));
    assert_eq!(original["parameters"], copy["parameters"]);
    let generate = |model: &str| {
        glassformer([
            "generate",
            "A",
            "-m",
            model,
            "--max-tokens",
            "10",
            "--temperature",
            "0",
        ])
        .ok()
    };
    assert_eq!(generate("builtin"), generate(out.to_str().unwrap()));
}
