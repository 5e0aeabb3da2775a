//! Texts to vectors: pooling as transformers and PyTorch give it, in the order of the texts, whatever their lengths.

use glassformer_generate::embed::{Cut, EmbedError, Encoded, Modules, most_tokens};
use glassformer_generate::{Embedder, Pooling};
use glassformer_kernels::product::Precision;
use glassformer_model::{Mode, Pass};
use glassformer_tensor::{Buffers, Pool};
use glassformer_tokens::Tokenizer;
use glassformer_weights::TensorFile;

use crate::support::{golden, golden_model, random_model};

const ENCODERS: [&str; 2] = ["bert-tiny", "roberta-odd"];

/// The sequences of `pooled.safetensors`, one behind the other.
fn texts(file: &TensorFile) -> Vec<Vec<u32>> {
    let [ids, lengths] = ["x", "lengths"].map(|name| file.load_f32(name).unwrap().1);
    let mut rest = ids.as_slice();
    lengths
        .iter()
        .map(|&length| {
            let (text, later) = rest.split_at(length as usize);
            rest = later;
            text.iter().map(|&id| id as u32).collect()
        })
        .collect()
}

#[test]
fn pooled_vectors_are_those_of_pytorch_in_the_order_of_the_texts() {
    for name in ENCODERS {
        let file = TensorFile::open(&golden(name, "pooled.safetensors")).unwrap();
        let texts = texts(&file);
        let lengths: Vec<usize> = texts.iter().map(Vec::len).collect();
        assert!(!lengths.is_sorted() && lengths.contains(&1), "{lengths:?}");
        for (threads, is_packed) in [(1, false), (1, true), (2, true)] {
            let (pool, mut model) = (Pool::new(threads), golden_model(name));
            if is_packed {
                model.pack(&pool, Precision::F32);
            }
            let mut embedder = Embedder::new(model, Pooling::Mean);
            for pooling in Pooling::ALL {
                for normalises in [false, true] {
                    (embedder.pooling, embedder.normalises) = (pooling, normalises);
                    let mut done = 0;
                    let found = embedder
                        .embed(&pool, &texts, |texts| done += texts)
                        .unwrap();
                    assert_eq!(done, texts.len());
                    let kind = if normalises { ".normalized" } else { "" };
                    let (_, expected) = file.load_f32(&format!("{pooling}{kind}")).unwrap();
                    let worst = found
                        .concat()
                        .iter()
                        .zip(&expected)
                        .map(|(a, b)| (a - b).abs())
                        .fold(0.0, f32::max);
                    assert_eq!(found.concat().len(), expected.len());
                    assert!(worst <= 1e-5, "{name}, {pooling}{kind}: {worst:e}");
                }
            }
        }
    }
}

#[test]
fn a_text_has_the_same_vector_alone_and_among_others() {
    // More rows than one batch takes, decoders too.
    let (pool, model) = (Pool::new(2), random_model(61, 5));
    let texts: Vec<Vec<u32>> = (0..97)
        .map(|i| {
            (0..=(i * 31) % 61)
                .map(|t| ((i + t * 7) % 37) as u32)
                .collect()
        })
        .collect();
    assert!(texts.iter().map(Vec::len).sum::<usize>() > 2048);
    let embedder = Embedder::new(model, Pooling::Last);
    let together = embedder.embed(&pool, &texts, |_| {}).unwrap();
    for (text, vector) in texts.iter().zip(&together).step_by(8) {
        let alone = &embedder.embed(&pool, &[text], |_| {}).unwrap()[0];
        let worst = alone.iter().zip(vector).map(|(a, b)| (a - b).abs());
        assert!(worst.fold(0.0, f32::max) <= 1e-5);
        // The last position of a decoder, behind its final norm.
        let buffers = Buffers::new();
        let run = embedder.model().run(&pool, &buffers);
        let mut pass = Pass::new(run, 1, text.len(), Mode::Inference);
        let rows = embedder.model().vectors(&mut pass, text);
        let last = rows.tensor().row(text.len() - 1);
        let worst = last.iter().zip(vector).map(|(a, b)| (a - b).abs());
        assert!(worst.fold(0.0, f32::max) <= 1e-5);
    }
}

