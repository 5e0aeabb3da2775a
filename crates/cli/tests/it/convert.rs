//! `convert` and what `-m` takes: folders and files of every format, there and back.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{corpus, glassformer, tiny_run};

const PROMPT: &str = "Once upon a time";

fn convert(model: &str, out: &Path, more: &[&str]) -> crate::support::Ran {
    let out = out.to_str().unwrap();
    let flags = ["convert", "-m", model, "--out", out];
    glassformer(flags.iter().chain(more))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn greedy(model: &str) -> String {
    let flags = [
        "--max-tokens",
        "24",
        "--temperature",
        "0",
        "--precision",
        "f32",
    ];
    glassformer(["generate", "-m", model, PROMPT].iter().chain(&flags)).ok()
}

fn info(model: &str) -> Value {
    serde_json::from_str(&glassformer(["info", "-m", model, "--json"]).ok()).unwrap()
}

#[test]
fn there_and_back_nothing_is_lost() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    convert("builtin", &path("folder"), &["--dtype", "f32"]).ok();
    convert(text(&path("folder")), &path("model.gguf"), &[]).ok();
    convert(text(&path("model.gguf")), &path("back"), &[]).ok();
    let weights = |name: &str| fs::read(path(name).join("model.safetensors")).unwrap();
    assert!(weights("folder") == weights("back"), "the same bytes");
    let expected = greedy("builtin");
    for name in ["folder", "model.gguf", "back"] {
        assert_eq!(greedy(text(&path(name))), expected, "{name}");
    }
    let [one, other] = ["model.gguf", "back"].map(|name| info(text(&path(name))));
    for key in [
        "family",
        "n_layers",
        "parameters",
        "vocab",
        "tokenizer",
        "n_ctx",
    ] {
        assert_eq!(one[key], other[key], "{key}");
    }
    assert_eq!(one["format"], "GGUF");
    assert_eq!(one["stored"], "F32");
    // Nothing but what was asked for.
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 3);
}

