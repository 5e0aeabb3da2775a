//! Text as it streams: what comes out in pieces is what would have come at once, up to the first stop string.

use glassformer_generate::TextStream;
use glassformer_tokens::Tokenizer;
use proptest::prelude::*;

const ALPHABET: &str = "ab→你 ";

fn tokenizer() -> Tokenizer {
    Tokenizer::characters(std::iter::once(ALPHABET.to_owned())).unwrap()
}

/// The pieces, and whether a stop string came.
fn stream(text: &str, stops: &[String]) -> (Vec<String>, bool) {
    let tokenizer = tokenizer();
    let mut stream = TextStream::new(&tokenizer, stops);
    let mut pieces: Vec<String> = tokenizer
        .encode(text)
        .unwrap()
        .ids
        .iter()
        .map(|&id| stream.push(id))
        .collect();
    pieces.push(stream.finish());
    (pieces, stream.stopped())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ends_before_the_first_stop_string(text in "[ab→你 ]{0,30}", stops in prop::collection::vec("[ab→你 ]{0,4}", 0..4)) {
        let (pieces, stopped) = stream(&text, &stops);
        // The first to be complete ends the text; of those complete at the same place, the one that begins first.
        let ends = stops.iter().filter(|stop| !stop.is_empty());
        let complete = ends.filter_map(|stop| text.find(stop.as_str()).map(|at| (at + stop.len(), at))).min();
        let expected = complete.map_or(text.as_str(), |(_, at)| &text[..at]);
        let told = pieces.concat();
        prop_assert_eq!((told.as_str(), stopped), (expected, complete.is_some()));
    }
}

#[test]
fn holds_back_only_what_may_become_a_stop_string() {
    let (pieces, stopped) = stream("ab a→a", &["a→你".to_owned()]);
    assert_eq!(pieces, ["", "ab", " ", "", "", "a→", "a"]);
    assert!(!stopped);
}
