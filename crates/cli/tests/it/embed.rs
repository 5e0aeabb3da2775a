//! `embed` and `similar`, on a tiny encoder laid out as sentence-transformers does it, and on the built-in decoder.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use glassformer_weights::TensorFile;
use serde_json::{Value, json};

use crate::support::{command, glassformer};

/// Words of the encoder's vocabulary, behind its four special tokens.
const WORDS: &str = "the a cat dog sat slept on mat rug ##s";

/// An encoder with random weights that pools by the mean, makes vectors 1 long and reads 8 tokens of a text.
fn encoder(folder: &Path) -> PathBuf {
    let out = folder.join("encoder");
    fs::create_dir_all(out.join("1_Pooling")).unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../parity/golden/bert-tiny");
    for name in ["config.json", "model.safetensors"] {
        fs::copy(golden.join(name), out.join(name)).unwrap();
    }
    let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
        .into_iter()
        .chain(WORDS.split(' '));
    let vocab: serde_json::Map<_, _> = (0..)
        .zip(words)
        .map(|(id, word)| (word.to_owned(), json!(id)))
        .collect();
    let special = |id: u32, content: &str| json!({"id": id, "content": content, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false});
    let around = |name: &str, id: u32| {
        (
            name.to_owned(),
            json!({"id": name, "ids": [id], "tokens": [name]}),
        )
    };
    let token = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let text = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": [special(0, "[PAD]"), special(1, "[UNK]"), special(2, "[CLS]"), special(3, "[SEP]")],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [token("[CLS]"), text("A"), token("[SEP]")],
            "pair": [token("[CLS]"), text("A"), token("[SEP]"), text("B"), token("[SEP]")],
            "special_tokens": serde_json::Map::from_iter([around("[CLS]", 2), around("[SEP]", 3)]),
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab},
    });
    let module = |name: &str, path: &str| json!({"path": path, "type": format!("sentence_transformers.models.{name}")});
    for (name, value) in [
        ("tokenizer.json", tokenizer),
        (
            "modules.json",
            json!([
                module("Transformer", ""),
                module("Pooling", "1_Pooling"),
                module("Normalize", "2_Normalize")
            ]),
        ),
        (
            "1_Pooling/config.json",
            json!({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false}),
        ),
        ("sentence_bert_config.json", json!({"max_seq_length": 8})),
    ] {
        fs::write(out.join(name), value.to_string()).unwrap();
    }
    out
}

fn objects(out: &str) -> Vec<Value> {
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect()
}

