//! The bytes behind each id, gathered once.

use std::collections::HashMap;

use crate::added::Added;
use crate::bytes::{ByteTable, bytes_of};
use crate::error::guard;
use crate::file::Vocabulary;
use crate::spec::Kind;

/// The table of a vocabulary whose entries say by themselves what they stand for.
pub(crate) fn of_plain_entries(
    vocabulary: &Vocabulary,
    kind: Kind,
    added: &[Added],
    size: usize,
) -> ByteTable {
    let mut tokens = vec![Vec::new(); size];
    for (entry, id) in vocabulary.named() {
        let spelled = (kind == Kind::ByteLevelBpe).then(|| bytes_of(entry));
        tokens[id as usize] = spelled.flatten().unwrap_or_else(|| entry.into());
    }
    set_added(&mut tokens, added);
    ByteTable::new(&tokens)
}

/// The table of any other vocabulary, by way of the library's decoder.
pub(crate) fn of_decoded_entries(
    library: &tokenizers::Tokenizer,
    added: &[Added],
    size: usize,
) -> ByteTable {
    let mut tokens = vec![Vec::new(); size];
    for (entry, id) in library.get_vocab(false) {
        if let Some(token) = tokens.get_mut(id as usize) {
            *token = decoded(&entry, id, library);
        }
    }
    set_added(&mut tokens, added);
    ByteTable::new(&tokens)
}

fn set_added(tokens: &mut [Vec<u8>], added: &[Added]) {
    for token in added {
        tokens[token.id as usize] = token.content.clone().into_bytes();
    }
}

/// SentencePiece writes a space as `▁` and a lone byte as `<0x41>`, WordPiece a continued word as
/// `##ing`. Unless the decoder reads a token otherwise, its bytes are those of the entry itself.
fn decoded(entry: &str, id: u32, library: &tokenizers::Tokenizer) -> Vec<u8> {
    let lone = entry
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'));
    if let Some(byte) = lone.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
        return vec![byte];
    }
    if let Some(word) = entry.strip_prefix('▁') {
        return format!(" {}", word.replace('▁', " ")).into_bytes();
    }
    guard(|| library.decode(&[id], false))
        .unwrap_or_else(|_| entry.to_owned())
        .into_bytes()
}

/// The ids of a character vocabulary.
pub(crate) fn characters(vocabulary: &Vocabulary, added: &[Added]) -> HashMap<char, u32> {
    let entries = vocabulary
        .named()
        .filter(|(_, id)| added.iter().all(|token| token.id != *id));
    entries
        .filter_map(|(entry, id)| Some((entry.chars().next()?, id)))
        .collect()
}
