//! BLEU and chrF against sacreBLEU's numbers (`parity/scores.py`).

use glassformer_generate::score::{Bleu, Chrf, Signature, Tokenize};
use serde_json::Value;

fn corpora() -> Vec<Value> {
    serde_json::from_str(include_str!("../golden/scores.json")).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    let strings = value.as_array().unwrap().iter();
    strings
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

/// Hypotheses, and the references of each.
fn segments(corpus: &Value) -> (Vec<String>, Vec<Vec<String>>) {
    let hypotheses = strings(&corpus["hypotheses"]);
    let files: Vec<_> = corpus["references"]
        .as_array()
        .unwrap()
        .iter()
        .map(strings)
        .collect();
    let of_line = |n: usize| files.iter().map(|file| file[n].clone()).collect();
    let references = (0..hypotheses.len()).map(of_line).collect();
    (hypotheses, references)
}

fn pairs<'a>(
    hypotheses: &'a [String],
    references: &'a [Vec<String>],
) -> impl Iterator<Item = (&'a str, &'a [String])> {
    hypotheses
        .iter()
        .map(String::as_str)
        .zip(references.iter().map(Vec::as_slice))
}

fn tokenize(name: &str) -> Tokenize {
    let all = [Tokenize::V13a, Tokenize::Zh, Tokenize::Char, Tokenize::None];
    all.into_iter().find(|one| one.name() == name).unwrap()
}

#[track_caller]
fn assert_near(ours: f64, theirs: &Value) {
    let theirs = theirs.as_f64().unwrap();
    assert!((ours - theirs).abs() < 1e-9, "{ours} for {theirs}");
}

/// The same but for the version, which is ours.
#[track_caller]
fn assert_same(signature: &Signature, theirs: &Value) {
    let (ours, version) = signature
        .to_string()
        .rsplit_once('|')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(ours, theirs.as_str().unwrap().rsplit_once('|').unwrap().0);
    assert!(version.starts_with("version:glassformer-"), "{version}");
}

#[test]
fn texts_are_cut_as_sacrebleu_cuts_them() {
    let mut cut = 0;
    for corpus in corpora() {
        let files = corpus["references"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(strings);
        let lines: Vec<String> = strings(&corpus["hypotheses"])
            .into_iter()
            .chain(files)
            .collect();
        for (name, expected) in corpus["tokenized"].as_object().unwrap() {
            for (line, expected) in lines.iter().zip(expected.as_array().unwrap()) {
                let line = tokenize(name).apply(line.trim_end());
                // Python's white space, of which Rust does not count the four separators of ASCII.
                let words =
                    line.split(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c));
                let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
                assert_eq!(words, strings(expected), "{name}: {line:?}");
                cut += 1;
            }
        }
    }
    assert!(cut > 600, "{cut}");
}

#[test]
fn bleu_is_that_of_sacrebleu() {
    for corpus in corpora() {
        let (hypotheses, references) = segments(&corpus);
        for expected in corpus["bleu"].as_array().unwrap() {
            let bleu = Bleu {
                tokenize: tokenize(expected["tokenize"].as_str().unwrap()),
                lowercase: expected["lowercase"].as_bool().unwrap(),
            };
            let score = bleu.score(pairs(&hypotheses, &references));
            assert_near(score.score, &expected["score"]);
            assert_near(score.brevity_penalty, &expected["brevity_penalty"]);
            for (n, precision) in score.precisions.into_iter().enumerate() {
                assert_near(precision, &expected["precisions"][n]);
            }
            let tokens = [score.hypothesis_tokens, score.reference_tokens];
            assert_eq!(serde_json::json!(tokens), expected["tokens"]);
            assert_eq!(score.to_string(), expected["verbose"].as_str().unwrap());
            assert_same(&bleu.signature(references[0].len()), &expected["signature"]);
        }
    }
}

#[test]
fn chrf_is_that_of_sacrebleu() {
    for corpus in corpora() {
        let (hypotheses, references) = segments(&corpus);
        for expected in corpus["chrf"].as_array().unwrap() {
            let chrf = Chrf {
                words: expected["words"].as_u64().unwrap() as usize,
                lowercase: expected["lowercase"].as_bool().unwrap(),
            };
            assert_near(
                chrf.score(pairs(&hypotheses, &references)).score,
                &expected["score"],
            );
            assert_eq!(chrf.name(), expected["name"].as_str().unwrap());
            assert_same(&chrf.signature(references[0].len()), &expected["signature"]);
        }
    }
}

#[test]
fn nothing_scores_nothing() {
    let none: [(&str, &[String]); 0] = [];
    assert_eq!(Bleu::default().score(none).score, 0.0);
    assert_eq!(Chrf::default().score(none).score, 0.0);
}
