//! SentencePiece's BPE: Llama 2, TinyLlama, Mistral. Kudo and Richardson 2018.
//!
//! ```text
//! pieces = the characters of ▁ + text, spaces written as ▁
//! while two neighbours make an entry: join those that make the entry with the highest score
//! what is no entry by itself is written in bytes, <0xE5>
//! ```
//!
//! The file gives scores, BPE wants a list of merges: every way to make an entry of two entries, the highest score first
//! (so does transformers, `generate_merges`).

use std::collections::HashMap;

use serde_json::{Value, json};
use tokenizers::models::bpe::Merges;

use super::vocabulary::GgufVocabulary;
use super::{Around, Parts, unusable};
use crate::error::TokenizeError;
use crate::file::File;

/// Entries of more bytes than this are no words: taking apart a long one costs the square of its length.
const LONGEST: usize = 512;

pub(super) fn file(vocabulary: &GgufVocabulary) -> Result<File, TokenizeError> {
    if vocabulary.scores.is_empty() {
        return Err(unusable("tokenizer.ggml.scores", "it is missing"));
    }
    let add_bos = vocabulary.add_bos.unwrap_or(true);
    let add_eos = vocabulary.add_eos.unwrap_or(false);
    let add_space = vocabulary.add_space_prefix.unwrap_or(true);
    let before = vocabulary.bos.filter(|_| add_bos);
    let unknown = vocabulary.unknown.map(|id| vocabulary.entry(id));
    let parts = Parts {
        normalizer: normalizer(add_space),
        pre_tokenizer: Value::Null,
        decoder: decoder(add_space),
        around: Around {
            before,
            after: vocabulary.eos.filter(|_| add_eos),
            between: before,
            second_segment: 1,
        },
        merges: Some(merges(vocabulary)),
        strips_left: None,
        model: json!({
            "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
        }),
    };
    parts.into_file(vocabulary)
}

fn normalizer(add_space: bool) -> Value {
    let escape = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
    if !add_space {
        return escape;
    }
    let space = json!({ "type": "Prepend", "prepend": "▁" });
    json!({ "type": "Sequence", "normalizers": [space, escape] })
}

fn decoder(add_space: bool) -> Value {
    let mut steps = vec![
        json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if add_space {
        steps.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    json!({ "type": "Sequence", "decoders": steps })
}

/// A way to make an entry out of two halves.
struct Way {
    id: u32,
    score: f32,
    /// Of both halves, in characters.
    lengths: (usize, usize),
    /// Where the left half ends, in bytes.
    at: usize,
}

/// Every way to make an entry of two entries, in the order in which they are to be tried.
fn merges(vocabulary: &GgufVocabulary) -> Merges {
    let words = (0..vocabulary.tokens.len() as u32).filter(|&id| vocabulary.is_word(id));
    let ids: HashMap<&str, u32> = words
        .map(|id| (vocabulary.tokens[id as usize].as_str(), id))
        .filter(|(entry, _)| !entry.is_empty() && entry.len() <= LONGEST)
        .collect();
    let mut ways = Vec::new();
    for (entry, &id) in &ids {
        let length = entry.chars().count();
        for (left_length, (at, _)) in entry.char_indices().enumerate().skip(1) {
            let (left, right) = entry.split_at(at);
            if ids.contains_key(left) && ids.contains_key(right) {
                ways.push(Way {
                    id,
                    score: vocabulary.scores[id as usize],
                    lengths: (left_length, length - left_length),
                    at,
                });
            }
        }
    }
    // Where entries are equally likely the longer left half goes first, then the longer right one, then the lower id.
    ways.sort_unstable_by(|one, other| {
        let by_score = other.score.total_cmp(&one.score);
        let by_length = || other.lengths.cmp(&one.lengths);
        by_score.then_with(by_length).then(one.id.cmp(&other.id))
    });
    let halves = |way: &Way| {
        let (left, right) = vocabulary.tokens[way.id as usize].split_at(way.at);
        (left.to_owned(), right.to_owned())
    };
    ways.iter().map(halves).collect()
}
