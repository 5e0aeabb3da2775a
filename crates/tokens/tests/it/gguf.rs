//! GGUF vocabularies: the published vectors, and what is refused.

use glassformer_tokens::{GgufVocabulary, TokenizeError, Tokenizer};
use proptest::prelude::*;

use crate::shapes::vocabulary;
use crate::support::{gguf, shared};

/// llama.cpp's own vectors: texts, and ids without what stands around them.
fn assert_vectors(name: &str) {
    let path = |end: &str| format!("tokenizers/ggml-vocab-{name}.gguf{end}");
    let Some(file) = shared(&path("")) else {
        return;
    };
    let text = |end: &str| String::from_utf8(shared(&path(end)).unwrap()).unwrap();
    let tokenizer = Tokenizer::from_gguf(&gguf::vocabulary(&file)).unwrap();
    let (inputs, outputs) = (text(".inp"), text(".out"));
    let inputs: Vec<&str> = inputs.split("\n__ggml_vocab_test__\n").collect();
    let mut checked = 0;
    for (input, expected) in inputs.iter().zip(outputs.lines()) {
        let ids = expected.split_whitespace().map(|id| id.parse().unwrap());
        let ids: Vec<u32> = ids.collect();
        assert_eq!(
            tokenizer.encode(input).unwrap().ids,
            ids,
            "{name}: {input:?}"
        );
        checked += 1;
    }
    assert!(checked > 40, "only {checked} vectors");
}

#[test]
fn gpt2_gives_the_published_ids() {
    assert_vectors("gpt-2");
}

#[test]
fn llama2_gives_the_published_ids() {
    assert_vectors("llama-spm");
}

#[test]
fn bge_gives_the_published_ids() {
    assert_vectors("bert-bge");
}