#[test]
fn quantised_files_run_and_say_what_they_are() {
    let root = tempfile::tempdir().unwrap();
    let whole = root.path().join("f16.gguf");
    convert("builtin", &whole, &["--dtype", "f16"]).ok();
    let size = |path: &Path| path.metadata().unwrap().len();
    for dtype in ["q8_0", "q6_k", "q4_k", "q4_0"] {
        let file = root.path().join(format!("{dtype}.gguf"));
        let ran = convert(text(&whole), &file, &["--dtype", dtype]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        // Rows of 192 are no blocks of 256, as Q6_K has them, which logits get among smaller blocks too.
        let falls_back = dtype != "q8_0";
        assert_eq!(
            ran.err.contains("no whole blocks"),
            falls_back,
            "{}",
            ran.err
        );
        assert!(size(&file) < size(&whole) * 6 / 10, "{dtype}");
        let facts = info(text(&file));
        assert!(
            facts["speed_path"].as_str().unwrap().contains("blocks of"),
            "{facts}"
        );
        assert!(greedy(text(&file)).len() > PROMPT.len());
    }
}

#[test]
fn what_cannot_be_written_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("model");
    let error = convert("builtin", &out, &["--dtype", "q4_0"]).fails();
    assert!(error.contains(".gguf"), "{error}");
    fs::write(&out, "precious").unwrap();
    let error = convert("builtin", &out, &[]).fails();
    assert!(error.contains("exists already"), "{error}");
    assert_eq!(fs::read_to_string(&out).unwrap(), "precious");
    fs::remove_file(&out).unwrap();
    let nowhere = root.path().join("no/such/model.gguf");
    let error = convert("builtin", &nowhere, &[]).fails();
    assert!(error.contains("cannot write"), "{error}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

/// A folder with the built-in model, whose config and weights `change` may change.
fn folder(root: &Path) -> PathBuf {
    let out = root.join("model");
    convert("builtin", &out, &["--dtype", "f32"]).ok();
    out
}

#[test]
fn what_else_a_folder_says_goes_along() {
    let root = tempfile::tempdir().unwrap();
    let from = folder(root.path());
    let template = "{% for m in messages %}{{ m.content }}{% endfor %}";
    fs::write(from.join("chat_template.jinja"), template).unwrap();
    fs::write(
        from.join("README.md"),
        "---\nlicense: apache-2.0\n---\n# A model\n",
    )
    .unwrap();
    let config = fs::read_to_string(from.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["initializer_range"] = json!(0.02);
    fs::write(from.join("config.json"), config.to_string()).unwrap();

    let again = root.path().join("again");
    convert(text(&from), &again, &["--dtype", "bf16"]).ok();
    let written = fs::read_to_string(again.join("config.json")).unwrap();
    let written: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written["initializer_range"], 0.02);
    assert_eq!(written["torch_dtype"], "bfloat16");
    assert_eq!(
        fs::read_to_string(again.join("chat_template.jinja")).unwrap(),
        template
    );

    let file = root.path().join("model.gguf");
    convert(text(&from), &file, &[]).ok();
    let facts = info(text(&file));
    assert_eq!(facts["chat_template"], true);
    assert_eq!(facts["license"], "apache-2.0");
}

#[test]
fn weights_that_are_no_numbers_are_told_of() {
    let root = tempfile::tempdir().unwrap();
    let out = folder(root.path());
    let file = out.join("model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    // The last tensor, by name, is W_E; the positions are W_pos: both are matrices that stay in the file.
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&file, bytes).unwrap();
    let flags = ["generate", "-m", text(&out), PROMPT, "--max-tokens", "1"];
    let ran = glassformer(flags);
    let warnings: Vec<&str> = ran
        .err
        .lines()
        .filter(|line| line.starts_with("warning:"))
        .collect();
    assert_eq!(warnings.len(), 1, "{}", ran.err);
    assert!(
        warnings[0].contains("tensor transformer.w"),
        "{}",
        warnings[0]
    );
    let whole = glassformer(["generate", "-m", "builtin", PROMPT, "--max-tokens", "1"]);
    assert!(!whole.err.contains("warning"), "{}", whole.err);
}

#[test]
fn pickles_are_refused_with_a_hint() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    for (name, bytes) in [
        ("ckpt.pt", &b"PK\x03\x04zip"[..]),
        ("pytorch_model.bin", b"\x80\x02}q"),
    ] {
        fs::write(path(name), bytes).unwrap();
        let error = glassformer(["info", "-m", text(&path(name))]).fails();
        assert!(
            error.contains("pickle") && error.contains("save_file"),
            "{error}"
        );
    }
    let error = glassformer(["info", "-m", text(root.path())]).fails();
    assert!(error.contains("pickle"), "{error}");
}

#[test]
fn nanogpt_says_what_it_lacks() {
    let root = tempfile::tempdir().unwrap();
    let from = folder(root.path());
    let alone = root.path().join("alone");
    fs::create_dir(&alone).unwrap();
    fs::copy(
        from.join("model.safetensors"),
        alone.join("ckpt.safetensors"),
    )
    .unwrap();
    // Hugging Face's matrices stand the other way: it is not nanoGPT's.
    let error = glassformer(["info", "-m", text(&alone)]).fails();
    assert!(error.contains("config.json is missing"), "{error}");
}

/// The text that llama2.c's `test_all.py` expects of its model of 260 thousand parameters.
const STORY: &str = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.\nLily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do. She said, \"I want to play with your ball, but I can't find it.\"\nLily was sad and didn't know what to do. She said, \"I'm sorry, Lily. I didn't know what to do.\"\nLily didn't want to help her mom, so she";

#[test]
fn llama2c_tells_its_story() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/stories260k/stories260K.bin");
    if !model.exists() {
        eprintln!("skipped: no {}", model.display());
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let (gguf, folder) = (root.path().join("s.gguf"), root.path().join("s"));
    convert(text(&model), &gguf, &[]).ok();
    convert(text(&gguf), &folder, &[]).ok();
    for model in [&model, &gguf, &folder] {
        let flags = [
            "generate",
            "-m",
            text(model),
            "Once upon",
            "--temperature",
            "0",
            "--max-tokens",
            "220",
        ];
        let story = glassformer(flags).ok();
        assert!(
            story.trim().starts_with(STORY),
            "{}: {story}",
            model.display()
        );
    }
}

#[test]
fn the_mean_of_a_runs_checkpoints_is_a_model() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    let run = tiny_run(
        &corpus(root.path()),
        &path("run"),
        &["--steps", "40", "--keep", "3"],
    );
    glassformer(run).ok();
    let ran = convert(text(&path("run")), &path("mean"), &["--average", "3"]);
    assert!(
        ran.err.contains("the checkpoints of steps 20, 30, 40"),
        "{}",
        ran.err
    );
    ran.ok();
    greedy(text(&path("mean")));
    convert(text(&path("run")), &path("last"), &["--average", "1"]).ok();
    let weights = |name: &str| fs::read(path(name).join("model.safetensors")).unwrap();
    assert!(weights("mean") != weights("last"));

    let line = convert(text(&path("run")), &path("x"), &["--average", "best:9"]).fails();
    assert!(
        line.contains("9 are asked for; ask for fewer, or train with --keep 9"),
        "{line}"
    );
    let line = convert("builtin", &path("x"), &["--average", "2"]).fails();
    assert!(line.contains("--average takes the --out folder"), "{line}");
    let ran = convert(text(&path("run")), &path("x"), &["--average", "0"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
}

#[test]
fn a_run_that_gets_no_better_ends_early() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("run");
    let still = "--steps 500 --learning-rate 0 --min-learning-rate 0 --patience 2";
    let more: Vec<_> = still.split(' ').collect();
    let ran = glassformer(tiny_run(&corpus(root.path()), &out, &more));
    let message = "No better validation loss in 2 evaluations: ended early, at step 30.";
    assert!(ran.err.contains(message), "{}", ran.err);
    ran.ok();
}
