use glassformer_tokens::{Kind, TokenizeError, Tokenizer};

use crate::support::{SAMPLE, SMALL, shared};

/// Replays `merges_of(id)` on single bytes.
pub(crate) fn assert_merges_make(tokenizer: &Tokenizer, id: u32) {
    let bytes = tokenizer.token_bytes(id);
    let steps = tokenizer.merges_of(id);
    if tokenizer.is_special(id) || bytes.len() == 1 {
        assert!(steps.is_empty());
        return;
    }
    let mut pieces: Vec<Vec<u8>> = bytes.iter().map(|&byte| vec![byte]).collect();
    for step in &steps {
        assert_eq!(pieces[step.at], step.left);
        assert_eq!(pieces[step.at + 1], step.right);
        let joined = [step.left.as_slice(), &step.right].concat();
        assert_eq!(tokenizer.token_bytes(step.merged), joined);
        pieces.splice(step.at..step.at + 2, [joined]);
    }
    assert_eq!(pieces, [bytes], "id {id}");
    assert_eq!(steps.last().unwrap().merged, id);
}

#[test]
fn a_learned_vocabulary_is_gpt2_shaped() {
    let tokenizer = &*SMALL;
    assert_eq!(tokenizer.kind(), Kind::ByteLevelBpe);
    assert_eq!(tokenizer.vocab_size(), 400);
    assert_eq!(tokenizer.end_of_text(), Some(0));
    assert!(tokenizer.is_special(0) && !tokenizer.is_special(1));
    assert_eq!(tokenizer.specials(), [("<|endoftext|>".to_owned(), 0)]);
    for byte in 0..=255u8 {
        assert!((1..257).any(|id| tokenizer.token_bytes(id) == [byte]));
    }
    let the = tokenizer.id_of("Ġthe").unwrap();
    assert_eq!(tokenizer.token_text(the).unwrap(), " the");
    assert_eq!(tokenizer.token_bytes(400), b"");
    assert_eq!(tokenizer.token_text(u32::MAX), None);
}

#[test]
fn every_token_is_made_by_its_merges() {
    for id in 0..SMALL.vocab_size() as u32 {
        assert_merges_make(&SMALL, id);
    }
    let the = SMALL.id_of("Ġthe").unwrap();
    assert!(
        SMALL
            .merges_of(the)
            .windows(2)
            .all(|pair| pair[0].rank <= pair[1].rank)
    );
}

#[test]
fn its_json_is_read_again() {
    let again = Tokenizer::from_json(SMALL.to_json().as_bytes()).unwrap();
    assert_eq!(again.to_json(), SMALL.to_json());
    assert_eq!(again.fingerprint(), SMALL.fingerprint());
    assert_eq!(again.encode(SAMPLE).unwrap(), SMALL.encode(SAMPLE).unwrap());
    let other = Tokenizer::train_bpe(std::iter::once(SAMPLE.to_owned()), 300).unwrap();
    assert_ne!(other.fingerprint(), SMALL.fingerprint());
}

#[test]
fn learning_gives_the_same_every_time_and_on_any_pool() {
    let text = shared("text/tinyshakespeare.txt").map_or_else(
        || SAMPLE.repeat(9),
        |bytes| String::from_utf8(bytes[..200_000].to_vec()).unwrap(),
    );
    let documents = || {
        text.split("\n\n")
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .into_iter()
    };
    let alone = Tokenizer::train_bpe(documents(), 700).unwrap();
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let pooled = pool
            .install(|| Tokenizer::train_bpe(documents(), 700))
            .unwrap();
        assert_eq!(pooled.to_json(), alone.to_json());
    }
}

#[test]
fn what_cannot_be_learned_says_why() {
    let error = Tokenizer::train_bpe(std::iter::once("a".to_owned()), 256).unwrap_err();
    assert!(matches!(
        error,
        TokenizeError::VocabularyTooSmall {
            asked: 256,
            least: 257
        }
    ));
    let error = Tokenizer::train_bpe(std::iter::empty(), 300).unwrap_err();
    assert!(matches!(error, TokenizeError::NoText));
    let tiny = Tokenizer::train_bpe(std::iter::once("abc".to_owned()), 300).unwrap();
    assert_eq!(tiny.vocab_size(), 257);
    assert_eq!(tiny.decode(&tiny.encode("abc 床").unwrap().ids), "abc 床");
}

#[test]
fn a_vocabulary_for_translation_ends_each_text() {
    let texts = [
        "Two Dogs run.",
        "ZWEI Hunde rennen, zwei Hunde!",
        "Two men run.",
    ];
    for lowercase in [false, true] {
        let texts = texts.iter().map(ToString::to_string);
        let tokenizer = Tokenizer::train_translation_bpe(texts, 300, lowercase).unwrap();
        let again = Tokenizer::from_json(tokenizer.to_json().as_bytes()).unwrap();
        assert_eq!(again.to_json(), tokenizer.to_json());
        assert_eq!(again.kind(), Kind::ByteLevelBpe);
        assert_eq!(
            [again.id_of("<pad>"), again.end_of_text()],
            [Some(0), Some(1)]
        );
        let text = "Zwei Dogs, two DOGS </s> ÄÖ 狗";
        let ids = again.encode_prompt(text).unwrap().ids;
        // What looks like the end is text; only the last one is it.
        assert_eq!(ids.iter().filter(|&&id| id == 1).count(), 1);
        assert_eq!(ids.last(), Some(&1));
        let expected = if lowercase {
            text.to_lowercase()
        } else {
            text.to_owned()
        };
        assert_eq!(again.decode_text(&ids), expected);
        // A word is the same token wherever it stands.
        let first = again.encode("run run").unwrap().ids;
        assert_eq!(first[..first.len() / 2], first[first.len() / 2..]);
        assert_eq!(again.decode_text(&[1]), "");
    }
    let error = Tokenizer::train_translation_bpe(["a".to_owned()].into_iter(), 257, false);
    assert!(matches!(
        error,
        Err(TokenizeError::VocabularyTooSmall { least: 258, .. })
    ));
}
