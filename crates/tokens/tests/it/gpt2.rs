use glassformer_tokens::Kind;

use crate::support::{GPT2, shared};

#[test]
fn gives_the_published_ids() {
    let Some(gpt2) = GPT2.as_ref() else { return };
    let file = |name| String::from_utf8(shared(name).unwrap()).unwrap();
    let inputs = file("tokenizers/ggml-vocab-gpt-2.gguf.inp");
    let outputs = file("tokenizers/ggml-vocab-gpt-2.gguf.out");
    let inputs: Vec<&str> = inputs.split("\n__ggml_vocab_test__\n").collect();
    let mut checked = 0;
    for (input, expected) in inputs.iter().zip(outputs.lines()) {
        let ids: Vec<u32> = expected
            .split_whitespace()
            .map(|id| id.parse().unwrap())
            .collect();
        let encoding = gpt2.encode(input).unwrap();
        assert_eq!(encoding.ids, ids, "{input:?}");
        assert_eq!(gpt2.decode(&ids), *input);
        checked += 1;
    }
    assert!(checked > 40, "only {checked} vectors");
}

#[test]
fn knows_itself() {
    let Some(gpt2) = GPT2.as_ref() else { return };
    assert_eq!(gpt2.kind(), Kind::ByteLevelBpe);
    assert_eq!(gpt2.vocab_size(), 50257);
    assert_eq!(gpt2.end_of_text(), Some(50256));
    assert_eq!(gpt2.token_text(50256).unwrap(), "<|endoftext|>");
    assert_eq!(gpt2.token_bytes(464), b"The");
    assert_eq!(gpt2.encode("<|endoftext|>").unwrap().ids.len(), 7);
    assert_eq!(
        gpt2.encode_with_specials("a<|endoftext|>b").unwrap().ids,
        [64, 50256, 65]
    );
}

#[test]
fn a_chinese_character_in_parts_has_exact_byte_ranges() {
    let Some(gpt2) = GPT2.as_ref() else { return };
    let encoding = gpt2.encode("在床上").unwrap();
    for (id, range) in encoding.ids.iter().zip(&encoding.offsets) {
        assert_eq!(gpt2.token_bytes(*id), &"在床上".as_bytes()[range.clone()]);
    }
    assert!(encoding.ids.len() > 3);
    assert!(encoding.ids.iter().any(|&id| gpt2.token_text(id).is_none()));
}

#[test]
fn every_token_is_made_by_its_merges() {
    let Some(gpt2) = GPT2.as_ref() else { return };
    for id in (0..gpt2.vocab_size() as u32).step_by(23) {
        crate::training::assert_merges_make(gpt2, id);
    }
}

/// Some forms that have made tokenizers slow or fail: no blanks at all, only blanks, one of everything.
#[test]
fn a_million_characters_pass() {
    let Some(gpt2) = GPT2.as_ref() else { return };
    let million = 1_000_000;
    let texts = [
        "a".repeat(million),
        " ".repeat(million),
        "\n".repeat(million),
        "床".repeat(million),
        "the cat ".repeat(million / 8),
        "🎈 ".repeat(million / 2),
        "1!a ".repeat(million / 4),
    ];
    for text in texts {
        let encoding = gpt2.encode(&text).unwrap();
        assert_eq!(encoding.offsets.last().unwrap().end, text.len());
        assert_eq!(gpt2.decode(&encoding.ids), text);
    }
}
