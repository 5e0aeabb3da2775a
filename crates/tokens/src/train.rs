//! Learning a vocabulary.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use serde_json::{Map, json};
use tokenizers::decoders::sequence::Sequence;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::Lowercase;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::utils::parallelism::set_parallelism;
use tokenizers::{
    AddedToken, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer, Trainer,
};

use crate::bytes::character_of;
use crate::encode::pieces;
use crate::error::{TokenizeError, guard};
use crate::tokenizer::Tokenizer;

/// The token set after every text, GPT-2's name for it.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// What fills up, and with which a model that translates begins to write: the name in T5 and Marian.
pub const PAD: &str = "<pad>";

/// Ends each text of a model that translates: the name in T5, Marian and BART.
pub const END: &str = "</s>";

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
        let shape = Shape {
            specials: &[END_OF_TEXT],
            adds_space: false,
            lowercase: false,
            end: None,
        };
        learn(documents, vocab_size, &shape)
    }

    /// Learns byte-level BPE for a model that reads one text and writes another: [`PAD`] as id 0, with which the model
    /// begins to write, and [`END`] as id 1, set after every text, as T5 has them. A space is set before each text, so that a
    /// word is the same token wherever it stands; with `lowercase` all letters are read as small ones.
    ///
    /// # Errors
    /// As [`train_bpe`](Self::train_bpe), of which the least is 258 ids.
    pub fn train_translation_bpe(
        documents: impl Iterator<Item = String> + Send,
        vocab_size: usize,
        lowercase: bool,
    ) -> Result<Self, TokenizeError> {
        let shape = Shape {
            specials: &[PAD, END],
            adds_space: true,
            lowercase,
            end: Some((END, 1)),
        };
        learn(documents, vocab_size, &shape)
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

/// What a learned byte-level vocabulary has beside its merges.
struct Shape<'a> {
    /// From id 0 on.
    specials: &'a [&'a str],
    /// Whether a space is set before a text that does not begin with one.
    adds_space: bool,
    /// Whether texts are read in small letters.
    lowercase: bool,
    /// The token set after every text, and its id.
    end: Option<(&'a str, u32)>,
}

/// Byte-level BPE of this shape.
fn learn(
    documents: impl Iterator<Item = String> + Send,
    vocab_size: usize,
    shape: &Shape<'_>,
) -> Result<Tokenizer, TokenizeError> {
    let least = 256 + shape.specials.len();
    if vocab_size < least {
        return Err(TokenizeError::VocabularyTooSmall {
            asked: vocab_size,
            least,
        });
    }
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocab_size)
        .min_frequency(2)
        .show_progress(false)
        .initial_alphabet((0..=255).map(character_of).collect::<HashSet<_>>())
        .special_tokens(shape.special_tokens())
        .build();
    let byte_level = ByteLevel::new(shape.adds_space, true, true);
    set_parallelism(rayon::current_thread_index().is_some());
    let texts = documents.flat_map(Pieces::new);
    guard(|| {
        trainer.feed(texts, |text| {
            if shape.lowercase {
                return words(byte_level, &small_letters(text)?);
            }
            words(byte_level, text)
        })
    })
    .map_err(TokenizeError::Train)?;
    if trainer.get_word_count() == 0 {
        return Err(TokenizeError::NoText);
    }
    // The merges go one by one: sharing out each of them costs more than it gains.
    set_parallelism(false);
    let mut model = BPE::default();
    guard(|| trainer.train(&mut model)).map_err(TokenizeError::Train)?;
    let json = guard(|| shape.around(model, byte_level)?.to_string(false));
    Tokenizer::from_json(json.map_err(TokenizeError::Train)?.as_bytes())
}

impl Shape<'_> {
    fn special_tokens(&self) -> Vec<AddedToken> {
        let names = self.specials.iter();
        names.map(|&name| AddedToken::from(name, true)).collect()
    }

    /// The tokenizer around what was learned.
    fn around(
        &self,
        model: BPE,
        byte_level: ByteLevel,
    ) -> tokenizers::Result<tokenizers::Tokenizer> {
        let mut library = tokenizers::Tokenizer::new(model);
        library.with_pre_tokenizer(Some(byte_level));
        if self.adds_space {
            // The space before a text is none of the text.
            let steps = vec![byte_level.into(), Strip::new(' ', 1, 0).into()];
            library.with_decoder(Some(Sequence::new(steps)));
        } else {
            library.with_decoder(Some(byte_level));
        }
        if self.lowercase {
            library.with_normalizer(Some(Lowercase))?;
        }
        library.add_special_tokens(self.special_tokens())?;
        if let Some((name, id)) = self.end {
            let template = TemplateProcessing::builder()
                .try_single(format!("$A {name}"))?
                .try_pair(format!("$A {name} $B:1 {name}:1"))?
                .special_tokens(vec![(name, id)])
                .build()?;
            library.with_post_processor(Some(template));
        }
        Ok(library)
    }
}

/// The text as the library's own `Lowercase` writes it.
fn small_letters(text: &str) -> tokenizers::Result<String> {
    let mut normalized = NormalizedString::from(text);
    Lowercase.normalize(&mut normalized)?;
    Ok(normalized.get().to_owned())
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
