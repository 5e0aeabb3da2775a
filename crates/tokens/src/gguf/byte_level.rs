//! Byte-level BPE: GPT-2, Llama 3, Qwen, SmolLM. Radford et al. 2019.

use serde_json::json;
use tokenizers::models::bpe::Merges;

use super::pre_tokenizer::PreTokenizer;
use super::vocabulary::GgufVocabulary;
use super::{Around, Parts, unusable};
use crate::error::TokenizeError;
use crate::file::{File, halves};

pub(super) fn file(vocabulary: &GgufVocabulary) -> Result<File, TokenizeError> {
    let pre = vocabulary.pre.as_deref().unwrap_or("default");
    let cut = PreTokenizer::named(pre).ok_or_else(|| {
        let known = PreTokenizer::names().collect::<Vec<_>>().join(", ");
        let why = format!("{pre:?} is not known; known are {known}");
        unusable("tokenizer.ggml.pre", why)
    })?;
    let add_bos = vocabulary.add_bos.unwrap_or(cut.adds_bos);
    let add_eos = vocabulary.add_eos.unwrap_or(false);
    let before = vocabulary.bos.filter(|_| add_bos);
    let (between, second_segment) = if vocabulary.add_separator.unwrap_or(cut.is_roberta) {
        (vocabulary.separator.or(vocabulary.eos), 0)
    } else {
        (before, 1)
    };
    let parts = Parts {
        normalizer: cut.normalizer(),
        pre_tokenizer: cut.to_json(),
        decoder: json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true }),
        around: Around {
            before,
            after: vocabulary.eos.filter(|_| add_eos),
            between,
            second_segment,
        },
        merges: Some(merges(vocabulary)?),
        strips_left: vocabulary.mask.filter(|_| cut.is_roberta),
        model: json!({
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": cut.takes_whole_words,
        }),
    };
    parts.into_file(vocabulary)
}

fn merges(vocabulary: &GgufVocabulary) -> Result<Merges, TokenizeError> {
    if vocabulary.merges.is_empty() {
        return Err(unusable("tokenizer.ggml.merges", "it is missing or empty"));
    }
    let mut merges = Merges::with_capacity(vocabulary.merges.len());
    for (number, line) in vocabulary.merges.iter().enumerate() {
        let pair = halves(line).ok_or_else(|| {
            let why = format!("number {number}, {line:?}, is no pair");
            unusable("tokenizer.ggml.merges", why)
        })?;
        merges.push(pair);
    }
    Ok(merges)
}
