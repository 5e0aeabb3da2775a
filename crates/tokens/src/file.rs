//! A `tokenizer.json` taken apart: the large lists by themselves, all else as it stands.
//!
//! Vocabularies have a hundred thousand entries and a program that answers at once has a few milliseconds, so these go
//! from the text into their final form without a detour.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use tokenizers::models::bpe::{Merges, Vocab};

use crate::error::{TokenizeError, one_line};

/// Ids at or above this are no vocabulary but damage: they would make the tables huge.
const MOST_IDS: u64 = 1 << 24;

/// The parts of a `tokenizer.json`.
#[derive(Debug, Default)]
pub(crate) struct File {
    /// The whole file but its model.
    pub(crate) parts: Map<String, Value>,
    /// The model's settings: all of it but vocabulary and merges.
    pub(crate) model: Map<String, Value>,
    pub(crate) vocabulary: Vocabulary,
    /// `None` where the model has no such list.
    pub(crate) merges: Option<Merges>,
}

/// What a model calls its `vocab`.
#[derive(Debug)]
pub(crate) enum Vocabulary {
    /// Entry → id.
    Named(Vocab),
    /// Unigram's `[entry, score]`, whose order gives the ids.
    Listed(Vec<Value>),
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl Vocabulary {
    /// Entries and ids of the model's own vocabulary; none where it is a list.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&str, u32)> {
        let entries = match self {
            Self::Named(entries) => Some(entries),
            Self::Listed(_) => None,
        };
        let entries = entries.into_iter().flat_map(|entries| entries.iter());
        entries.map(|(entry, id)| (entry.as_str(), *id))
    }

    pub(crate) fn id_of(&self, entry: &str) -> Option<u32> {
        match self {
            Self::Named(entries) => entries.get(entry).copied(),
            Self::Listed(_) => None,
        }
    }
}

impl File {
    /// Reads the text of a `tokenizer.json`.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, TokenizeError> {
        let no_json = |error: serde_json::Error| TokenizeError::Json(one_line(&error.to_string()));
        let mut file: Entries = serde_json::from_slice(json).map_err(no_json)?;
        let model = file.take("model");
        let model = model.ok_or_else(|| TokenizeError::Json("it has no \"model\"".into()))?;
        let Part::Entries(mut model) = model else {
            return Err(TokenizeError::Json("its \"model\" is no object".into()));
        };
        let vocabulary = vocabulary(model.take("vocab"))?;
        let merges = model.take("merges").map(merges).transpose()?;
        Ok(Self {
            parts: file.into_map(),
            model: model.into_map(),
            vocabulary,
            merges,
        })
    }
}

pub(crate) fn malformed(part: &'static str, why: impl Into<String>) -> TokenizeError {
    TokenizeError::Malformed {
        part,
        why: why.into(),
    }
}

/// `value` as an id, if it is one.
pub(crate) fn id_of(value: &Value) -> Option<u32> {
    let id = value.as_u64().filter(|&id| id < MOST_IDS)?;
    Some(id as u32)
}

fn vocabulary(part: Option<Part>) -> Result<Vocabulary, TokenizeError> {
    let entries = match part {
        Some(Part::Entries(Entries(entries))) => entries,
        Some(Part::Value(Value::Array(list))) => return Ok(Vocabulary::Listed(list)),
        _ => return Err(malformed("model.vocab", "it is missing")),
    };
    let mut vocab = Vocab::default();
    vocab.reserve(entries.len());
    for (entry, id) in entries {
        let id = id.into_value();
        let Some(id) = id_of(&id) else {
            let why = format!("entry {entry:?} has the id {id}, which is no id");
            return Err(malformed("model.vocab", why));
        };
        vocab.insert(entry, id);
    }
    Ok(Vocabulary::Named(vocab))
}

/// Each line is `"a b"` or `["a", "b"]`; old files begin with a line that is none, `#version: 0.2`.
fn merges(part: Part) -> Result<Merges, TokenizeError> {
    let Part::Value(Value::Array(list)) = part else {
        return Err(malformed("model.merges", "it is no list"));
    };
    let mut merges = Merges::with_capacity(list.len());
    for (number, line) in list.into_iter().enumerate() {
        let pair = match line {
            Value::String(version) if version.starts_with("#version") => continue,
            Value::String(line) => halves(&line),
            Value::Array(pair) => <[Value; 2]>::try_from(pair).ok().and_then(strings),
            _ => None,
        };
        let no_pair = || malformed("model.merges", format!("number {number} is no pair"));
        merges.push(pair.ok_or_else(no_pair)?);
    }
    Ok(merges)
}

/// The two halves of a merge written as one string, with a space between them.
pub(crate) fn halves(line: &str) -> Option<(String, String)> {
    let (left, right) = line.split_once(' ')?;
    (!right.contains(' ')).then(|| (left.to_owned(), right.to_owned()))
}

fn strings(pair: [Value; 2]) -> Option<(String, String)> {
    match pair {
        [Value::String(left), Value::String(right)] => Some((left, right)),
        _ => None,
    }
}

/// A JSON object in the file's order, its own objects likewise.
struct Entries(Vec<(String, Part)>);

enum Part {
    Entries(Entries),
    Value(Value),
}

impl Entries {
    /// Takes out what stands under `name`; of several the last, as is usual.
    fn take(&mut self, name: &str) -> Option<Part> {
        let at = self.0.iter().rposition(|(key, _)| key == name)?;
        let (_, part) = self.0.remove(at);
        self.0.retain(|(key, _)| key != name);
        Some(part)
    }

    fn into_map(self) -> Map<String, Value> {
        let parts = self.0.into_iter();
        parts
            .map(|(name, part)| (name, part.into_value()))
            .collect()
    }
}

impl Part {
    fn into_value(self) -> Value {
        match self {
            Self::Entries(entries) => Value::Object(entries.into_map()),
            Self::Value(value) => value,
        }
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor)
    }
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Part, A::Error> {
        EntriesVisitor.visit_map(map).map(Part::Entries)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Part, A::Error> {
        let mut list: Vec<Value> = Vec::new();
        while let Some(item) = seq.next_element()? {
            list.push(item);
        }
        Ok(Part::Value(list.into()))
    }

    fn visit_unit<E>(self) -> Result<Part, E> {
        Ok(Part::Value(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Part, E> {
        Ok(Part::Value(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Part, E> {
        Ok(Part::Value(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Part, E> {
        Ok(Part::Value(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Part, E> {
        Ok(Part::Value(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Part, E> {
        Ok(Part::Value(value.into()))
    }
}
