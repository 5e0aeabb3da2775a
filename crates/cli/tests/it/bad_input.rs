//! Whatever comes in: one clear line, a non-zero exit, nothing lost.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use crate::support::{command, corpus, glassformer, tiny_run};

/// Training on `corpus` fails; the message names what is wrong, and no run is left behind.
#[track_caller]
fn refuses(corpus: &Path, folder: &Path, words: &[&str]) {
    let out = folder.join("out");
    let line = glassformer(tiny_run(corpus, &out, &["--steps", "5"])).fails();
    for word in words {
        assert!(line.contains(word), "{word:?} is not in: {line}");
    }
    assert!(!out.join("run.json").exists());
}

#[test]
fn corpora_that_cannot_be_learned_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    refuses(
        &folder.path().join("missing.txt"),
        folder.path(),
        &["missing.txt", "does not exist"],
    );
    refuses(
        &file("empty.txt", b""),
        folder.path(),
        &["empty.txt", "no text"],
    );
    refuses(
        &file("binary.txt", &[0x7f, b'E', b'L', b'F', 0, 1, 0xff, 0xfe]),
        folder.path(),
        &["binary.txt", "UTF-8"],
    );
    refuses(
        &file("short.txt", b"too short"),
        folder.path(),
        &["too short", "context"],
    );
    refuses(
        &file("bad.jsonl", b"{\"text\": \"a\"}\n{\"text\"\n"),
        folder.path(),
        &["bad.jsonl:2"],
    );
    refuses(
        &file("field.jsonl", b"{\"body\": \"a\"}\n"),
        folder.path(),
        &["field.jsonl:1", "text"],
    );
    refuses(
        &file("torn.txt.gz", &[0x1f, 0x8b, 8, 0, 0]),
        folder.path(),
        &["torn.txt.gz", "damaged"],
    );
    let empty = folder.path().join("folder");
    fs::create_dir(&empty).unwrap();
    refuses(&empty, folder.path(), &["no documents"]);
}

#[test]
fn usage_errors_exit_with_two() {
    for arguments in [
        &["train"][..],
        &["generate"],
        &["nonsense"],
        &["generate", "a", "--seed", "x"],
        &["trace", "--out", "x"],
    ] {
        assert_eq!(glassformer(arguments).code, Some(2), "{arguments:?}");
    }
}

#[test]
fn numbers_out_of_range() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    for (flags, word) in [
        (["--heads", "3"], "--heads"),
        (["--steps", "0"], "--steps"),
        (["--dropout", "1.5"], "--dropout"),
        (["--learning-rate", "-1"], "--learning-rate"),
        (["--tokenizer", "nowhere.json"], "nowhere.json"),
    ] {
        let mut run = tiny_run(&corpus, &folder.path().join("out"), &[]);
        run.push(format!("{}={}", flags[0], flags[1]));
        let line = glassformer(run).fails();
        assert!(line.contains(word), "{line}");
    }
    for flags in [
        ["--temperature", "-1"],
        ["--top-p", "0"],
        ["--min-p", "2"],
        ["--repetition-penalty", "0"],
    ] {
        glassformer([
            "generate".to_owned(),
            "a".to_owned(),
            format!("{}={}", flags[0], flags[1]),
        ])
        .fails();
    }
}

#[test]
fn prompts_of_every_kind() {
    let text = glassformer(["generate", "", "--max-tokens", "5"]).ok();
    assert!(text.trim().len() > 1, "an empty prompt begins a document");
    glassformer(
        ["generate", "\u{1f9ca}\u{0}", "--max-tokens", "3"].map(|s| s.trim_end_matches('\0')),
    )
    .ok();
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    glassformer(tiny_run(&corpus(folder.path()), &run, &["--steps", "10"])).ok();
    let line = glassformer(["generate", "-m", run.to_str().unwrap(), "狐狸"]).fails();
    assert!(line.contains("none of the prompt's characters"), "{line}");
    let half = glassformer([
        "generate",
        "-m",
        run.to_str().unwrap(),
        "cat 狐狸",
        "--max-tokens",
        "3",
    ]);
    assert!(half.err.contains("狐狸"), "{}", half.err);
    assert_eq!(half.code, Some(0));
}

