//! WordPiece: BERT, MiniLM, BGE. Schuster and Nakajima 2012; Devlin et al. 2019.
//!
//! The original vocabulary marks what continues a word (`##ing`), GGUF what begins one (`▁play`). Names in brackets
//! (`[CLS]`, `[unused7]`) are written alike in both.

use serde_json::json;

use super::vocabulary::GgufVocabulary;
use super::{Around, Parts, unusable};
use crate::error::TokenizeError;
use crate::file::File;

pub(super) fn file(vocabulary: &GgufVocabulary) -> Result<File, TokenizeError> {
    let vocabulary = &GgufVocabulary {
        tokens: vocabulary.tokens.iter().map(|entry| spell(entry)).collect(),
        ..vocabulary.clone()
    };
    let find = |given: Option<u32>, name: &str| {
        let listed = || vocabulary.tokens.iter().position(|entry| entry == name);
        given.or_else(|| listed().map(|id| id as u32))
    };
    let unknown = find(vocabulary.unknown, "[UNK]");
    let Some(unknown) = unknown.map(|id| vocabulary.entry(id)) else {
        let why = "it is missing, and no token is called [UNK]";
        return Err(unusable("tokenizer.ggml.unknown_token_id", why));
    };
    let first = find(vocabulary.cls.or(vocabulary.bos), "[CLS]");
    let separator = find(vocabulary.separator, "[SEP]");
    let lowercase = vocabulary.lowercase.unwrap_or_else(|| is_lower(vocabulary));
    let parts = Parts {
        normalizer: json!({
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": vocabulary.strip_accents, "lowercase": lowercase,
        }),
        pre_tokenizer: json!({ "type": "BertPreTokenizer" }),
        decoder: json!({ "type": "WordPiece", "prefix": "##", "cleanup": true }),
        around: Around {
            before: first.filter(|_| vocabulary.add_bos.unwrap_or(true)),
            after: separator.filter(|_| vocabulary.add_separator.unwrap_or(true)),
            between: None,
            second_segment: 1,
        },
        merges: None,
        strips_left: None,
        model: json!({
            "type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
        }),
    };
    parts.into_file(vocabulary)
}

fn is_bracketed(entry: &str) -> bool {
    entry.starts_with('[') && entry.ends_with(']')
}

/// From GGUF's way of writing an entry to the original one.
fn spell(entry: &str) -> String {
    match entry.strip_prefix('▁') {
        Some(word) => word.to_owned(),
        None if entry.is_empty() || is_bracketed(entry) => entry.to_owned(),
        None => format!("##{entry}"),
    }
}

/// From the original way of writing an entry to GGUF's.
pub(super) fn write(entry: &str) -> String {
    match entry.strip_prefix("##") {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ if entry.is_empty() || is_bracketed(entry) => entry.to_owned(),
        _ => format!("▁{entry}"),
    }
}

/// A file that does not say whether its model reads lower case only: its vocabulary shows it.
fn is_lower(vocabulary: &GgufVocabulary) -> bool {
    let words = vocabulary
        .tokens
        .iter()
        .filter(|entry| !is_bracketed(entry));
    !words
        .flat_map(|entry| entry.bytes())
        .any(|byte| byte.is_ascii_uppercase())
}