#[test]
fn texts_that_cannot_be_embedded_are_refused() {
    let (pool, embedder) = (
        Pool::single(),
        Embedder::new(random_model(8, 1), Pooling::Mean),
    );
    let error = |texts: &[&[u32]]| embedder.embed(&pool, texts, |_| {}).unwrap_err();
    assert_eq!(error(&[&[1], &[]]), EmbedError::Empty { text: 1 });
    let (text, tokens, most) = (0, 9, 8);
    assert_eq!(
        error(&[&[1; 9]]),
        EmbedError::TooLong { text, tokens, most }
    );
    let (id, vocab) = (37, 37);
    assert_eq!(error(&[&[1, 37]]), EmbedError::NoToken { text, id, vocab });
    assert_eq!(embedder.embed::<&[u32]>(&pool, &[], |_| {}), Ok(Vec::new()));
}

#[test]
fn long_texts_are_cut_as_sentence_transformers_cuts_them() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tokens/tests/golden/tokenizers/bert.json"
    );
    let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let tokenizer = Tokenizer::from_json(golden["file"].to_string().as_bytes()).unwrap();
    let texts: Vec<String> = (0..40).map(|i| "the fox ".repeat(i % 7)).collect();
    for threads in [1, 2] {
        let encoded = Encoded::of(&Pool::new(threads), &tokenizer, &texts, 6).unwrap();
        for (i, ids) in encoded.ids.iter().enumerate() {
            let whole = tokenizer.encode_prompt(&texts[i]).unwrap().ids;
            let cut = encoded.cuts.iter().find(|cut| cut.text == i);
            if whole.len() <= 6 {
                assert_eq!((ids, cut), (&whole, None));
            } else {
                // The end of the text goes, what stands around it stays.
                assert_eq!(ids[..5], whole[..5]);
                assert_eq!((ids.len(), ids[5]), (6, whole[whole.len() - 1]));
                let tokens = whole.len();
                assert_eq!(cut, Some(&Cut { text: i, tokens }));
            }
        }
    }
}

#[test]
fn what_sentence_transformers_writes_is_read() {
    let modules = |kinds: &[&str]| {
        let list: Vec<_> = kinds
            .iter()
            .map(|kind| serde_json::json!({"path": "1_Pooling", "type": format!("sentence_transformers.models.{kind}")}))
            .collect();
        Modules::from_json(&serde_json::json!(list).to_string())
    };
    let found = modules(&["Transformer", "Pooling", "Normalize"]).unwrap();
    assert_eq!(
        (found.pooling.as_deref(), found.normalises),
        (Some("1_Pooling"), true)
    );
    assert!(!modules(&["Transformer", "Pooling"]).unwrap().normalises);
    let error = modules(&["Transformer", "Dense"]).unwrap_err().to_string();
    assert!(error.contains("Dense"), "{error}");
    for (json, expected) in [
        (r#"{"pooling_mode": "lasttoken"}"#, Ok(Pooling::Last)),
        (
            r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#,
            Ok(Pooling::Cls),
        ),
        (r#"{"pooling_mode_max_tokens": true}"#, Ok(Pooling::Max)),
        (
            r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}"#,
            Err("cls_token and mean_tokens"),
        ),
        (r#"{"pooling_mode": "weightedmean"}"#, Err("weightedmean")),
        ("{}", Err("says no pooling_mode")),
        ("[", Err("cannot be read")),
    ] {
        match (Pooling::from_json(json), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (found, expected) => panic!("{json}: {found:?}, {expected:?}"),
        }
    }
    let most = |json: &str| most_tokens(json).unwrap();
    assert_eq!(
        most(r#"{"max_seq_length": 256, "do_lower_case": false}"#),
        Some(256)
    );
    assert_eq!(most(r#"{"max_seq_length": null}"#), None);
    assert!(most_tokens("1").is_err());
}
