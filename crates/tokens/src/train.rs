//! Learning a vocabulary.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use serde_json::{Map, json};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::utils::parallelism::set_parallelism;
use tokenizers::{
    AddedToken, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, Trainer,
};

use crate::bytes::character_of;
use crate::encode::pieces;
use crate::error::{TokenizeError, guard};
use crate::tokenizer::Tokenizer;

/// The token set after every text, GPT-2's name for it.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// The pattern by which a character tokenizer cuts: any character, line ends too.
pub(crate) const ONE_CHARACTER: &str = "(?s).";

/// Bytes handed to the library at a time while learning.
const PIECE: usize = 1 << 14;

impl Tokenizer {
    /// Learns byte-level BPE as GPT-2 has it: its pattern, all 256 bytes, no space set before the
    /// text, and [`END_OF_TEXT`] as id 0. A pair must occur twice to be merged, so a small corpus may
    /// give fewer than `vocab_size` ids. The result depends on the documents alone.
    ///
    /// Runs on the rayon pool it is called in (`pool.install(…)`), outside of one on this thread.
    ///
    /// # Errors
    /// [`TokenizeError::VocabularyTooSmall`] below 257 ids, [`TokenizeError::NoText`] without text.
    pub fn train_bpe(
        documents: impl Iterator<Item = String> + Send,
        vocab_size: usize,
    ) -> Result<Self, TokenizeError> {
        let least = 256 + 1;
        if vocab_size < least {
            return Err(TokenizeError::VocabularyTooSmall {
                asked: vocab_size,
                least,
            });
        }
        let end_of_text = AddedToken::from(END_OF_TEXT, true);
        let mut trainer = BpeTrainer::builder()
            .vocab_size(vocab_size)
            .min_frequency(2)
            .show_progress(false)
            .initial_alphabet((0..=255).map(character_of).collect::<HashSet<_>>())
            .special_tokens(vec![end_of_text.clone()])
            .build();
        let byte_level = ByteLevel::new(false, true, true);
        set_parallelism(rayon::current_thread_index().is_some());
        let texts = documents.flat_map(Pieces::new);
        guard(|| trainer.feed(texts, |text| words(byte_level, text)))
            .map_err(TokenizeError::Train)?;
        if trainer.get_word_count() == 0 {
            return Err(TokenizeError::NoText);
        }
        // The merges go one by one: sharing out each of them costs more than it gains.
        set_parallelism(false);
        let mut model = BPE::default();
        guard(|| trainer.train(&mut model)).map_err(TokenizeError::Train)?;

        let mut library = tokenizers::Tokenizer::new(model);
        library
            .with_pre_tokenizer(Some(byte_level))
            .with_decoder(Some(byte_level));
        let json = guard(|| {
            library.add_special_tokens([end_of_text])?;
            library.to_string(false)
        });
        Self::from_json(json.map_err(TokenizeError::Train)?.as_bytes())
    }

    /// A character vocabulary, as in nanoGPT's `data/shakespeare_char/prepare.py`: the distinct
    /// characters in order of their code, each a token, and no other token.
    ///
    /// # Errors
    /// [`TokenizeError::NoText`] without text.
    pub fn characters(documents: impl Iterator<Item = String>) -> Result<Self, TokenizeError> {
        let mut characters = BTreeSet::new();
        for document in documents {
            characters.extend(document.chars());
        }
        if characters.is_empty() {
            return Err(TokenizeError::NoText);
        }
        let numbered = characters.iter().zip(0u32..);
        let vocab: Map<_, _> = numbered
            .map(|(entry, id)| (entry.to_string(), id.into()))
            .collect();
        let file = json!({
            "version": "1.0",
            "added_tokens": [],
            "pre_tokenizer": {
                "type": "Split",
                "pattern": { "Regex": ONE_CHARACTER },
                "behavior": "Isolated",
                "invert": false,
            },
            "decoder": { "type": "Fuse" },
            // The library asks for the name of an unknown token, but not that there be one.
            "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "" },
        });
        Self::from_json(file.to_string().as_bytes())
    }
}

/// The words of `text`, each byte written as its stand-in.
fn words(byte_level: ByteLevel, text: &str) -> tokenizers::Result<Vec<String>> {
    let mut cut = PreTokenizedString::from(text);
    byte_level.pre_tokenize(&mut cut)?;
    let splits = cut.get_splits(OffsetReferential::Original, OffsetType::None);
    Ok(splits
        .into_iter()
        .map(|(word, _, _)| word.to_owned())
        .collect())
}

/// A document in pieces: the library needs many times a text's size in memory.
struct Pieces {
    document: String,
    ranges: std::vec::IntoIter<Range<usize>>,
}

impl Pieces {
    fn new(document: String) -> Self {
        let ranges = pieces(&document, PIECE).collect::<Vec<_>>().into_iter();
        Self { document, ranges }
    }
}

impl Iterator for Pieces {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.ranges
            .next()
            .map(|range| self.document[range].to_owned())
    }
}
