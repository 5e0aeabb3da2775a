//! `train` on pairs of sentences, as its users meet it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Ran, glassformer};

const TINY: &str = "--layers 1 --heads 2 --d-model 16 --d-ff 24 --context 24 --tokenizer 280 --batch-tokens 200 --steps 12 --warmup 4 \
     --eval-every 6 --log-every 3 --val-fraction 0.2 --score-sentences 4 --threads 1";

fn train(out: &Path, more: &[&str]) -> Ran {
    let out = out.to_str().unwrap();
    glassformer(["train", "--out", out].iter().chain(more))
}

#[test]
fn a_translator_from_a_table_of_pairs() {
    let root = tempfile::tempdir().unwrap();
    let table = root.path().join("pairs.tsv");
    let line = |n: usize| format!("{n}\tthe cat {n}\t猫{n}\n");
    let lines: String = (0..120).map(line).collect();
    fs::write(&table, lines + "121\t\t空\n").unwrap();
    let table = table.to_str().unwrap();
    let out = root.path().join("run");
    let tiny: Vec<_> = TINY.split_whitespace().collect();
    let table = ["--pairs", table, "--columns", "2,3", "--norm", "post"];
    let ran = train(&out, &[&table, &tiny[..]].concat());
    for words in [
        "1 + 1 layers",
        "1 pairs were left out, the first in line 121: a side is empty",
        "BLEU ",
        "glassformer translate -m",
    ] {
        assert!(ran.err.contains(words), "{words:?} is not in: {}", ran.err);
    }
    assert!(
        ran.err.contains(" → "),
        "a translation is shown: {}",
        ran.err
    );
    ran.ok();
    let metrics = fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let last: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    assert!(
        last["bleu"].is_number() && last["chrf"].is_number(),
        "{last}"
    );
    let more = train(
        &out,
        &["--resume", "--steps", "15", "--batch-tokens", "150"],
    );
    assert!(more.err.contains("Going on at step 12."), "{}", more.err);
    more.ok();
    let mean = root.path().join("mean");
    let flags = [
        "convert",
        "-m",
        out.to_str().unwrap(),
        "--average",
        "2",
        "--out",
    ];
    glassformer(flags.into_iter().chain(mean.to_str())).ok();
    let config = fs::read_to_string(mean.join("config.json")).unwrap();
    assert!(config.contains("\"marian\"") && mean.join("tokenizer.json").exists());
}

#[test]
fn flags_that_do_not_go_together() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("run");
    let refuse = |flags: &[&str], words: &str| {
        let line = train(&out, flags).fails();
        assert!(line.contains(words), "{words:?} is not in: {line}");
        assert!(!out.exists());
    };
    let file = |name: &str, text: &str| {
        let path = root.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (two, three) = (file("two", "a\nb\n"), file("three", "a\nb\nc\n"));
    refuse(&["--source", &two, "--target", &three], "line 3 of");
    refuse(
        &["--pairs", &two],
        "two:1: column 2 is wanted, and there are 1",
    );
    refuse(&[&two, "--pairs", &two], "leave one of them out");
    refuse(&[&two, "--preset", "translator"], "is for pairs");
    refuse(&[&two, "--lowercase"], "are for pairs");
    refuse(
        &["--pairs", &two, "--lora-rank", "4"],
        "leave the --lora flags out",
    );
    for flags in [
        &["--source", &*two][..],
        &["--pairs", &two, "--columns", "1"],
    ] {
        let ran = train(&out, flags);
        assert_eq!(ran.code, Some(2), "{}", ran.err);
    }
}
