//! An adapter as its users meet it: trained, resumed, run by the run's folder or beside its model, merged; and refused.

use std::fs;
use std::path::Path;

use crate::support::{corpus, glassformer};

/// Trains an adapter on the built-in model for a few steps.
fn train(folder: &Path, more: &[&str]) -> String {
    let corpus = corpus(folder);
    let out = folder.join("run");
    let arguments = [
        "train",
        corpus.to_str().unwrap(),
        "--init",
        "builtin",
        "--lora-rank",
        "4",
        "--context",
        "16",
        "--batch-size",
        "2",
        "--steps",
        "12",
        "--warmup",
        "2",
        "--learning-rate",
        "0.02",
        "--eval-every",
        "6",
        "--eval-batches",
        "2",
        "--sample-tokens",
        "3",
        "--out",
        out.to_str().unwrap(),
    ];
    let ran = glassformer(arguments.iter().chain(more));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    ran.err
}

fn generate(model: &[&str]) -> String {
    let rest = [
        "generate",
        "line 3:",
        "--max-tokens",
        "12",
        "--temperature",
        "0",
    ];
    glassformer(rest.iter().chain(model)).ok()
}

#[test]
fn an_adapter_is_trained_run_and_merged() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let told = train(folder.path(), &["--lora-targets", "c_attn,mlp.c_proj"]);
    assert!(
        told.contains("an adapter of rank 4 on c_attn, c_proj") && told.contains("Memory: "),
        "{told}"
    );
    let run = path("run");
    let adapter = path("run/checkpoints/step-000012");
    assert!(
        Path::new(&adapter)
            .join("adapter_model.safetensors")
            .exists()
    );
    let adapted = generate(&["-m", "builtin", "--lora", &adapter]);
    assert_ne!(
        adapted,
        generate(&["-m", "builtin"]),
        "it has learned something"
    );
    assert_eq!(
        adapted,
        generate(&["-m", &adapter]),
        "an adapter names its model"
    );
    // The run's best checkpoint is its last here, or else the other one.
    let best = generate(&["-m", &run]);
    let before = path("run/checkpoints/step-000006");
    assert!(
        best == adapted || best == generate(&["-m", &before]),
        "{best}"
    );

    let merged = path("merged");
    glassformer([
        "convert", "-m", "builtin", "--lora", &adapter, "--out", &merged,
    ])
    .ok();
    assert!(!Path::new(&merged).join("adapter_config.json").exists());
    assert_eq!(adapted, generate(&["-m", &merged]));
    // A model in memory is traced with the adapter in its weights.
    let trace = |model: &[&str], out: &str| {
        let rest = ["trace", "--text", "line", "--sites", "logits", "--out", out];
        glassformer(rest.iter().chain(model)).ok();
        fs::read(out).unwrap()
    };
    let beside = trace(
        &["-m", "builtin", "--lora", &adapter],
        &path("a.safetensors"),
    );
    let within = trace(&["-m", &merged], &path("b.safetensors"));
    assert_eq!(beside[beside.len() - 4096..], within[within.len() - 4096..]);

    let ran = glassformer(["train", "--resume", "--out", &run, "--steps", "14"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("Going on at step 12."), "{}", ran.err);
}

#[test]
fn what_does_not_fit_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    train(folder.path(), &[]);
    let (corpus, run) = (path("corpus.txt"), path("run"));
    let adapter = path("run/checkpoints/step-000012");
    let other = path("other");
    let train = |more: &[&str]| {
        let rest = ["train", &corpus, "--out", &other];
        glassformer(rest.iter().chain(more)).fails()
    };
    assert!(train(&["--lora-rank", "4"]).contains("--init"));
    assert!(train(&["--init", "builtin", "--lora-rank", "0"]).contains("rank"));
    assert!(train(&["--init", "builtin", "--lora-dropout", "1"]).contains("dropout"));
    let unknown = train(&["--init", "builtin", "--lora-targets", "q_proj"]);
    assert!(
        unknown.contains("q_proj") && unknown.contains("c_attn"),
        "{unknown}"
    );
    assert!(train(&["--init", &adapter, "--lora-rank", "2"]).contains("convert"));
    let resumed = ["train", "--resume", "--out", &run, "--lora-rank", "8"];
    assert!(glassformer(resumed).fails().contains("--lora"));

    let fails = |model: &[&str]| {
        let rest = ["generate", "a", "--max-tokens", "1"];
        glassformer(rest.iter().chain(model)).fails()
    };
    assert!(fails(&["--lora", &path("nowhere")]).contains("adapter_config.json"));
    assert!(fails(&["-m", &adapter, "--lora", &adapter]).contains("already"));
    let config = Path::new(&adapter).join("adapter_config.json");
    let was = fs::read_to_string(&config).unwrap();
    let change = |from: &str, to: &str| {
        assert!(was.contains(from), "{was}");
        fs::write(&config, was.replace(from, to)).unwrap();
    };
    change("\"r\": 4", "\"r\": 5");
    assert!(fails(&["--lora", &adapter]).contains("lora_A"));
    change("\"use_dora\": false", "\"use_dora\": true");
    assert!(fails(&["--lora", &adapter]).contains("use_dora"));
    change("\"builtin\"", "\"somebody/else\"");
    let elsewhere = fails(&["-m", &adapter]);
    assert!(
        elsewhere.contains("somebody/else") && elsewhere.contains("--lora"),
        "{elsewhere}"
    );
    change("\"LORA\"", "\"VERA\"");
    assert!(fails(&["-m", &adapter]).contains("VERA"));
    fs::write(&config, &was).unwrap();
    let weights = Path::new(&adapter).join("adapter_model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    assert!(fails(&["-m", &adapter]).contains("adapter_model.safetensors"));
}
