use glassformer_tokens::{Kind, Tokenizer};

use crate::support::{SAMPLE, shared};

fn small() -> Tokenizer {
    Tokenizer::characters(["b\na\r".to_owned(), "床a".to_owned()].into_iter()).unwrap()
}

#[test]
fn each_distinct_character_is_a_token_in_order() {
    let tokenizer = small();
    assert_eq!(tokenizer.kind(), Kind::Characters);
    assert_eq!(tokenizer.vocab_size(), 5);
    assert_eq!(tokenizer.end_of_text(), None);
    let encoding = tokenizer.encode("\n\rab床").unwrap();
    assert_eq!(encoding.ids, [0, 1, 2, 3, 4]);
    assert_eq!(encoding.offsets.last().unwrap(), &(4..7));
    assert_eq!(tokenizer.decode(&encoding.ids), "\n\rab床");
    assert_eq!(tokenizer.token_text(4).unwrap(), "床");
    assert!(tokenizer.merges_of(4).is_empty());
}

#[test]
fn unknown_characters_are_dropped_and_named_once() {
    let encoding = small().encode("xaébéx").unwrap();
    assert_eq!(encoding.ids, [2, 3]);
    assert_eq!(encoding.offsets, [1..2, 4..5]);
    assert_eq!(encoding.unknown, ['x', 'é']);
    assert!(small().encode("").unwrap().ids.is_empty());
}

#[test]
fn its_json_is_read_again_and_means_the_same_to_the_library() {
    let tokenizer = Tokenizer::characters([SAMPLE.to_owned()].into_iter()).unwrap();
    let again = Tokenizer::from_json(tokenizer.to_json().as_bytes()).unwrap();
    assert_eq!(again.kind(), Kind::Characters);
    assert_eq!(again.fingerprint(), tokenizer.fingerprint());
    assert_eq!(again.decode(&again.encode(SAMPLE).unwrap().ids), SAMPLE);

    let library = tokenizers::Tokenizer::from_bytes(tokenizer.to_json()).unwrap();
    let ids = library.encode(SAMPLE, false).unwrap().get_ids().to_vec();
    assert_eq!(ids, tokenizer.encode(SAMPLE).unwrap().ids);
    assert_eq!(library.decode(&ids, false).unwrap(), SAMPLE);
}

#[test]
fn no_text_is_an_error() {
    let error = Tokenizer::characters(std::iter::once(String::new())).unwrap_err();
    assert!(error.to_string().starts_with("no text"), "{error}");
}

#[test]
fn shakespeare_has_65() {
    let Some(text) = shared("text/tinyshakespeare.txt") else {
        return;
    };
    let text = String::from_utf8(text).unwrap();
    let tokenizer = Tokenizer::characters(std::iter::once(text.clone())).unwrap();
    assert_eq!(tokenizer.vocab_size(), 65);
    let ids = tokenizer.encode(&text).unwrap().ids;
    // nanoGPT's own first ids: "First Citizen:".
    assert_eq!(
        ids[..14],
        [18, 47, 56, 57, 58, 1, 15, 47, 58, 47, 64, 43, 52, 10]
    );
    assert_eq!(tokenizer.decode(&ids), text);
}