#[test]
fn a_million_characters() {
    let mut child = command(["generate", "-", "--max-tokens", "2", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all("春天来了 and the sun is up. ".repeat(40_000).as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("reads the last 256"));
}

#[test]
fn models_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let try_model = |name: &str| {
        glassformer(["generate", "a", "-m", path.join(name).to_str().unwrap()]).fails()
    };
    assert!(try_model("missing").contains("no model"));
    fs::create_dir(path.join("empty")).unwrap();
    assert!(try_model("empty").contains("holds no model"));
    glassformer(["convert", "--out", path.join("good").to_str().unwrap()]).ok();
    let copy = |name: &str| {
        fs::create_dir(path.join(name)).unwrap();
        for file in ["config.json", "model.safetensors", "tokenizer.json"] {
            fs::copy(path.join("good").join(file), path.join(name).join(file)).unwrap();
        }
        path.join(name)
    };
    let torn = copy("torn");
    let bytes = fs::read(torn.join("model.safetensors")).unwrap();
    fs::write(torn.join("model.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(try_model("torn").contains("damaged"));
    fs::write(
        copy("foreign").join("config.json"),
        r#"{"model_type":"mamba"}"#,
    )
    .unwrap();
    assert!(try_model("foreign").contains("mamba"));
    let config = fs::read_to_string(path.join("good/config.json")).unwrap();
    fs::write(
        copy("shape").join("config.json"),
        config.replace("\"n_embd\": 192", "\"n_embd\": 96"),
    )
    .unwrap();
    assert!(try_model("shape").contains("shape"));
    fs::write(copy("tokens").join("tokenizer.json"), "{\"version\":").unwrap();
    try_model("tokens");
    // The library panics at a template that sets a token of which it says nothing (found by fuzzing).
    let tokenizer = fs::read_to_string(path.join("good/tokenizer.json")).unwrap();
    let mut tokenizer: serde_json::Value = serde_json::from_str(&tokenizer).unwrap();
    let token = |name: &str| serde_json::json!({ "SpecialToken": { "id": name, "type_id": 0 } });
    let text = serde_json::json!({ "Sequence": { "id": "A", "type_id": 0 } });
    tokenizer["post_processor"] = serde_json::json!({
        "type": "TemplateProcessing",
        "single": [token("[CLS]"), text],
        "pair": [token("[CLS]"), text, token("[SEP]")],
        "special_tokens": { "[CLS]": { "id": "[CLS]", "ids": [0], "tokens": ["[CLS]"] } },
    });
    fs::write(
        copy("template").join("tokenizer.json"),
        tokenizer.to_string(),
    )
    .unwrap();
    assert!(try_model("template").contains("post_processor"));
    for (source, told) in [
        ("hf:a/b/c", "is written hf:org/name"),
        ("model.gguf", "no model model.gguf"),
    ] {
        let error = glassformer(["info", "-m", source]).fails();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let line = glassformer(["explain", "--no-open", "--port", &port]).fails();
    assert!(line.contains("in use") && line.contains("--port"), "{line}");
}

#[test]
fn sites_and_edits_that_are_none() {
    let base = [
        "trace",
        "--text",
        "a",
        "--out",
        "/nonexistent-folder/x.safetensors",
    ];
    let with = |more: &[&str]| glassformer([&base, more].concat()).fails();
    assert!(with(&["--sites", "nothing"]).contains("nothing"));
    assert!(with(&["--ablate", "blocks.99.head.1"]).contains("blocks 0 to"));
    assert!(with(&["--ablate", "blocks.0.head.99"]).contains("heads 0 to"));
    assert!(with(&["--ablate", "embed[5]"]).contains("positions 0 to"));
    assert!(with(&["--scale", "embed"]).contains("SITE=FACTOR"));
    assert!(with(&["--replace", "embed=missing.safetensors"]).contains("missing.safetensors"));
    assert!(with(&[]).contains("cannot write"));
}
