use proptest::prelude::*;
use serde_json::{Value, json};

use glassformer_tokens::{Kind, TokenizeError, Tokenizer};

use crate::support::SMALL;

fn read(file: &Value) -> Result<Tokenizer, TokenizeError> {
    Tokenizer::from_json(file.to_string().as_bytes())
}

fn message(file: &Value) -> String {
    let message = read(file).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn what_is_no_tokenizer_says_so() {
    for bytes in [
        &b""[..],
        b"{",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"null",
        b"{\"model\": 3}",
    ] {
        let error = Tokenizer::from_json(bytes).unwrap_err();
        assert!(matches!(error, TokenizeError::Json(_)), "{error}");
        assert!(error.to_string().contains("tokenizer.json"));
    }
}

#[test]
fn damage_is_named() {
    let bpe = |vocab: Value, merges: Value| json!({ "model": { "type": "BPE", "vocab": vocab, "merges": merges } });
    let ab = json!({ "a": 0, "b": 1 });
    assert!(message(&bpe(json!(3), json!([]))).contains("model.vocab"));
    assert!(message(&bpe(json!({ "a": -1 }), json!([]))).contains("-1"));
    assert!(message(&bpe(json!({ "a": 4_000_000_000u32 }), json!([]))).contains("4000000000"));
    assert!(message(&bpe(json!({ "a": 9_000_000 }), json!([]))).contains("9000000"));
    assert!(message(&bpe(json!({ "a": 1, "b": 1 }), json!([]))).contains("two entries"));
    assert!(message(&bpe(ab.clone(), json!([["a", "b"]]))).contains("\"ab\""));
    assert!(message(&bpe(ab.clone(), json!(["a c"]))).contains("\"c\""));
    assert!(message(&bpe(ab.clone(), json!(["a b c"]))).contains("no pair"));
    assert!(message(&bpe(ab.clone(), json!({}))).contains("no list"));
    let mut prefixed = bpe(json!({ "a": 0, "é": 1, "aé": 2 }), json!([["a", "é"]]));
    prefixed["model"]["continuing_subword_prefix"] = json!("###");
    assert!(message(&prefixed).contains("prefix"));
    let mut long = bpe(ab.clone(), json!([]));
    long["normalizer"] =
        json!({ "type": "Replace", "pattern": { "Regex": "" }, "content": "a".repeat(9999) });
    assert!(message(&long).contains("normalizer"));
    let mut added = bpe(ab, json!([]));
    added["added_tokens"] = json!([{ "id": 77, "content": "a", "special": true, "normalized": false,
        "single_word": false, "lstrip": false, "rstrip": false }]);
    assert!(message(&added).contains("77"));
    added["added_tokens"] = json!([{ "content": "<x>" }]);
    assert!(message(&added).contains("added_tokens"));
}

#[test]
fn other_kinds_are_read_too() {
    let word_piece = json!({
        "normalizer": { "type": "Lowercase" },
        "pre_tokenizer": { "type": "Whitespace" },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": false },
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": { "[UNK]": 0, "play": 1, "##ing": 2, "we": 3 },
        },
    });
    let tokenizer = read(&word_piece).unwrap();
    assert_eq!(tokenizer.kind(), Kind::Other);
    let encoding = tokenizer.encode("We playing 床").unwrap();
    assert_eq!(encoding.ids, [3, 1, 2, 0]);
    assert_eq!(encoding.offsets, [0..2, 3..7, 7..10, 11..14]);
    assert_eq!(encoding.unknown, ['床']);
    assert_eq!(tokenizer.decode(&[3, 1, 2]), "we playing");
    let mut stream = tokenizer.decode_stream();
    let shown: String = [3, 1, 2].iter().filter_map(|&id| stream.push(id)).collect();
    assert_eq!(shown, "we playing");
    assert_eq!(stream.finish(), None);
}

#[test]
fn a_space_before_the_text_has_no_range() {
    let mut file: Value = serde_json::from_str(&SMALL.to_json()).unwrap();
    file["pre_tokenizer"]["add_prefix_space"] = json!(true);
    let tokenizer = read(&file).unwrap();
    let encoding = tokenizer.encode("the dog").unwrap();
    assert_eq!(tokenizer.decode(&encoding.ids), " the dog");
    assert_eq!(encoding.offsets[0].start, 0);
    assert_eq!(encoding.offsets.last().unwrap().end, 7);
    assert!(encoding.unknown.is_empty());
}

#[test]
fn a_byte_the_vocabulary_lacks_is_named() {
    let file = json!({
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true },
        "decoder": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true },
        "model": { "type": "BPE", "vocab": { "a": 0, "b": 1, "ab": 2 }, "merges": ["a b"] },
    });
    let encoding = read(&file).unwrap().encode("ab!a").unwrap();
    assert_eq!(encoding.ids, [2, 0]);
    assert_eq!(encoding.unknown, ['!']);
}

/// Any JSON, with the names that matter often in it.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0u64..9).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![
            "BPE",
            "WordLevel",
            "WordPiece",
            "Unigram",
            "ByteLevel",
            "Split",
            "",
            "a b",
            "<unk>"
        ])
        .prop_map(Value::from),
        "\\PC{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let names = vec![
            "type",
            "vocab",
            "merges",
            "model",
            "unk_token",
            "pattern",
            "Regex",
            "a",
            "b",
            "ab",
            "content",
            "id",
            "pre_tokenizer",
            "decoder",
            "normalizer",
            "added_tokens",
            "pretokenizers",
            "unk_id",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(prop::sample::select(names), inner, 0..6).prop_map(|map| {
                map.into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Tokenizer::from_json(&bytes);
    }

    #[test]
    fn any_json_is_refused_or_read(file in any_json(), model in any_json()) {
        let _ = read(&file);
        let _ = read(&json!({ "model": model, "decoder": file }));
    }

    #[test]
    fn a_damaged_file_is_refused_or_works(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = SMALL.to_json().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(tokenizer) = Tokenizer::from_json(&bytes) {
            let ids = tokenizer.encode("The quick 床 fox").map(|encoding| encoding.ids).unwrap_or_default();
            let _ = tokenizer.decode(&ids);
        }
    }
}
