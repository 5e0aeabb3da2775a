//! Tokenizers in the shapes of well-known ones, read from `tokenizer.json` and from GGUF metadata, give the ids that the
//! library gives in Python.

use glassformer_tokens::{GgufVocabulary, Kind, Tokenizer};
use serde::Deserialize;
use serde_json::Value;

use crate::support::golden;

pub(crate) const SHAPES: [&str; 9] = [
    "gpt2",
    "llama3",
    "qwen2",
    "smollm2",
    "roberta",
    "llama2",
    "mistral",
    "bert",
    "bert-cased",
];

/// `tests/golden/tokenizers/*.json`, written by `parity/tokens.py`.
#[derive(Deserialize)]
pub(crate) struct Shape {
    pub(crate) file: Value,
    gguf: Option<Metadata>,
    cases: Vec<Case>,
    pair: Pair,
}

impl Shape {
    /// Its texts.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.cases.iter().map(|case| case.text.as_str())
    }
}

#[derive(Deserialize)]
struct Case {
    text: String,
    plain: Vec<u32>,
    marked: Vec<u32>,
    prompt: Vec<u32>,
    decoded: String,
}

#[derive(Deserialize)]
struct Pair {
    ids: Vec<u32>,
    segments: Vec<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    model: String,
    pre: Option<String>,
    tokens: Vec<String>,
    scores: Vec<f32>,
    token_types: Vec<i32>,
    merges: Vec<String>,
    bos: Option<u32>,
    eos: Option<u32>,
    unknown: Option<u32>,
    separator: Option<u32>,
    cls: Option<u32>,
    mask: Option<u32>,
    add_bos: Option<bool>,
    add_eos: Option<bool>,
    add_separator: Option<bool>,
}

impl Metadata {
    fn into_vocabulary(self) -> GgufVocabulary {
        GgufVocabulary {
            model: self.model,
            pre: self.pre,
            tokens: self.tokens,
            scores: self.scores,
            token_types: self.token_types,
            merges: self.merges,
            bos: self.bos,
            eos: self.eos,
            unknown: self.unknown,
            separator: self.separator,
            cls: self.cls,
            mask: self.mask,
            add_bos: self.add_bos,
            add_eos: self.add_eos,
            add_separator: self.add_separator,
            ..GgufVocabulary::default()
        }
    }
}

pub(crate) fn shape(name: &str) -> Shape {
    serde_json::from_slice(&golden(&format!("tokenizers/{name}.json"))).unwrap()
}

pub(crate) fn from_file(shape: &Shape) -> Tokenizer {
    Tokenizer::from_json(shape.file.to_string().as_bytes()).unwrap()
}

/// The vocabulary that the file `name` holds.
pub(crate) fn vocabulary(name: &str) -> GgufVocabulary {
    shape(name).gguf.unwrap().into_vocabulary()
}

pub(crate) fn assert_equal(name: &str, tokenizer: &Tokenizer, shape: &Shape) {
    for case in &shape.cases {
        let what = format!("{name}: {:?}", case.text);
        let plain = tokenizer.encode(&case.text).unwrap();
        assert_eq!(plain.ids, case.plain, "{what}");
        assert_eq!(plain.offsets.len(), plain.ids.len(), "{what}");
        let marked = tokenizer.encode_with_specials(&case.text).unwrap();
        assert_eq!(marked.ids, case.marked, "{what}");
        assert!(
            marked
                .offsets
                .iter()
                .all(|range| range.end <= case.text.len()),
            "{what}"
        );
        let prompt = tokenizer.encode_prompt(&case.text).unwrap();
        assert_eq!(prompt.ids, case.prompt, "{what}");
        assert_eq!(prompt.offsets.len(), prompt.ids.len(), "{what}");
        assert_eq!(tokenizer.decode(&case.plain), case.decoded, "{what}");
    }
    let pair = tokenizer.encode_pair("the fox", "the dog 1").unwrap();
    assert_eq!(pair.ids, shape.pair.ids, "{name}");
    assert_eq!(pair.segments, shape.pair.segments, "{name}");
}

#[test]
fn files_give_the_librarys_ids() {
    for name in SHAPES {
        let shape = shape(name);
        assert!(shape.cases.len() > 70);
        assert_equal(name, &from_file(&shape), &shape);
    }
}

#[test]
fn gguf_metadata_gives_the_same_ids_as_the_file() {
    for name in SHAPES {
        let mut shape = shape(name);
        let Some(metadata) = shape.gguf.take() else {
            continue;
        };
        let tokenizer = Tokenizer::from_gguf(&metadata.into_vocabulary()).unwrap();
        assert_equal(name, &tokenizer, &shape);
    }
}

#[test]
fn what_is_made_from_gguf_can_be_saved_and_read_again() {
    for name in SHAPES {
        let mut shape = shape(name);
        let Some(metadata) = shape.gguf.take() else {
            continue;
        };
        let tokenizer = Tokenizer::from_gguf(&metadata.into_vocabulary()).unwrap();
        let again = Tokenizer::from_json(tokenizer.to_json().as_bytes()).unwrap();
        assert_eq!(again.fingerprint(), tokenizer.fingerprint(), "{name}");
        assert_eq!(again.vocab_size(), tokenizer.vocab_size(), "{name}");
        for case in &shape.cases {
            let ids = again.encode_prompt(&case.text).unwrap().ids;
            assert_eq!(
                ids,
                tokenizer.encode_prompt(&case.text).unwrap().ids,
                "{name}"
            );
        }
    }
}

#[test]
fn roles_are_known() {
    let expected = [
        (
            "gpt2",
            Some("<|endoftext|>"),
            Some("<|endoftext|>"),
            &["<|endoftext|>"][..],
        ),
        (
            "llama3",
            Some("<|begin_of_text|>"),
            Some("<|end_of_text|>"),
            &["<|end_of_text|>", "<|eot_id|>"],
        ),
        (
            "qwen2",
            Some("<|endoftext|>"),
            Some("<|endoftext|>"),
            &["<|endoftext|>", "<|im_end|>"],
        ),
        (
            "smollm2",
            Some("<|im_start|>"),
            Some("<|endoftext|>"),
            &["<|endoftext|>", "<|im_end|>"],
        ),
        ("roberta", Some("<s>"), Some("</s>"), &["</s>"]),
        ("llama2", Some("<s>"), Some("</s>"), &["</s>"]),
        ("bert", Some("[CLS]"), None, &[]),
    ];
    for (name, bos, end, stops) in expected {
        let tokenizer = Tokenizer::from_gguf(&vocabulary(name)).unwrap();
        let named = |id: Option<u32>| id.and_then(|id| tokenizer.token_text(id));
        assert_eq!(named(tokenizer.bos()).as_deref(), bos, "{name}");
        assert_eq!(named(tokenizer.end_of_text()).as_deref(), end, "{name}");
        let ids = tokenizer.stops().iter();
        let names: Vec<String> = ids.map(|&id| named(Some(id)).unwrap()).collect();
        assert_eq!(names, stops, "{name}");
        let kind = if matches!(name, "bert" | "llama2") {
            Kind::Other
        } else {
            Kind::ByteLevelBpe
        };
        assert_eq!(tokenizer.kind(), kind, "{name}");
    }
}