fn message(vocabulary: &GgufVocabulary) -> String {
    let error = Tokenizer::from_gguf(vocabulary).unwrap_err();
    assert!(matches!(error, TokenizeError::Gguf { .. }), "{error:?}");
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

/// The message about what `change` did to GPT-2's vocabulary.
fn changed(change: impl Fn(&mut GgufVocabulary)) -> String {
    let mut vocabulary = vocabulary("gpt2");
    change(&mut vocabulary);
    message(&vocabulary)
}

#[test]
fn what_is_not_known_is_named_with_what_is() {
    for (model, word) in [("t5", "\"t5\""), ("rwkv", "\"rwkv\""), ("", "missing")] {
        let message = changed(|vocabulary| vocabulary.model = model.into());
        assert!(
            message.contains("tokenizer.ggml.model") && message.contains(word),
            "{message}"
        );
    }
    assert!(changed(|vocabulary| vocabulary.model = "t5".into()).contains("gpt2"));
    let message = changed(|vocabulary| vocabulary.pre = Some("deepseek-llm".into()));
    assert!(
        message.contains("\"deepseek-llm\"") && message.contains("smollm"),
        "{message}"
    );
}

#[test]
fn all_known_patterns_can_be_used() {
    let message = changed(|vocabulary| vocabulary.pre = Some("odd".into()));
    let known = message.split_once("known are ").unwrap().1;
    let names: Vec<&str> = known.split(';').next().unwrap().split(", ").collect();
    assert!(names.len() > 30);
    for name in names {
        let pre = Some(name.to_owned());
        let vocabulary = GgufVocabulary {
            pre,
            ..vocabulary("gpt2")
        };
        let tokenizer = Tokenizer::from_gguf(&vocabulary).unwrap();
        let text = "Don't stop: 12345 CamelCase ÀÉ 床前 🎈\r\n\n  x²…  ";
        let ids = tokenizer.encode(text).unwrap().ids;
        assert_eq!(tokenizer.decode(&ids), text, "{name}");
    }
}

#[test]
fn damage_is_named() {
    assert!(
        message(&GgufVocabulary {
            model: "gpt2".into(),
            ..Default::default()
        })
        .contains("tokens")
    );
    assert!(changed(|vocabulary| vocabulary.merges.clear()).contains("merges"));
    assert!(changed(|vocabulary| vocabulary.merges[3] = "abc".into()).contains("number 3"));
    assert!(changed(|vocabulary| vocabulary.merges[0] = "q zz".into()).contains("\"zz\""));
    assert!(changed(|vocabulary| vocabulary.tokens[7] = "a".into()).contains("twice"));
    assert!(changed(|vocabulary| vocabulary.token_types.truncate(9)).contains("9 numbers"));
    assert!(changed(|vocabulary| vocabulary.eos = Some(9_999_999)).contains("9999999"));
    let mut llama = vocabulary("llama2");
    llama.scores.clear();
    assert!(message(&llama).contains("scores"));
    let mut bert = vocabulary("bert");
    bert.unknown = None;
    bert.tokens[1] = "▁unknown".into();
    assert!(message(&bert).contains("[UNK]"));
}

#[test]
fn what_a_file_leaves_out_is_filled_in() {
    let plain = vocabulary("bert");
    let mut bare = GgufVocabulary {
        token_types: Vec::new(),
        unknown: None,
        cls: None,
        separator: None,
        ..plain.clone()
    };
    let (plain, read) = (
        Tokenizer::from_gguf(&plain).unwrap(),
        Tokenizer::from_gguf(&bare).unwrap(),
    );
    let ids = |tokenizer: &Tokenizer| tokenizer.encode_prompt("The fox?").unwrap().ids;
    assert_eq!(ids(&read), ids(&plain));
    bare.lowercase = Some(false);
    let cased = Tokenizer::from_gguf(&bare).unwrap();
    assert_ne!(ids(&cased), ids(&plain));

    let gpt2 = vocabulary("gpt2");
    let unsaid = GgufVocabulary {
        pre: None,
        ..gpt2.clone()
    };
    let cut = |vocabulary: &GgufVocabulary, text: &str| {
        let tokenizer = Tokenizer::from_gguf(vocabulary).unwrap();
        let ids = tokenizer.encode(text).unwrap().ids;
        let words = ids.iter().map(|&id| tokenizer.token_text(id).unwrap());
        words.collect::<Vec<_>>()
    };
    // Without a name of the pattern, three digits are taken apart from the space before and the digit after them.
    assert_eq!(cut(&gpt2, " 1234"), [" 1234"]);
    assert_eq!(cut(&unsaid, " 1234").first().unwrap(), " ");
    assert_eq!(cut(&unsaid, " 1234").last().unwrap(), "4");
    let mut hole = gpt2;
    hole.tokens.extend([String::new(), String::new()]);
    hole.token_types.extend([5, 5]);
    let size = hole.tokens.len();
    assert_eq!(Tokenizer::from_gguf(&hole).unwrap().vocab_size(), size);
}

#[test]
fn special_tokens_typed_by_somebody_are_text_in_sentencepiece_too() {
    let mut llama = vocabulary("llama2");
    // "<s>" could be put together of "<" and "s>", and would be the likeliest of all.
    assert!(llama.tokens.contains(&"<".into()));
    llama.tokens.push("s>".into());
    llama.scores.push(-1.0);
    llama.token_types.push(1);
    let tokenizer = Tokenizer::from_gguf(&llama).unwrap();
    assert!(!tokenizer.encode("<s>").unwrap().ids.contains(&1));
    assert_eq!(tokenizer.encode_with_specials("<s>").unwrap().ids, [1]);
}

#[test]
fn a_monstrous_entry_costs_no_time() {
    let mut llama = vocabulary("llama2");
    let start = std::time::Instant::now();
    llama.tokens.push("a".repeat(4 << 20));
    llama.tokens.push("b".repeat(4 << 20));
    llama.scores.extend([0.0, f32::NAN]);
    llama.token_types.extend([1, 1]);
    assert!(Tokenizer::from_gguf(&llama).is_ok());
    assert!(start.elapsed().as_secs() < 9);
}

fn any_vocabulary() -> impl Strategy<Value = GgufVocabulary> {
    let word = prop_oneof![
        "[ab▁ĠĊ]{0,3}",
        "\\PC{0,3}",
        Just("<0x41>".to_owned()),
        Just("[UNK]".to_owned())
    ];
    let size = 0usize..12;
    let id = || prop::option::of(0u32..14);
    let model = prop::sample::select(vec!["gpt2", "llama", "bert", "t5"]);
    let pre = prop::option::of(prop::sample::select(vec![
        "gpt-2",
        "qwen2",
        "smollm",
        "llama-bpe",
        "default",
        "odd",
    ]));
    (
        (model, pre, id(), id(), id(), id()),
        prop::collection::vec(word.clone(), size.clone()),
        prop::collection::vec(any::<f32>(), size.clone()),
        prop::collection::vec(-1i32..8, size.clone()),
        prop::collection::vec(
            (word.clone(), word).prop_map(|(left, right)| format!("{left} {right}")),
            size,
        ),
        prop::option::of(any::<bool>()),
    )
        .prop_map(
            |(
                (model, pre, bos, eos, unknown, separator),
                tokens,
                mut scores,
                mut token_types,
                merges,
                flag,
            )| {
                scores.resize(tokens.len(), 0.0);
                token_types.resize(tokens.len(), 1);
                GgufVocabulary {
                    model: model.into(),
                    pre: pre.map(Into::into),
                    tokens,
                    scores,
                    token_types,
                    merges,
                    bos,
                    eos,
                    unknown,
                    separator,
                    add_bos: flag,
                    add_space_prefix: flag,
                    ..GgufVocabulary::default()
                }
            },
        )
}

proptest! {
    #[test]
    fn any_vocabulary_is_refused_or_works(vocabulary in any_vocabulary(), text in "[ab▁ <s>A]{0,9}|\\PC{0,5}") {
        if let Ok(tokenizer) = Tokenizer::from_gguf(&vocabulary) {
            let ids = tokenizer.encode_prompt(&text).map(|encoding| encoding.ids).unwrap_or_default();
            prop_assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
            let _ = tokenizer.encode_with_specials(&text);
            let _ = tokenizer.decode(&ids);
            let _ = tokenizer.token_text(0);
            prop_assert!(Tokenizer::from_json(tokenizer.to_json().as_bytes()).is_ok());
        } else if let Err(error) = Tokenizer::from_gguf(&vocabulary) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}
