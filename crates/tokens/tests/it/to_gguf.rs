//! Tokenizers written as GGUF files have them: read again, they cut all texts as before.

use glassformer_tokens::{GgufVocabulary, TokenizeError, Tokenizer, TokenizerConfig};

use crate::shapes::{SHAPES, assert_equal, from_file, shape};
use crate::support::SMALL;

/// The names that a `tokenizer_config.json` would give.
fn config(name: &str) -> TokenizerConfig {
    let named = |bos: &str, eos: &str| TokenizerConfig {
        bos: Some(bos.to_owned()),
        eos: Some(eos.to_owned()),
        ..TokenizerConfig::default()
    };
    match name {
        "llama3" => named("<|begin_of_text|>", "<|end_of_text|>"),
        "llama2" | "mistral" | "roberta" => named("<s>", "</s>"),
        _ => TokenizerConfig::default(),
    }
}

#[test]
fn what_is_written_cuts_as_what_was_read() {
    for name in SHAPES {
        let shape = shape(name);
        let written = from_file(&shape).to_gguf(&config(name), 0);
        let written = written.unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = Tokenizer::from_gguf(&written).unwrap();
        if name != "mistral" {
            assert_equal(name, &again, &shape);
            continue;
        }
        // It sets no space before a text that begins with one; in GGUF files a space is set before all texts or none.
        let read = from_file(&shape);
        for text in shape.texts().filter(|text| !text.starts_with([' ', '▁'])) {
            let ids = |tokenizer: &Tokenizer| tokenizer.encode_prompt(text).unwrap().ids;
            assert_eq!(ids(&again), ids(&read), "{name}: {text:?}");
        }
    }
}

#[test]
fn the_model_and_the_cut_get_their_names() {
    for (name, model, pre) in [
        ("gpt2", "gpt2", Some("gpt-2")),
        ("llama3", "gpt2", Some("llama-bpe")),
        ("qwen2", "gpt2", Some("qwen2")),
        ("smollm2", "gpt2", Some("smollm")),
        ("roberta", "gpt2", Some("roberta-bpe")),
        ("llama2", "llama", Some("default")),
        ("bert", "bert", None),
    ] {
        let written = from_file(&shape(name)).to_gguf(&config(name), 0).unwrap();
        assert_eq!(written.model, model, "{name}");
        assert_eq!(written.pre.as_deref(), pre, "{name}");
    }
}

#[test]
fn rows_that_stand_for_nothing_are_named_so() {
    let size = SMALL.vocab_size() + 3;
    let written = SMALL.to_gguf(&TokenizerConfig::default(), size).unwrap();
    assert_eq!(written.tokens.len(), size);
    assert_eq!(written.tokens[size - 1], format!("[PAD{}]", size - 1));
    assert_eq!(written.token_types[size - 3..], [5, 5, 5]);
    let again = Tokenizer::from_gguf(&written).unwrap();
    let text = "The quick brown fox 床前 🎈";
    assert_eq!(
        again.encode(text).unwrap().ids,
        SMALL.encode(text).unwrap().ids
    );
}

#[test]
fn what_llama_cpp_has_no_name_for_is_refused() {
    let characters = Tokenizer::characters(["abc".to_owned()].into_iter()).unwrap();
    let refusal = |tokenizer: &Tokenizer| {
        let error = tokenizer
            .to_gguf(&TokenizerConfig::default(), 0)
            .unwrap_err();
        assert!(matches!(error, TokenizeError::NoGguf(_)), "{error:?}");
        let line = error.to_string();
        assert!(!line.contains('\n'), "{line}");
        line
    };
    assert!(refusal(&characters).contains("each character"));
    let mut file = shape("gpt2").file;
    file["pre_tokenizer"] = serde_json::json!({ "type": "Sequence", "pretokenizers": [
        { "type": "Split", "pattern": { "Regex": "x" }, "behavior": "Isolated", "invert": false },
        { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false },
    ] });
    let other = Tokenizer::from_json(file.to_string().as_bytes()).unwrap();
    assert!(refusal(&other).contains("cuts words"));
}

