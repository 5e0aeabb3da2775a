//! What is set around texts, and what `tokenizer_config.json` adds.

use glassformer_tokens::{Tokenizer, TokenizerConfig};

use crate::shapes::vocabulary;
use crate::support::SMALL;

fn tokenizer(name: &str) -> Tokenizer {
    Tokenizer::from_gguf(&vocabulary(name)).unwrap()
}

#[test]
fn nothing_is_set_around_texts_where_nothing_says_so() {
    let encoding = SMALL.encode_prompt("the fox").unwrap();
    assert_eq!(encoding, SMALL.encode("the fox").unwrap());
    assert_eq!(SMALL.bos(), None);
    assert_eq!(SMALL.stops(), [0]);
    let pair = SMALL.encode_pair("the", " fox").unwrap();
    assert_eq!(pair.ids, encoding.ids);
    assert_eq!(pair.segments.first(), Some(&0));
    assert_eq!(pair.segments.last(), Some(&1));
}

#[test]
fn a_long_text_loses_its_end_and_keeps_what_stands_around_it() {
    let bert = tokenizer("bert");
    let whole = bert.encode_prompt("the fox the dog").unwrap();
    let length = whole.ids.len();
    for most in 2..length {
        let cut = bert.encode_prompt_within("the fox the dog", most).unwrap();
        assert_eq!(cut.ids.len(), most);
        assert_eq!(cut.offsets.len(), most);
        assert_eq!(cut.ids.first(), whole.ids.first());
        assert_eq!(cut.ids[..most - 1], whole.ids[..most - 1]);
        assert_eq!(cut.ids.last(), whole.ids.last());
    }
    assert_eq!(
        bert.encode_prompt_within("the fox", 0).unwrap().ids.len(),
        2
    );
    assert_eq!(
        bert.encode_prompt_within("the fox the dog", 99).unwrap(),
        whole
    );
}

#[test]
fn what_goes_on_keeps_its_space() {
    let llama = tokenizer("llama2");
    let ids = llama.encode_prompt("the fox é🎈 jumps").unwrap().ids;
    assert_eq!(ids[0], 1);
    for cut in 1..ids.len() {
        let (before, after) = ids.split_at(cut);
        let mut stream = llama.decode_stream_after(before);
        let mut text = llama.decode(&before[1..]);
        text.extend(after.iter().filter_map(|&id| stream.push(id)));
        text.extend(stream.finish());
        // A character in parts has no text to go on from.
        if !llama.decode(before).ends_with('\u{fffd}') {
            assert_eq!(text, "the fox é🎈 jumps", "{cut}");
        }
    }
    let small = SMALL.encode(" the").unwrap().ids;
    let mut stream = SMALL.decode_stream_after(&small);
    assert_eq!(stream.push(small[0]).as_deref(), Some(" the"));
}

#[test]
fn unknown_characters_of_both_texts_are_named_once() {
    let bert = tokenizer("bert");
    let pair = bert.encode_pair("한 the", "한 é 국").unwrap();
    assert_eq!(pair.unknown, ['국', '한']);
}

#[test]
fn the_models_own_stops_are_added() {
    let qwen = tokenizer("qwen2").with_stops(&[5, 5, 9_999_999]);
    assert!(qwen.stops().contains(&5) && !qwen.stops().contains(&9_999_999));
    assert_eq!(qwen.stops().len(), 3);
    assert_eq!(qwen.end_of_text(), tokenizer("qwen2").end_of_text());
}

#[test]
fn a_config_names_tokens_and_decides_what_is_set() {
    let config = br#"{
        "bos_token": "<s>", "eos_token": { "content": "</s>", "lstrip": false }, "unk_token": null,
        "add_bos_token": false, "add_eos_token": true, "model_max_length": 1e30, "chat_template": "{{ 1 }}"
    }"#;
    let config = TokenizerConfig::from_json(config).unwrap();
    assert_eq!(
        config.chat_templates,
        [("default".to_owned(), "{{ 1 }}".to_owned())]
    );
    let llama = tokenizer("llama2");
    let plain = llama.encode("the").unwrap().ids;
    let ids = llama.with_config(&config).encode_prompt("the").unwrap().ids;
    assert_eq!(ids, [plain.as_slice(), &[2]].concat());
    let both = TokenizerConfig {
        add_bos: Some(true),
        ..config.clone()
    };
    let ids = llama.with_config(&both).encode_prompt("the").unwrap().ids;
    assert_eq!(ids, [&[1], plain.as_slice(), &[2]].concat());
    let silent = TokenizerConfig {
        add_bos: None,
        add_eos: None,
        ..config
    };
    let ids = llama.with_config(&silent).encode_prompt("the").unwrap().ids;
    assert_eq!(ids, llama.encode_prompt("the").unwrap().ids);
}

#[test]
fn a_config_is_written_as_it_is_read() {
    let config = TokenizerConfig {
        bos: Some("<s>".into()),
        eos: Some("</s>".into()),
        unknown: None,
        padding: Some("[PAD]".into()),
        add_bos: Some(true),
        add_eos: None,
        chat_templates: vec![
            ("default".into(), "a".into()),
            ("tool_use".into(), "b".into()),
        ],
    };
    assert_eq!(
        TokenizerConfig::from_json(config.to_json().as_bytes()).unwrap(),
        config
    );
    assert_eq!(config.chat_template(), Some("a"));
}

#[test]
fn a_damaged_config_says_so() {
    for (json, word) in [
        ("[]", "object"),
        ("{", "EOF"),
        (r#"{ "bos_token": 3 }"#, "bos_token"),
        (r#"{ "add_bos_token": "yes" }"#, "add_bos_token"),
        (r#"{ "chat_template": [{ "name": "x" }] }"#, "chat_template"),
    ] {
        let error = TokenizerConfig::from_json(json.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(word) && error.contains("tokenizer_config.json"),
            "{error}"
        );
    }
}
