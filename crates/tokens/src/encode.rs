//! Text to ids, with the range of the text behind each.

use std::collections::BTreeSet;
use std::ops::Range;

use tokenizers::{Model, OffsetReferential, OffsetType, PreTokenizer, Token};

use crate::error::{TokenizeError, guard};
use crate::spec::Kind;
use crate::tokenizer::Tokenizer;

/// Longer texts go to the library in pieces of about this many bytes, for it needs some fifty bytes of memory per byte.
const PIECE: usize = 1 << 16;

/// A range of a text, and the added token that covers it, if one does.
type Segment = (Range<usize>, Option<u32>);

/// A text in ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// The token ids.
    pub ids: Vec<u32>,
    /// The byte range of the text behind each id. For byte-level BPE exact to the byte, so that ranges may begin or end
    /// inside a character; with a normalizer that changed the text, the characters each token came from.
    pub offsets: Vec<Range<usize>>,
    /// Characters that the vocabulary does not know, each once, in order of their code.
    pub unknown: Vec<char>,
    /// Ids at the end of the text that were left out, where a longest length was given.
    pub left_out: usize,
}

impl Encoding {
    pub(crate) fn push(&mut self, id: u32, range: Range<usize>) {
        self.ids.push(id);
        self.offsets.push(range);
    }
}

impl Tokenizer {
    /// The ids of `text`. Adds no special tokens, and takes text that looks like one (`<|endoftext|>`) as plain text.
    ///
    /// # Errors
    /// [`TokenizeError::Text`] if the library refuses the text. Never for byte-level BPE or characters, whose unknown
    /// characters are left out and listed in [`Encoding::unknown`].
    pub fn encode(&self, text: &str) -> Result<Encoding, TokenizeError> {
        let mut encoding = Encoding::default();
        self.encode_plain(text, 0, &mut encoding)?;
        finish(&mut encoding);
        Ok(encoding)
    }