/// A `tokenizer.bin` of llama2.c: 3 ends, 256 bytes, and these.
fn llama2c(entries: &[(&str, f32)]) -> Vec<u8> {
    let mut file = 9i32.to_le_bytes().to_vec();
    let mut put = |text: &str, score: f32| {
        file.extend(score.to_le_bytes());
        file.extend((text.len() as i32).to_le_bytes());
        file.extend(text.as_bytes());
    };
    for end in ["<unk>", "\n<s>\n", "\n</s>\n"] {
        put(end, 0.0);
    }
    for byte in 0..=255u8 {
        put(&format!("<0x{byte:02X}>"), 0.0);
    }
    for (text, score) in entries {
        put(text, *score);
    }
    file
}

#[test]
fn the_tokenizer_of_llama2c_is_sentencepiece() {
    let entries = [
        (" ", -3.0),
        ("a", -4.0),
        ("b", -5.0),
        ("ab", -1.0),
        (" ab", -2.0),
    ];
    let file = llama2c(&entries);
    let size = 259 + entries.len();
    let vocabulary = GgufVocabulary::from_llama2c(&file, size).unwrap();
    let tokenizer = Tokenizer::from_gguf(&vocabulary).unwrap();
    assert_eq!(tokenizer.bos(), Some(1));
    // The sooner the better: "ab" first, then the space before it; a line break is a byte.
    assert_eq!(tokenizer.encode("ab\na").unwrap().ids, [263, 13, 260]);
    assert_eq!(tokenizer.encode_prompt("b").unwrap().ids, [1, 259, 261]);
    assert_eq!(tokenizer.decode(&[263, 13, 260]), "ab\na");

    for (bytes, size, expected) in [
        (
            &file[..],
            size + 1,
            "has 264 entries, but the model has 265",
        ),
        (
            &file[..file.len() - 1],
            size,
            "entry 263 is said to have 3 bytes, and 2 follow",
        ),
        (&file[..7], size, "it ends within entry 0"),
        (&file[..2], size, "it ends within its first number"),
    ] {
        let error = GgufVocabulary::from_llama2c(bytes, size)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_characters_of_nanogpt_are_numbered_by_their_codes() {
    let tokenizer =
        Tokenizer::from_nanogpt_meta(br#"{"stoi": {"\n": 0, "a": 1, "b": 2}}"#).unwrap();
    assert_eq!(tokenizer.encode("ab\n").unwrap().ids, [1, 2, 0]);
    for (meta, expected) in [
        (&br#"{"stoi": {"a": 1, "b": 0}}"#[..], "has another id"),
        (br#"{"stoi": {"ab": 0}}"#, "is not one character"),
        (br#"{"itos": {}}"#, "no object `stoi`"),
        (b"\x80\x04", "meta.json"),
    ] {
        let error = Tokenizer::from_nanogpt_meta(meta).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn the_two_files_of_gpt2_make_its_tokenizer() {
    let file = shape("gpt2").file;
    let vocab = file["model"]["vocab"].to_string();
    let line = |merge: &serde_json::Value| match merge {
        serde_json::Value::String(line) => line.clone(),
        pair => format!(
            "{} {}",
            pair[0].as_str().unwrap(),
            pair[1].as_str().unwrap()
        ),
    };
    let merges = file["model"]["merges"].as_array().unwrap().iter().map(line);
    let merges: Vec<String> = std::iter::once("#version: 0.2".to_owned())
        .chain(merges)
        .collect();
    let made = Tokenizer::from_gpt2_files(vocab.as_bytes(), &merges.join("\n")).unwrap();
    let read = from_file(&shape("gpt2"));
    for case in shape("gpt2").texts() {
        assert_eq!(
            made.encode(case).unwrap().ids,
            read.encode(case).unwrap().ids,
            "{case:?}"
        );
    }
}
