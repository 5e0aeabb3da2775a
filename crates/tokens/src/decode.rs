//! Ids to text, at once or one by one.

use std::str;

use crate::error::guard;
use crate::spec::Kind;
use crate::tokenizer::Tokenizer;

impl Tokenizer {
    /// The text of `ids`. Special tokens are written out; ids outside the vocabulary give nothing; bytes that are
    /// no UTF-8 (a sequence cut inside a character) give U+FFFD, as in [`String::from_utf8_lossy`].
    pub fn decode(&self, ids: &[u32]) -> String {
        if self.kind() == Kind::Other {
            return guard(|| self.library().decode(ids, false)).unwrap_or_default();
        }
        let bytes: Vec<u8> = ids
            .iter()
            .flat_map(|&id| self.token_bytes(id))
            .copied()
            .collect();
        match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    }

    /// The text that a model which writes whole texts means by `ids`: without special tokens, and without the space that the
    /// tokenizer sets before a text.
    pub fn decode_text(&self, ids: &[u32]) -> String {
        let plain = ids.iter().copied().filter(|&id| !self.is_special(id));
        let text = self.decode(&plain.collect::<Vec<_>>());
        match text.strip_prefix(' ') {
            Some(rest) if self.adds_space() => rest.to_owned(),
            _ => text,
        }
    }

    /// A decoder for ids that arrive one at a time.
    pub fn decode_stream(&self) -> DecodeStream {
        self.decode_stream_after(&[])
    }

    /// As [`decode_stream`](Self::decode_stream), for ids that go on after `shown`. SentencePiece writes the space before a
    /// word into the word and leaves it out at the beginning of a text: what continues a text must not lose it.
    pub fn decode_stream_after(&self, shown: &[u32]) -> DecodeStream {
        let last = match shown {
            [.., last] if self.kind() == Kind::Other && !self.is_special(*last) => &[*last][..],
            _ => &[],
        };
        DecodeStream {
            tokenizer: self.clone(),
            bytes: Vec::new(),
            ids: last.to_vec(),
            shown: last.len(),
        }
    }
}

/// Decodes ids as they arrive and never shows half a character: 床 may be three tokens, and appears with the third.
///
/// Everything pushed, with what [`finish`](Self::finish) gives, equals [`Tokenizer::decode`] of all ids.
#[derive(Clone, Debug)]
pub struct DecodeStream {
    tokenizer: Tokenizer,
    /// Bytes of an unfinished character: at most three.
    bytes: Vec<u8>,
    /// For kinds whose tokens depend on their neighbours: the ids from the last shown word on.
    ids: Vec<u32>,
    /// How many of `ids` have been shown.
    shown: usize,
}

impl DecodeStream {
    /// Takes the next id; gives the text that has become complete, if any.
    pub fn push(&mut self, id: u32) -> Option<String> {
        if self.tokenizer.kind() == Kind::Other {
            return self.push_in_context(id);
        }
        self.bytes.extend_from_slice(self.tokenizer.token_bytes(id));
        let mut text = String::new();
        let mut rest = self.bytes.as_slice();
        loop {
            let error = match str::from_utf8(rest) {
                Ok(whole) => {
                    text.push_str(whole);
                    rest = &[];
                    break;
                }
                Err(error) => error,
            };
            let (whole, after) = rest.split_at(error.valid_up_to());
            text.push_str(str::from_utf8(whole).expect("checked up to here"));
            rest = after;
            // Without a length the character may still be completed; with one, those bytes never will be.
            let Some(broken) = error.error_len() else {
                break;
            };
            text.push(char::REPLACEMENT_CHARACTER);
            rest = &rest[broken..];
        }
        let left = rest.len();
        self.bytes.drain(..self.bytes.len() - left);
        (!text.is_empty()).then_some(text)
    }

    /// Ends the stream: an unfinished character gives U+FFFD, otherwise nothing is left.
    pub fn finish(&mut self) -> Option<String> {
        let text = if self.tokenizer.kind() == Kind::Other {
            let text = self.unshown();
            self.shown = self.ids.len();
            text
        } else {
            String::from_utf8_lossy(&std::mem::take(&mut self.bytes)).into_owned()
        };
        (!text.is_empty()).then_some(text)
    }

    fn push_in_context(&mut self, id: u32) -> Option<String> {
        self.ids.push(id);
        let text = self.unshown();
        if text.is_empty() || text.ends_with(char::REPLACEMENT_CHARACTER) {
            return None;
        }
        self.ids.drain(..self.shown);
        self.shown = self.ids.len();
        Some(text)
    }

    /// What the ids not yet shown add to the text of those before.
    fn unshown(&self) -> String {
        let before = self.tokenizer.decode(&self.ids[..self.shown]);
        let all = self.tokenizer.decode(&self.ids);
        all.get(before.len()..).unwrap_or_default().to_owned()
    }
}
