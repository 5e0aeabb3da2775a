//! `translate`, on tiny encoder–decoders with random weights and a vocabulary of words, and on one that was just trained.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Map, Value, json};

use crate::support::{Ran, command, glassformer};

/// The golden model, with a tokenizer of words: `w4`, `w5`, … and `.`.
pub(crate) fn model(folder: &Path, name: &str) -> PathBuf {
    let out = folder.join(name);
    fs::create_dir_all(&out).unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../parity/golden")
        .join(name);
    for name in ["config.json", "model.safetensors"] {
        fs::copy(golden.join(name), out.join(name)).unwrap();
    }
    let config: Value =
        serde_json::from_slice(&fs::read(out.join("config.json")).unwrap()).unwrap();
    let (size, end, pad) = (
        config["vocab_size"].as_u64().unwrap(),
        config["eos_token_id"].as_u64().unwrap(),
        config["pad_token_id"].as_u64().unwrap(),
    );
    let special = |id: u64, content: &str| json!({"id": id, "content": content, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false});
    let word = |id: u64| match id {
        id if id == end => "</s>".to_owned(),
        id if id == pad => "<pad>".to_owned(),
        2 => "<unk>".to_owned(),
        3 => ".".to_owned(),
        id => format!("w{id}"),
    };
    let vocab: Map<_, _> = (0..size).map(|id| (word(id), json!(id))).collect();
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": [special(2, "<unk>"), special(end, "</s>"), special(pad, "<pad>")],
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {"</s>": {"id": "</s>", "ids": [end], "tokens": ["</s>"]}},
        },
        "model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": vocab},
    });
    fs::write(out.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    out
}

fn translate(model: &Path, more: &[&str]) -> Ran {
    let first = ["translate", "--threads", "1", "-m", model.to_str().unwrap()];
    glassformer(first.iter().chain(more))
}

