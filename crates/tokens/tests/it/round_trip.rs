use proptest::prelude::*;

use glassformer_tokens::{Encoding, Tokenizer};

use crate::support::{GPT2, SAMPLE, SMALL};

fn send_and_sync<T: Send + Sync + Clone>() {}

/// Text with much white space and many borders, where patterns go wrong.
fn text() -> impl Strategy<Value = String> {
    let bit = prop_oneof![
        Just(" ".to_owned()),
        Just("  ".to_owned()),
        Just("\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("'s".to_owned()),
        Just("<|endoftext|>".to_owned()),
        Just("the".to_owned()),
        Just("床前明月光".to_owned()),
        "[a-zA-Z0-9]{1,6}",
        "\\PC{1,4}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(bit, 0..24).prop_map(|bits| bits.concat())
}

fn assert_exact(tokenizer: &Tokenizer, text: &str, encoding: &Encoding) {
    let mut end = 0;
    for (id, range) in encoding.ids.iter().zip(&encoding.offsets) {
        assert_eq!(range.start, end);
        assert_eq!(tokenizer.token_bytes(*id), &text.as_bytes()[range.clone()]);
        end = range.end;
    }
    assert_eq!(end, text.len());
    assert_eq!(encoding.ids.len(), encoding.offsets.len());
    assert!(encoding.unknown.is_empty());
}

fn stream(tokenizer: &Tokenizer, ids: &[u32]) -> (String, Option<String>) {
    let mut stream = tokenizer.decode_stream();
    let shown: String = ids.iter().filter_map(|&id| stream.push(id)).collect();
    (shown, stream.finish())
}

proptest! {
    #[test]
    fn text_survives(text in text()) {
        send_and_sync::<Tokenizer>();
        for tokenizer in [Some(&*SMALL), GPT2.as_ref()].into_iter().flatten() {
            let encoding = tokenizer.encode(&text).unwrap();
            assert_exact(tokenizer, &text, &encoding);
            prop_assert_eq!(tokenizer.decode(&encoding.ids), text.clone());
            prop_assert!(!encoding.ids.iter().any(|&id| tokenizer.is_special(id)));
            let (shown, left) = stream(tokenizer, &encoding.ids);
            prop_assert_eq!(&shown, &text);
            prop_assert_eq!(left, None);
            let special = tokenizer.encode_with_specials(&text).unwrap();
            assert_exact(tokenizer, &text, &special);
            let ends = special.ids.iter().filter(|&&id| tokenizer.is_special(id)).count();
            prop_assert_eq!(ends, text.matches("<|endoftext|>").count());
        }
    }

    #[test]
    fn any_ids_stream_as_they_decode(ids in prop::collection::vec(0u32..420, 0..40)) {
        let (shown, left) = stream(&SMALL, &ids);
        prop_assert_eq!(shown + &left.unwrap_or_default(), SMALL.decode(&ids));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_long_text_is_cut_where_nothing_changes(bits in prop::collection::vec(text(), 1..6)) {
        // Long enough to be cut, with borders of every sort around the cuts.
        let text = bits.concat() + " ";
        let long = text.repeat(150_000 / text.len() + 1);
        let library = tokenizers::Tokenizer::from_bytes(SMALL.to_json()).unwrap();
        if !text.contains("<|endoftext|>") {
            let whole = library.encode_fast(long.as_str(), false).unwrap();
            prop_assert_eq!(&SMALL.encode(&long).unwrap().ids, whole.get_ids());
        }
    }
}

#[test]
fn half_a_character_is_never_shown() {
    let tiny = Tokenizer::train_bpe(std::iter::once("abc".to_owned()), 257).unwrap();
    let ids = tiny.encode("床🎈").unwrap().ids;
    assert_eq!(ids.len(), 7);
    let mut stream = tiny.decode_stream();
    let shown: Vec<Option<String>> = ids.iter().map(|&id| stream.push(id)).collect();
    assert_eq!(shown[2].as_deref(), Some("床"));
    assert_eq!(shown[6].as_deref(), Some("🎈"));
    assert_eq!(shown.iter().flatten().count(), 2);
    assert_eq!(stream.finish(), None);

    stream.push(ids[0]);
    assert_eq!(stream.finish().as_deref(), Some("\u{fffd}"));
    assert_eq!(stream.finish(), None);
}

#[test]
fn the_sample_survives() {
    let encoding = SMALL.encode(SAMPLE).unwrap();
    assert_exact(&SMALL, SAMPLE, &encoding);
    assert!(encoding.ids.len() < SAMPLE.len());
}