fn length(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[test]
fn texts_become_vectors_in_their_order_wherever_they_come_from() {
    let folder = tempfile::tempdir().unwrap();
    let model = encoder(folder.path());
    let model = model.to_str().unwrap();
    let texts = ["The cat sat on a mat", "", "Dogs", "the dog slept"];
    let given = glassformer(["embed", "-m", model, "--json"].iter().chain(&texts)).ok();
    let lines = objects(&given);
    assert_eq!(lines.len(), texts.len());
    for (i, (line, tokens)) in lines.iter().zip([8, 2, 4, 5]).enumerate() {
        assert_eq!(
            (&line["index"], &line["tokens"]),
            (&json!(i), &json!(tokens))
        );
        let vector = numbers(&line["vector"]);
        assert_eq!(vector.len(), 33);
        assert!((length(&vector) - 1.0).abs() < 1e-5);
    }
    let file = folder.path().join("texts.txt");
    fs::write(&file, texts.join("\n") + "\n").unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(
        glassformer(["embed", "-m", model, "--json", "--file", file]).ok(),
        given
    );
    let mut child = command(["embed", "-m", model, "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all((texts.join("\r\n") + "\r\n").as_bytes())
        .unwrap();
    drop(input);
    assert_eq!(child.wait_with_output().unwrap().stdout, given.as_bytes());

    let out = folder.path().join("vectors.safetensors");
    let ran = glassformer([
        "embed",
        "-m",
        model,
        "--file",
        file,
        "--out",
        out.to_str().unwrap(),
    ]);
    assert!(ran.err.contains("4 vectors of 33 numbers"), "{}", ran.err);
    let written = TensorFile::open(&out).unwrap();
    let (shape, vectors) = written.load_f32("vectors").unwrap();
    assert_eq!(shape, [4, 33]);
    let told: Vec<f64> = lines
        .iter()
        .flat_map(|line| numbers(&line["vector"]))
        .collect();
    assert!(
        vectors
            .iter()
            .zip(&told)
            .all(|(a, b)| (f64::from(*a) - b).abs() < 1e-7)
    );
    assert_eq!(written.load_f32("tokens").unwrap().1, [8.0, 2.0, 4.0, 5.0]);
}

#[test]
fn flags_say_what_files_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let model = encoder(folder.path());
    let embed = |more: &[&str]| {
        let first = [
            "embed",
            "-m",
            model.to_str().unwrap(),
            "--json",
            "the cat sat on the mat on the rug",
        ];
        glassformer(first.iter().chain(more))
    };
    let ran = embed(&[]);
    assert!(
        ran.err
            .contains("1 of 1 texts are longer than the 8 tokens"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("text 1 has 11"), "{}", ran.err);
    let vector = |more: &[&str]| numbers(&objects(&embed(more).ok())[0]["vector"]);
    let mean = vector(&[]);
    assert!((length(&vector(&["--raw"])) - 1.0).abs() > 0.1);
    assert_eq!(vector(&["--pooling", "mean", "--normalize"]), mean);
    for more in [
        &["--pooling", "cls"][..],
        &["--pooling", "last"],
        &["--pooling", "max"],
        &["--max-tokens", "4"],
    ] {
        assert_ne!(vector(more), mean, "{more:?}");
    }
    // A step that cannot be computed stops, unless the flags say what to do.
    let modules = json!([{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]);
    fs::write(model.join("modules.json"), modules.to_string()).unwrap();
    let line = embed(&[]).fails();
    assert!(
        line.contains("modules.json") && line.contains("Dense"),
        "{line}"
    );
    embed(&["--pooling", "cls"]).ok();
    // Nothing said.
    fs::remove_file(model.join("modules.json")).unwrap();
    let ran = embed(&[]);
    assert!(ran.err.contains("mean is taken"), "{}", ran.err);
    assert_eq!(embed(&["--pooling", "median"]).code, Some(2));
}

#[test]
fn a_decoder_embeds_too() {
    let ran = glassformer(["embed", "Once upon a time", "从前", "--json"]);
    assert!(ran.err.contains("last is taken"), "{}", ran.err);
    let lines = objects(&ran.ok());
    assert_eq!(lines.len(), 2);
    assert_eq!(numbers(&lines[1]["vector"]).len(), 192);
    let plain = glassformer(["embed", "Once upon a time", "--pooling", "mean"]).ok();
    assert!(
        plain.contains("192 numbers") && plain.contains("Once upon a time"),
        "{plain}"
    );
    let line = glassformer(["embed"]).fails();
    assert!(line.contains("no text"), "{line}");
    let line = glassformer(["embed", "a", ""]).fails();
    assert!(line.contains("text 2 has no tokens"), "{line}");
}

#[test]
fn texts_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let model = encoder(folder.path());
    let similar = |more: &[&str]| {
        let first = ["similar", "-m", model.to_str().unwrap()];
        glassformer(first.iter().chain(more))
    };
    let texts = ["the cat sat", "a dog slept", "The CAT sat", "on the mat"];
    let lines = objects(&similar(&[&texts[..], &["--json"]].concat()).ok());
    let cosines: Vec<Vec<f64>> = lines.iter().map(|line| numbers(&line["cosines"])).collect();
    for (i, row) in cosines.iter().enumerate() {
        assert!((row[i] - 1.0).abs() < 1e-5);
        assert!(
            row.iter()
                .enumerate()
                .all(|(j, x)| (x - cosines[j][i]).abs() < 1e-5)
        );
        let nearest = lines[i]["nearest"].as_array().unwrap();
        assert_eq!(nearest.len(), 3);
        assert!(nearest.iter().all(|one| one["index"] != i));
    }
    assert_eq!(lines[0]["nearest"][0]["index"], 2);
    let table = similar(&texts).ok();
    assert!(table.contains("1  the cat sat  → 3 (1.0000)"), "{table}");

    let file = folder.path().join("lines.txt");
    fs::write(&file, texts.join("\n")).unwrap();
    let file = file.to_str().unwrap();
    let found = objects(&similar(&["on the mat", "--file", file, "-k", "2", "--json"]).ok());
    assert_eq!(found[0]["query"], "on the mat");
    let nearest = found[0]["nearest"].as_array().unwrap();
    assert_eq!((nearest.len(), &nearest[0]["index"]), (2, &json!(3)));
    assert_eq!(nearest[0]["text"], "on the mat");

    // What is added and taken away again leaves the rest; what is named is no answer.
    let sum = [
        "--sum",
        "a dog slept - on the mat + on the mat",
        "--file",
        file,
        "--json",
    ];
    let found = objects(&similar(&sum).ok());
    assert_eq!(
        found[0]["terms"][1],
        json!({"sign": -1, "text": "on the mat"})
    );
    let indices: Vec<_> = found[0]["nearest"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["index"])
        .collect();
    assert!(indices == [0, 2] || indices == [2, 0], "{indices:?}");
    let line = similar(&["alone"]).fails();
    assert!(line.contains("nothing to be compared with"), "{line}");
    assert_eq!(similar(&["--sum", "a +", "b"]).code, Some(2));
}

#[test]
fn tokens_are_compared() {
    let found = |expression: &str| {
        let out = glassformer(["similar", "--tokens", expression, "-k", "5", "--json"]).ok();
        objects(&out).remove(0)
    };
    let one = found("fox");
    let id = one["terms"][0]["ids"][0].clone();
    let nearest = one["nearest"].as_array().unwrap();
    assert_eq!(nearest.len(), 5);
    assert!(
        nearest
            .iter()
            .all(|token| token["id"] != id && token["text"].is_string())
    );
    let cosines: Vec<f64> = nearest
        .iter()
        .map(|token| token["cosine"].as_f64().unwrap())
        .collect();
    assert!(cosines.is_sorted_by(|a, b| a >= b) && cosines[0] < 1.0);
    let sum = found("fox - dog + cat");
    let terms = sum["terms"].as_array().unwrap();
    assert_eq!(terms.len(), 3);
    let own: Vec<&Value> = terms.iter().map(|term| &term["ids"][0]).collect();
    assert_eq!(own[0], &id);
    assert!(
        sum["nearest"]
            .as_array()
            .unwrap()
            .iter()
            .all(|token| !own.contains(&&token["id"]))
    );
    let table = glassformer(["similar", "--tokens", "fox", "-k", "3"]).ok();
    assert!(
        table.contains("among 4,096 rows") && table.contains("\" rabbit\""),
        "{table}"
    );
    // A word of several tokens.
    let ran = glassformer(["similar", "--tokens", "hippopotamus", "-k", "1"]);
    assert!(ran.err.contains("mean of their rows"), "{}", ran.err);
    assert_eq!(glassformer(["similar", "--tokens", ""]).code, Some(2));
}
