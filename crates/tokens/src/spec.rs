//! What a `tokenizer.json` says, read beside the library.
//!
//! Two reasons to look for ourselves: the library keeps merges to itself, and it panics on merges that
//! its vocabulary does not hold. What passes here is safe to hand on.

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::added::Added;
use crate::error::TokenizeError;
use crate::merges::Merge;

/// Ids at or above this are no vocabulary but damage: they would make the tables huge.
const MOST_IDS: u64 = 1 << 24;

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
    /// Reads and checks `file`, whose `added` tokens have been read before.
    pub(crate) fn read(file: &Map<String, Value>, added: &[Added]) -> Result<Self, TokenizeError> {
        let model = file
            .get("model")
            .and_then(Value::as_object)
            .ok_or_else(|| TokenizeError::Json("it has no \"model\"".into()))?;
        let vocab = vocabulary(model)?;
        let merges = merges(model, &vocab)?;
        let kind = kind(file, model, &vocab);
        let listed = model.get("vocab").and_then(Value::as_array).map(Vec::len);
        let own = vocab.values().map(|&id| id as usize + 1).max();
        let extra = added.iter().map(|token| token.id as usize + 1).max();
        Ok(Self {
            kind,
            merges,
            cuts_at_words: kind == Kind::ByteLevelBpe && cuts_at_words(file),
            adds_space: file.get("pre_tokenizer").is_some_and(adds_space),
            unknown: unknown(model, &vocab),
            takes_text_as_is: file.get("normalizer").is_none_or(Value::is_null),
            size: listed.max(own).max(extra).unwrap_or_default(),
        })
    }
}

pub(crate) fn malformed(part: &'static str, why: impl Into<String>) -> TokenizeError {
    TokenizeError::Malformed {
        part,
        why: why.into(),
    }
}

/// Entry → id. Unigram keeps a list of scores instead, which the library checks.
fn vocabulary(model: &Map<String, Value>) -> Result<HashMap<&str, u32>, TokenizeError> {
    let entries = match model.get("vocab") {
        Some(Value::Object(entries)) => entries,
        Some(Value::Array(_)) => return Ok(HashMap::new()),
        _ => return Err(malformed("model.vocab", "it is missing")),
    };
    let mut seen = Vec::new();
    let mut vocab = HashMap::with_capacity(entries.len());
    for (entry, id) in entries {
        let known = id_of(id).ok_or_else(|| {
            malformed(
                "model.vocab",
                format!("entry {entry:?} has the id {id}, which is no id"),
            )
        })?;
        let at = known as usize;
        if seen.len() <= at {
            seen.resize(at + 1, false);
        }
        if std::mem::replace(&mut seen[at], true) {
            return Err(malformed(
                "model.vocab",
                format!("id {id} is given to two entries, one of them {entry:?}"),
            ));
        }
        vocab.insert(entry.as_str(), known);
    }
    Ok(vocab)
}

/// `value` as an id, if it is one.
pub(crate) fn id_of(value: &Value) -> Option<u32> {
    let id = value.as_u64().filter(|&id| id < MOST_IDS)?;
    Some(id as u32)
}

/// The two halves of a line of the merge list, which is `"a b"` or `["a", "b"]`.
pub(crate) fn halves(merge: &Value) -> Option<(&str, &str)> {
    match merge {
        Value::String(pair) => pair
            .split_once(' ')
            .filter(|(_, right)| !right.contains(' ')),
        Value::Array(pair) => match pair.as_slice() {
            [Value::String(left), Value::String(right)] => Some((left, right)),
            _ => None,
        },
        _ => None,
    }
}

/// Old files begin their merge list with a line that is none: `#version: 0.2`.
pub(crate) fn is_version(merge: &Value) -> bool {
    merge
        .as_str()
        .is_some_and(|line| line.starts_with("#version"))
}

fn merges(
    model: &Map<String, Value>,
    vocab: &HashMap<&str, u32>,
) -> Result<Vec<Merge>, TokenizeError> {
    let Some(list) = model.get("merges") else {
        return Ok(Vec::new());
    };
    let list = list
        .as_array()
        .ok_or_else(|| malformed("model.merges", "it is no list"))?;
    let prefix = model
        .get("continuing_subword_prefix")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut merges = Vec::with_capacity(list.len());
    for (line, merge) in list.iter().enumerate() {
        if is_version(merge) {
            continue;
        }
        let (left, right) = halves(merge)
            .ok_or_else(|| malformed("model.merges", format!("number {line} is no pair")))?;
        let tail = right.strip_prefix(prefix).ok_or_else(|| {
            malformed(
                "model.merges",
                format!("number {line}: {right:?} lacks the prefix {prefix:?}"),
            )
        })?;
        let id = |entry: &str| {
            vocab.get(entry).copied().ok_or_else(|| {
                malformed(
                    "model.merges",
                    format!("number {line} uses {entry:?}, which the vocabulary does not hold"),
                )
            })
        };
        let rank = merges.len() as u32;
        merges.push(Merge {
            left: id(left)?,
            right: id(right)?,
            rank,
            merged: id(&format!("{left}{tail}"))?,
        });
    }
    Ok(merges)
}

fn unknown(model: &Map<String, Value>, vocab: &HashMap<&str, u32>) -> Option<u32> {
    let by_name = model
        .get("unk_token")
        .and_then(Value::as_str)
        .and_then(|name| vocab.get(name).copied());
    by_name.or_else(|| model.get("unk_id")?.as_u64().map(|id| id as u32))
}

fn kind(file: &Map<String, Value>, model: &Map<String, Value>, vocab: &HashMap<&str, u32>) -> Kind {
    let part = |name: &str| file.get(name).unwrap_or(&Value::Null);
    let plain = ["continuing_subword_prefix", "end_of_word_suffix"]
        .iter()
        .all(|name| {
            model
                .get(*name)
                .and_then(Value::as_str)
                .is_none_or(str::is_empty)
        });
    if model.contains_key("merges") {
        let byte_level = ["normalizer", "pre_tokenizer", "decoder"]
            .iter()
            .any(|name| uses_bytes(part(name)));
        return if byte_level && plain {
            Kind::ByteLevelBpe
        } else {
            Kind::Other
        };
    }
    let one_each = part("pre_tokenizer")
        .get("pattern")
        .and_then(|pattern| pattern.get("Regex"));
    let whole = part("decoder").get("type").and_then(Value::as_str) == Some("Fuse");
    let single = vocab.keys().all(|entry| entry.chars().count() == 1);
    let is_characters = model.get("type").and_then(Value::as_str) == Some("WordLevel")
        && one_each.and_then(Value::as_str) == Some(crate::train::ONE_CHARACTER)
        && whole
        && single
        && part("normalizer").is_null()
        && !adds_plain_tokens(file);
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