/// As a filter.
fn piped(model: &Path, text: &[u8], more: &[&str]) -> Ran {
    let first = ["translate", "--threads", "1", "-m", model.to_str().unwrap()];
    let mut child = command(first.iter().chain(more))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = text.to_vec();
    let writer = std::thread::spawn(move || drop(input.write_all(&text)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output.into()
}

fn objects(out: &str) -> Vec<Value> {
    let lines = out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

const LINES: [&str; 5] = ["w5 w6 w7", "", "w40 . w41", "  ", "w9"];

#[test]
fn a_line_in_a_line_out() {
    let root = tempfile::tempdir().unwrap();
    for name in ["marian-tiny", "bart-tiny", "t5-gated"] {
        let model = model(root.path(), name);
        let text = LINES.join("\n") + "\n";
        let given = piped(&model, text.as_bytes(), &[]).ok();
        let lines: Vec<&str> = given.lines().collect();
        assert_eq!(lines.len(), LINES.len(), "{given}");
        for (source, target) in LINES.iter().zip(&lines) {
            let is_empty = source.trim().is_empty();
            assert!(!is_empty || target.is_empty(), "{given}");
            // Each is as it would be alone.
            let alone = translate(&model, &[source]).ok();
            assert_eq!(alone.trim_end_matches('\n'), *target);
        }
        let windows = LINES.join("\r\n");
        assert_eq!(
            piped(&model, windows.as_bytes(), &["--batch-size", "2"]).ok(),
            given
        );
        let file = root.path().join("lines.txt");
        fs::write(&file, &text).unwrap();
        assert_eq!(
            translate(&model, &["--file", file.to_str().unwrap()]).ok(),
            given
        );
    }
    let none = piped(&root.path().join("marian-tiny"), b"", &[]);
    assert_eq!(none.ok(), "");
}

/// Whoever waits for an answer need not write more first.
#[test]
fn answers_come_as_lines_do() {
    let root = tempfile::tempdir().unwrap();
    let model = model(root.path(), "marian-tiny");
    let mut child = command(["translate", "-m", model.to_str().unwrap(), "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for (number, source) in (1..).zip(["w5", "", "w6 w7"]) {
        writeln!(input, "{source}").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&line["line"], &line["source"]),
            (&json!(number), &json!(source))
        );
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn searches_that_are_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let model = model(root.path(), "marian-tiny");
    let of = |flags: &[&str]| {
        let all = [&["w5 w6 w7", "--json"], flags].concat();
        objects(&translate(&model, &all).ok()).remove(0)
    };
    let scores = |line: &Value| -> Vec<f64> {
        let all = line["translations"].as_array().unwrap();
        all.iter()
            .map(|one| one["score"].as_f64().unwrap())
            .collect()
    };
    let best = of(&["--n-best", "3"]);
    assert_eq!(scores(&best).len(), 3);
    assert!(scores(&best).is_sorted_by(|a, b| a >= b));
    assert_eq!(best["translations"][0], of(&[])["translations"][0]);
    assert_eq!(of(&["--greedy"]), of(&["--beam", "1"]));
    assert_eq!(
        of(&["--greedy"])["translations"],
        of(&["--sample", "--temperature", "0"])["translations"]
    );
    // 0 sums.
    let sum = &of(&["--length-penalty", "0"])["translations"][0];
    assert_eq!(sum["score"], sum["log_prob"]);
    assert_ne!(scores(&of(&["--gnmt", "--n-best", "3"])), scores(&best));
    assert_eq!(
        of(&["--max-length", "2", "--length-penalty", "-1"])["translations"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let drawn = |seed| {
        of(&[
            "--sample",
            "--n-best",
            "4",
            "--seed",
            seed,
            "--temperature",
            "2",
        ])
    };
    assert_eq!(drawn("3"), drawn("3"));
    assert_ne!(drawn("3"), drawn("4"));
    let table = translate(&model, &["w5 w6 w7", "w8", "--n-best", "2"]).ok();
    let columns: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let numbers: Vec<&str> = columns.iter().map(|columns| columns[0]).collect();
    assert_eq!(numbers, ["1", "1", "2", "2"]);
    assert!(
        columns
            .iter()
            .all(|columns| columns.len() == 3 && columns[1].parse::<f64>().is_ok())
    );
    // What the makers suggest holds where nothing is said.
    let suggested = json!({"num_beams": 2, "length_penalty": 0.0, "early_stopping": true, "bad_words_ids": [[100], [5]], "eos_token_id": [0, 9]});
    fs::write(model.join("generation_config.json"), suggested.to_string()).unwrap();
    let line = of(&[]);
    assert_eq!(
        line["translations"][0]["score"],
        line["translations"][0]["log_prob"]
    );
    let two = translate(&model, &["w5", "--beam", "2", "--n-best", "3"]).fails();
    assert!(two.contains("3 translations of each sentence"), "{two}");
}

#[test]
fn lines_that_cannot_be_translated() {
    let root = tempfile::tempdir().unwrap();
    let model = model(root.path(), "marian-tiny");
    let long = "w5 w6 w7 w8 w9 .";
    let lines = [
        [long; 10].join(" "),
        "w4 ".repeat(70),
        "你好".to_owned(),
        "w5 привет".to_owned(),
        "w5".to_owned(),
    ];
    let ran = piped(&model, lines.join("\n").as_bytes(), &[]);
    assert_eq!(ran.out.lines().count(), 5, "{}", ran.out);
    let out: Vec<&str> = ran.out.lines().collect();
    assert!(
        !out[0].is_empty() && out[1].is_empty() && out[2].is_empty(),
        "{out:?}"
    );
    for words in [
        "line 1: it has 61 tokens, more than the 29 that the model reads; it is translated in 3 pieces",
        "line 2: it has 71 tokens",
        "line 3: the model knows none of its characters",
        "line 4: the model does not know these characters",
    ] {
        assert!(ran.err.contains(words), "{words:?} is not in: {}", ran.err);
    }
    assert_eq!(
        out[4],
        translate(&model, &["w5"]).ok().trim_end_matches('\n')
    );
    assert!(ran.fails().contains("2 of 5 lines could not be translated"));
    let ran = piped(&model, b"w5\nw6\n\xff\xfe\n", &[]);
    assert_eq!(ran.out.lines().count(), 2, "what was before is translated");
    assert!(ran.fails().contains("no UTF-8 text: see its line 3"));
}

#[test]
fn what_cannot_be_asked() {
    let root = tempfile::tempdir().unwrap();
    let model = model(root.path(), "t5-tiny");
    let refuse = |flags: &[&str], words: &str| {
        let line = translate(&model, flags).fails();
        assert!(line.contains(words), "{words:?} is not in: {line}");
    };
    refuse(
        &["w5", "--beam", "1000"],
        "1000 beams cannot be: from 1 to the 61 ids",
    );
    refuse(&["w5", "--beam", "0"], "0 beams");
    refuse(&["w5", "--n-best", "0"], "ask for 1 or more");
    refuse(&["w5", "--batch-size", "0"], "--batch-size is 0");
    refuse(&["w5", "--max-length", "0"], "--max-length is 0");
    refuse(&["w5", "--seed", "3"], "add --sample");
    refuse(&["w5", "--length-penalty", "nan"], "length penalty is NaN");
    refuse(&["--file", "no/such/file"], "no/such/file");
    assert_eq!(
        translate(&model, &["w5", "--greedy", "--beam", "3"]).code,
        Some(2)
    );
    // Each verb names the other.
    let line = glassformer(["generate", "-m", model.to_str().unwrap(), "w5"]).fails();
    assert!(line.contains("`translate` runs it"), "{line}");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../parity/golden");
    fs::copy(
        golden.join("gpt2-tiny/config.json"),
        model.join("config.json"),
    )
    .unwrap();
    fs::copy(
        golden.join("gpt2-tiny/model.safetensors"),
        model.join("model.safetensors"),
    )
    .unwrap();
    let line = translate(&model, &["w5"]).fails();
    assert!(
        line.contains("no encoder and decoder; `generate` continues texts"),
        "{line}"
    );
    // SentencePiece's files alone.
    let bare = root.path().join("bare");
    fs::create_dir(&bare).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(golden.join("marian-tiny").join(name), bare.join(name)).unwrap();
    }
    let line = translate(&bare, &["w5"]).fails();
    assert!(line.contains("tokenizer.json is missing"), "{line}");
    fs::write(bare.join("source.spm"), "").unwrap();
    let line = translate(&bare, &["w5"]).fails();
    assert!(line.contains("source.spm cannot be read"), "{line}");
}

/// Joint and separate tokenizers, from the run's folder.
#[test]
fn what_was_just_trained_translates() {
    let root = tempfile::tempdir().unwrap();
    let table = root.path().join("pairs.tsv");
    let line = |n: usize| format!("the cat {n}\t猫{n}\n");
    fs::write(&table, (0..120).map(line).collect::<String>()).unwrap();
    for more in [&[][..], &["--separate-vocabularies"]] {
        let out = root.path().join(format!("run-{}", more.len()));
        let flags = "--layers 1 --heads 2 --d-model 16 --d-ff 24 --context 24 --tokenizer 270 --batch-tokens 200 --steps 3 --warmup 2 \
             --eval-every 3 --val-fraction 0.2 --score-sentences 0 --sample-tokens 0 --threads 1";
        let first = [
            "train",
            "--out",
            out.to_str().unwrap(),
            "--pairs",
            table.to_str().unwrap(),
        ];
        let flags = first.into_iter().chain(flags.split_whitespace());
        glassformer(flags.chain(more.iter().copied())).ok();
        let ran = translate(
            &out,
            &["the cat 7", "", "the cat", "--json", "--max-length", "9"],
        );
        let lines = objects(&ran.ok());
        assert_eq!(lines.len(), 3);
        assert!(lines[0]["translations"][0]["tokens"].as_u64().unwrap() <= 9);
        assert_eq!(lines[1]["translations"], json!([]));
        let ran = translate(&out, &["ᚠᚢᚦᚨᚱᚲ"]);
        assert!(
            ran.err.contains("has no tokens for; expect nonsense"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn the_built_in_translator_goes_both_ways() {
    let ran = glassformer(["translate", "Where is the station?", "我喜欢喝茶。"]).ok();
    assert_eq!(ran, "车站在哪里？\nI like tea.\n");
    // Traditional characters are read too, and answered to like the others.
    let ran = glassformer(["translate", "-m", "builtin-translator", "我喜歡喝茶。"]).ok();
    assert_eq!(ran, "I like tea.\n");
    let line = glassformer(["generate", "-m", "builtin-translator", "Hello"]).fails();
    assert!(line.contains("`translate` runs it"), "{line}");
}
