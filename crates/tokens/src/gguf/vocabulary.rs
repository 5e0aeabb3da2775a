//! What a GGUF file says about its tokenizer, as plain data.

use std::borrow::Cow;

use tokenizers::models::bpe::Vocab;

use super::unusable;
use crate::error::TokenizeError;

/// Kinds of tokens, as `tokenizer.ggml.token_type` numbers them.
pub(crate) const NORMAL: i32 = 1;
pub(crate) const UNKNOWN: i32 = 2;
pub(crate) const CONTROL: i32 = 3;
pub(super) const USER_DEFINED: i32 = 4;
pub(super) const UNUSED: i32 = 5;
pub(crate) const BYTE: i32 = 6;

/// The tokenizer's part of a GGUF file's metadata, each field under the key that its comment names (`tokenizer.ggml.` before
/// it). What the file does not say stays empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GgufVocabulary {
    /// `model`: `gpt2`, `llama` or `bert`.
    pub model: String,
    /// `pre`: which pattern cuts text into words before byte-level BPE.
    pub pre: Option<String>,
    /// `tokens`: the entry of each id.
    pub tokens: Vec<String>,
    /// `scores`: how likely each entry is; for SentencePiece.
    pub scores: Vec<f32>,
    /// `token_type`: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    pub token_types: Vec<i32>,
    /// `merges`: pairs of entries with a space between them, the first to be joined first; for BPE.
    pub merges: Vec<String>,
    /// `bos_token_id`: begins a text.
    pub bos: Option<u32>,
    /// `eos_token_id`: ends a text, or what a model trained for conversations says.
    pub eos: Option<u32>,
    /// `eot_token_id`: ends a turn.
    pub eot: Option<u32>,
    /// `eom_token_id`: ends a message that waits for a tool's answer.
    pub eom: Option<u32>,
    /// `unknown_token_id`: stands for what the vocabulary does not know.
    pub unknown: Option<u32>,
    /// `seperator_token_id` (the format's spelling): stands between two texts.
    pub separator: Option<u32>,
    /// `padding_token_id`: fills short texts up; not used here.
    pub padding: Option<u32>,
    /// `cls_token_id`: BERT's first token, in files that do not give it as `bos_token_id`.
    pub cls: Option<u32>,
    /// `mask_token_id`: stands for a word to be guessed.
    pub mask: Option<u32>,
    /// `add_bos_token`: is `bos` set before texts?
    pub add_bos: Option<bool>,
    /// `add_eos_token`: is `eos` set after texts?
    pub add_eos: Option<bool>,
    /// `add_sep_token`: is `separator` set between two texts?
    pub add_separator: Option<bool>,
    /// `add_space_prefix`: is a space set before texts?
    pub add_space_prefix: Option<bool>,
    /// `normalizer.lowercase`: does WordPiece put text in lower case?
    pub lowercase: Option<bool>,
    /// `normalizer.strip_accents`: does WordPiece take accents away?
    pub strip_accents: Option<bool>,
}

impl GgufVocabulary {
    /// Do the lists fit together, and are the ids ids?
    pub(super) fn check(&self) -> Result<(), TokenizeError> {
        let size = self.tokens.len();
        if size == 0 {
            return Err(unusable("tokenizer.ggml.tokens", "it is missing or empty"));
        }
        for (part, length) in [
            ("tokenizer.ggml.token_type", self.token_types.len()),
            ("tokenizer.ggml.scores", self.scores.len()),
        ] {
            if length != 0 && length != size {
                let why = format!("it has {length} numbers for {size} tokens");
                return Err(unusable(part, why));
            }
        }
        for (part, id) in [
            ("tokenizer.ggml.bos_token_id", self.bos),
            ("tokenizer.ggml.eos_token_id", self.eos),
            ("tokenizer.ggml.eot_token_id", self.eot),
            ("tokenizer.ggml.eom_token_id", self.eom),
            ("tokenizer.ggml.unknown_token_id", self.unknown),
            ("tokenizer.ggml.seperator_token_id", self.separator),
            ("tokenizer.ggml.cls_token_id", self.cls),
            ("tokenizer.ggml.mask_token_id", self.mask),
        ] {
            if let Some(id) = id.filter(|&id| id as usize >= size) {
                let why = format!("{id} is no id, there are {size} tokens");
                return Err(unusable(part, why));
            }
        }
        Ok(())
    }

    /// The entry of `id`. Empty ones cannot be told apart by name, so they are given one.
    pub(super) fn entry(&self, id: u32) -> Cow<'_, str> {
        match self.tokens[id as usize].as_str() {
            "" => format!("[EMPTY_{id}]").into(),
            entry => entry.into(),
        }
    }

    fn type_of(&self, id: u32) -> i32 {
        self.token_types.get(id as usize).copied().unwrap_or(NORMAL)
    }

    /// Ids of the entries that are found in text before anything else is, and whether they are special: these stand for no
    /// text, and are left alone where somebody typed them.
    pub(super) fn added(&self) -> impl Iterator<Item = (u32, bool)> {
        let named = [
            self.bos,
            self.eos,
            self.eot,
            self.eom,
            self.unknown,
            self.separator,
            self.cls,
            self.mask,
        ];
        (0..self.tokens.len() as u32).filter_map(move |id| match self.type_of(id) {
            UNKNOWN | CONTROL => Some((id, true)),
            _ if named.contains(&Some(id)) => Some((id, true)),
            USER_DEFINED => Some((id, false)),
            _ => None,
        })
    }

    /// Can `id` come out of merging letters? Names of special tokens and of bytes cannot.
    pub(super) fn is_word(&self, id: u32) -> bool {
        !matches!(self.type_of(id), UNKNOWN | CONTROL | BYTE)
    }

    /// Entry → id.
    pub(super) fn ids(&self) -> Result<Vocab, TokenizeError> {
        let mut ids = Vocab::default();
        ids.reserve(self.tokens.len());
        for id in 0..self.tokens.len() as u32 {
            let entry = self.entry(id);
            if let Some(first) = ids.insert(entry.to_string(), id) {
                let why = format!("{entry:?} is listed twice, as ids {first} and {id}");
                return Err(unusable("tokenizer.ggml.tokens", why));
            }
        }
        Ok(ids)
    }
}
