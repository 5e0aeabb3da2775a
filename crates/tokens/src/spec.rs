//! What a `tokenizer.json` says, read beside the library.
//!
//! Two reasons to look for ourselves: the library keeps merges to itself, and it panics on merges that
//! its vocabulary does not hold. What passes here is safe to hand on.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::added::Added;
use crate::error::TokenizeError;
use crate::file::{File, Vocabulary, id_of, malformed};
use crate::growth;
use crate::merges::Merge;

/// Ids without an entry that any vocabulary may have. Tables are as long as the highest id says.
const MOST_HOLES: usize = 1 << 16;

/// How a tokenizer cuts text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Bytes, merged into pairs again and again (GPT-2, Llama 3, Qwen and what is trained here).
    ByteLevelBpe,
    /// Each character is a token (nanoGPT's character recipe).
    Characters,
    /// Anything else the library reads: WordPiece, Unigram, SentencePiece-like BPE.
    Other,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByteLevelBpe => "byte-level BPE",
            Self::Characters => "characters",
            Self::Other => "other",
        })
    }
}

/// The parts of a `tokenizer.json` that this crate needs.
pub(crate) struct Spec {
    pub(crate) kind: Kind,
    /// In the file's order: `merges[rank]`.
    pub(crate) merges: Vec<Merge>,
    /// Text may be cut between words without changing its tokens (see `encode::pieces`).
    pub(crate) cuts_at_words: bool,
    /// A space is set before a text that does not begin with one.
    pub(crate) adds_space: bool,
    /// The token for what the vocabulary does not know.
    pub(crate) unknown: Option<u32>,
    /// The normalizer leaves texts as they are.
    pub(crate) takes_text_as_is: bool,
    /// One more than the highest id, added tokens included.
    pub(crate) size: usize,
}

impl Spec {
    /// Reads and checks `file`, whose `added` tokens have been put in their places before.
    pub(crate) fn read(file: &File, added: &[Added]) -> Result<Self, TokenizeError> {
        let listed = match &file.vocabulary {
            Vocabulary::Listed(list) => list.len(),
            Vocabulary::Named(_) => 0,
        };
        let own = unique_ids(&file.vocabulary)?;
        let extra = added.iter().map(|token| token.id as usize + 1).max();
        let kind = kind(file);
        let part = |name: &str| file.parts.get(name);
        for name in ["normalizer", "decoder"] {
            if part(name).is_some_and(growth::is_excessive) {
                return Err(malformed(name, "it makes texts thousands of times longer"));
            }
        }
        let size = listed.max(own).max(extra.unwrap_or_default());
        let count = listed + file.vocabulary.named().count() + added.len();
        if size > 2 * count + MOST_HOLES {
            let why = format!(
                "the highest id is {}, but there are {count} entries",
                size - 1
            );
            return Err(malformed("model.vocab", why));
        }
        Ok(Self {
            kind,
            merges: merges(file)?,
            cuts_at_words: kind == Kind::ByteLevelBpe && cuts_at_words(&file.parts),
            adds_space: part("pre_tokenizer").is_some_and(adds_space),
            unknown: unknown(file),
            takes_text_as_is: part("normalizer").is_none_or(Value::is_null),
            size,
        })
    }
}

/// No id may mean two entries. Gives one more than the highest.
fn unique_ids(vocabulary: &Vocabulary) -> Result<usize, TokenizeError> {
    let mut seen = Vec::new();
    for (entry, id) in vocabulary.named() {
        let at = id as usize;
        if seen.len() <= at {
            seen.resize(at + 1, false);
        }
        if std::mem::replace(&mut seen[at], true) {
            let why = format!("id {id} is given to two entries, one of them {entry:?}");
            return Err(malformed("model.vocab", why));
        }
    }
    Ok(seen.len())
}

fn merges(file: &File) -> Result<Vec<Merge>, TokenizeError> {
    let Some(list) = &file.merges else {
        return Ok(Vec::new());
    };
    let prefix = file.model.get("continuing_subword_prefix");
    let prefix = prefix.and_then(Value::as_str).unwrap_or_default();
    let mut merges = Vec::with_capacity(list.len());
    let mut merged = String::new();
    for (number, (left, right)) in list.iter().enumerate() {
        let tail = right.strip_prefix(prefix).ok_or_else(|| {
            let why = format!("number {number}: {right:?} lacks the prefix {prefix:?}");
            malformed("model.merges", why)
        })?;
        let id = |entry: &str| {
            file.vocabulary.id_of(entry).ok_or_else(|| {
                let why =
                    format!("number {number} uses {entry:?}, which the vocabulary does not hold");
                malformed("model.merges", why)
            })
        };
        merged.clear();
        merged.push_str(left);
        merged.push_str(tail);
        merges.push(Merge {
            left: id(left)?,
            right: id(right)?,
            rank: number as u32,
            merged: id(&merged)?,
        });
    }
    Ok(merges)
}