    /// As [`encode`](Self::encode), but special tokens written in `text` become their ids. For text of our own making,
    /// such as a chat template, never for what somebody typed.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_with_specials(&self, text: &str) -> Result<Encoding, TokenizeError> {
        let mut encoding = Encoding::default();
        if self.kind() == Kind::Other || !self.takes_text_as_is() {
            self.encode_marked(text, &mut encoding)?;
        } else {
            for (range, id) in self.split_at_added(text)? {
                match id {
                    Some(id) => encoding.push(id, range),
                    None => self.encode_plain(&text[range.clone()], range.start, &mut encoding)?,
                }
            }
        }
        finish(&mut encoding);
        Ok(encoding)
    }

    /// Cuts `text` into ranges whose [`encode`](Self::encode)d ids, one after the other, are those of
    /// the whole, so that a long text can be worked on in parallel. One range where the tokenizer's
    /// tokens may depend on what stands far before them.
    pub fn pieces<'a>(&self, text: &'a str) -> impl Iterator<Item = Range<usize>> + use<'a> {
        let independent = self.cuts_at_words() || self.kind() == Kind::Characters;
        pieces(text, if independent { PIECE } else { text.len() })
    }

    /// Cuts `text` around its added tokens, as the library does: ranges in order, those of added tokens with their id.
    /// A token that strips the white space beside it covers that as well.
    fn split_at_added(&self, text: &str) -> Result<Vec<Segment>, TokenizeError> {
        let normalizer = self.library().get_normalizer();
        guard(|| {
            let cut = self.recognising().extract_and_normalize(normalizer, text);
            let splits = cut.get_splits(OffsetReferential::Original, OffsetType::Byte);
            let segment =
                |(_, (start, end), tokens): (&str, (usize, usize), &Option<Vec<Token>>)| {
                    let id = tokens.as_ref().and_then(|tokens| tokens.first());
                    (start..end, id.map(|token| token.id))
                };
            Ok(splits.into_iter().map(segment).collect())
        })
        .map_err(TokenizeError::Text)
    }

    /// Appends the ids of `text`, which lies at byte `from` of the whole.
    fn encode_plain(
        &self,
        text: &str,
        from: usize,
        encoding: &mut Encoding,
    ) -> Result<(), TokenizeError> {
        match self.kind() {
            _ if text.is_empty() => Ok(()),
            Kind::Characters => {
                self.encode_characters(text, from, encoding);
                Ok(())
            }
            Kind::ByteLevelBpe => self.pieces(text).try_for_each(|piece| {
                self.encode_bytes(&text[piece.clone()], from + piece.start, encoding)
            }),
            Kind::Other => self.encode_by_library(text, from, encoding),
        }
    }

    /// One look-up per character: the library would refuse a text with a single unknown one.
    fn encode_characters(&self, text: &str, from: usize, encoding: &mut Encoding) {
        for (at, character) in text.char_indices() {
            match self.character_id(character) {
                Some(id) => encoding.push(id, from + at..from + at + character.len_utf8()),
                None => encoding.unknown.push(character),
            }
        }
    }

    /// Ids by the library, ranges by the tokens' own bytes.
    fn encode_bytes(
        &self,
        text: &str,
        from: usize,
        encoding: &mut Encoding,
    ) -> Result<(), TokenizeError> {
        let found =
            guard(|| self.library().encode_fast(text, false)).map_err(TokenizeError::Text)?;
        let ids = found.get_ids();
        let written = ids.iter().flat_map(|&id| self.token_bytes(id)).copied();
        let spaced = self.adds_space() && !text.starts_with(' ');
        let expected = spaced.then_some(b' ').into_iter().chain(text.bytes());
        if !written.eq(expected) {
            return self.encode_by_library(text, from, encoding);
        }
        // Where the library set a space before the text, the first token's range begins one byte early.
        let mut end = usize::from(!spaced);
        for &id in ids {
            let start = end;
            end += self.token_bytes(id).len();
            encoding.push(id, from + start.saturating_sub(1)..from + end - 1);
        }
        Ok(())
    }

    /// Ids and ranges by the library, which leaves special tokens alone.
    fn encode_by_library(
        &self,
        text: &str,
        from: usize,
        encoding: &mut Encoding,
    ) -> Result<(), TokenizeError> {
        let found = guard(|| self.library().encode(text, false)).map_err(TokenizeError::Text)?;
        self.take(text, from, &found, encoding);
        Ok(())
    }

    /// The library's own way from text to ids, but with special tokens recognised. Where a token's neighbours matter (the
    /// first word of a text may be written otherwise than the first after a special token) only the whole will do.
    fn encode_marked(&self, text: &str, encoding: &mut Encoding) -> Result<(), TokenizeError> {
        let library = self.library();
        let found = guard(|| {
            let normalizer = library.get_normalizer();
            let mut cut = self.recognising().extract_and_normalize(normalizer, text);
            if let Some(pre_tokenizer) = library.get_pre_tokenizer() {
                pre_tokenizer.pre_tokenize(&mut cut)?;
            }
            library
                .get_model()
                .tokenize_in_pretokenized(&mut cut, None)?;
            cut.into_encoding(None, 0, OffsetType::Byte)
        });
        self.take(text, 0, &found.map_err(TokenizeError::Text)?, encoding);
        Ok(())
    }

    /// Appends what the library `found`; unknown is what gave the unknown token, or nothing at all.
    fn take(&self, text: &str, from: usize, found: &tokenizers::Encoding, into: &mut Encoding) {
        let mut covered = 0;
        for (&id, &(start, end)) in found.get_ids().iter().zip(found.get_offsets()) {
            if start > covered {
                dropped(text, covered..start, &mut into.unknown);
            }
            if Some(id) == self.unknown_id() {
                dropped(text, start..end, &mut into.unknown);
            }
            covered = covered.max(end);
            into.push(id, from + start..from + end);
        }
        dropped(text, covered..text.len(), &mut into.unknown);
    }
}

/// White space between tokens is no loss: most tokenizers leave it out.
fn dropped(text: &str, range: Range<usize>, unknown: &mut Vec<char>) {
    let characters = text.get(range).unwrap_or_default().chars();
    unknown.extend(characters.filter(|character| !character.is_whitespace()));
}

fn finish(encoding: &mut Encoding) {
    if !encoding.unknown.is_empty() {
        let unique: BTreeSet<char> = encoding.unknown.drain(..).collect();
        encoding.unknown.extend(unique);
    }
}

/// Cuts `text` into pieces of at least `least` bytes (but the last) where GPT-2's pattern would cut as well, so that the
/// pieces' tokens are those of the whole: before a single space, or after a single newline, between two words.
pub(crate) fn pieces(text: &str, least: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        let end = cut_after(text, start + least);
        let piece = start..end;
        start = end;
        (!piece.is_empty()).then_some(piece)
    })
}

fn cut_after(text: &str, from: usize) -> usize {
    let is_word =
        |character: Option<char>| character.is_some_and(|character| !character.is_whitespace());
    let bytes = text.as_bytes();
    let blanks = (from..text.len()).filter(|&at| matches!(bytes[at], b' ' | b'\n'));
    let mut alone = blanks.filter(|&at| {
        is_word(text[..at].chars().next_back()) && is_word(text[at + 1..].chars().next())
    });
    alone
        .next()
        .map_or(text.len(), |at| at + usize::from(bytes[at] == b'\n'))
}