fn unknown(file: &File) -> Option<u32> {
    let name = file.model.get("unk_token").and_then(Value::as_str);
    let by_name = name.and_then(|name| file.vocabulary.id_of(name));
    by_name.or_else(|| file.model.get("unk_id").and_then(id_of))
}

fn kind(file: &File) -> Kind {
    let part = |name: &str| file.parts.get(name).unwrap_or(&Value::Null);
    let is_empty = |name: &&str| {
        let affix = file.model.get(*name).and_then(Value::as_str);
        affix.is_none_or(str::is_empty)
    };
    if file.merges.is_some() {
        let mut steps = ["normalizer", "pre_tokenizer", "decoder"].iter();
        let byte_level = steps.any(|name| uses_bytes(part(name)));
        let plain = ["continuing_subword_prefix", "end_of_word_suffix"]
            .iter()
            .all(is_empty);
        return if byte_level && plain {
            Kind::ByteLevelBpe
        } else {
            Kind::Other
        };
    }
    let pattern = part("pre_tokenizer").get("pattern");
    let one_each = pattern.and_then(|pattern| pattern.get("Regex")?.as_str());
    let whole = part("decoder").get("type").and_then(Value::as_str) == Some("Fuse");
    let is_characters = file.model.get("type").and_then(Value::as_str) == Some("WordLevel")
        && one_each == Some(crate::train::ONE_CHARACTER)
        && whole
        && file
            .vocabulary
            .named()
            .all(|(entry, _)| entry.chars().count() == 1)
        && part("normalizer").is_null()
        && !adds_plain_tokens(&file.parts);
    if is_characters {
        Kind::Characters
    } else {
        Kind::Other
    }
}

/// Is `part`, or one of the steps it is made of, the byte-level one?
fn uses_bytes(part: &Value) -> bool {
    let is_byte_level = part.get("type").and_then(Value::as_str) == Some("ByteLevel");
    is_byte_level || steps(part).iter().any(uses_bytes)
}

fn adds_space(part: &Value) -> bool {
    let here = part.get("type").and_then(Value::as_str) == Some("ByteLevel")
        && part.get("add_prefix_space") != Some(&Value::Bool(false));
    here || steps(part).iter().any(adds_space)
}

fn steps(part: &Value) -> &[Value] {
    let lists = ["pretokenizers", "decoders", "normalizers"];
    lists
        .iter()
        .find_map(|list| part.get(list)?.as_array())
        .map_or(&[], Vec::as_slice)
}

/// Added tokens that are not special are found in any text, so they may lie across a cut.
fn adds_plain_tokens(file: &Map<String, Value>) -> bool {
    let added = file.get("added_tokens").and_then(Value::as_array);
    added.is_some_and(|list| {
        list.iter()
            .any(|token| token.get("special") != Some(&Value::Bool(true)))
    })
}

/// GPT-2's pattern, alone or after splitting digits, and nothing that looks across words.
fn cuts_at_words(file: &Map<String, Value>) -> bool {
    let Some(pre_tokenizer) = file.get("pre_tokenizer") else {
        return false;
    };
    let is_gpt2 = |step: &Value| {
        step.get("type").and_then(Value::as_str) == Some("ByteLevel")
            && step.get("use_regex") != Some(&Value::Bool(false))
            && step.get("add_prefix_space") == Some(&Value::Bool(false))
    };
    let is_digits = |step: &Value| step.get("type").and_then(Value::as_str) == Some("Digits");
    let (last, before) = match steps(pre_tokenizer) {
        [] => (pre_tokenizer, &[][..]),
        [before @ .., last] => (last, before),
    };
    let no_normalizer = file.get("normalizer").is_none_or(Value::is_null);
    is_gpt2(last) && before.iter().all(is_digits) && no_normalizer && !adds_plain_tokens(file)
}
