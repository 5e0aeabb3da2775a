//! The metadata of a file: what kind of model it is, its tokenizer, and whatever else somebody wrote down.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::value::{Array, Value};
use crate::WeightsError;

/// Values by key, with getters that say which key is wrong.
///
/// Writers differ in the width of their integers and floats, so any width will do where the value fits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// The file's name in messages.
    origin: PathBuf,
    values: BTreeMap<String, Value>,
}

impl Metadata {
    /// Nothing yet; `origin` names the file in messages.
    pub fn new(origin: &Path) -> Self {
        Self {
            origin: origin.to_owned(),
            values: BTreeMap::new(),
        }
    }

    /// Sets a value; gives the one that it replaces.
    pub fn insert(&mut self, key: impl Into<String>, value: Value) -> Option<Value> {
        self.values.insert(key.into(), value)
    }

    /// The value of a key, of whatever type.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// All keys and values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// What `getter` finds, or none where the key is absent: `metadata.optional("a.b", Metadata::f32)?`. A value of
    /// another type is an error all the same.
    pub fn optional<'a, T>(
        &'a self,
        key: &str,
        getter: impl FnOnce(&'a Self, &str) -> Result<T, WeightsError>,
    ) -> Result<Option<T>, WeightsError> {
        self.values
            .contains_key(key)
            .then(|| getter(self, key))
            .transpose()
    }

    /// A string.
    pub fn string(&self, key: &str) -> Result<&str, WeightsError> {
        self.typed(key, "a string", |value| match value {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// An integer that is not negative.
    pub fn u64(&self, key: &str) -> Result<u64, WeightsError> {
        self.typed(key, "an integer from 0 on", |value| {
            u64::try_from(value.integer()?).ok()
        })
    }

    /// An integer.
    pub fn i64(&self, key: &str) -> Result<i64, WeightsError> {
        self.typed(key, "an integer of 64 bits", |value| {
            i64::try_from(value.integer()?).ok()
        })
    }

    /// A float; one of 64 bits is rounded.
    pub fn f32(&self, key: &str) -> Result<f32, WeightsError> {
        self.typed(key, "a float", |value| match value {
            Value::F32(x) => Some(*x),
            Value::F64(x) => Some(*x as f32),
            _ => None,
        })
    }

    /// A truth value.
    pub fn bool(&self, key: &str) -> Result<bool, WeightsError> {
        self.typed(key, "a truth value", |value| match value {
            Value::Bool(x) => Some(*x),
            _ => None,
        })
    }

    /// An array of strings.
    pub fn strings(&self, key: &str) -> Result<&[String], WeightsError> {
        self.array(key, "an array of strings", |array| match array {
            Array::String(x) => Some(x.as_slice()),
            _ => None,
        })
    }

    /// An array of floats; such of 64 bits are rounded.
    pub fn f32s(&self, key: &str) -> Result<Cow<'_, [f32]>, WeightsError> {
        self.array(key, "an array of floats", |array| match array {
            Array::F32(x) => Some(Cow::Borrowed(x.as_slice())),
            Array::F64(x) => Some(Cow::Owned(x.iter().map(|&x| x as f32).collect())),
            _ => None,
        })
    }

    /// An array of integers that fit 32 bits with a sign.
    pub fn i32s(&self, key: &str) -> Result<Cow<'_, [i32]>, WeightsError> {
        self.array(
            key,
            "an array of integers of 32 bits",
            |array| match array {
                Array::I32(x) => Some(Cow::Borrowed(x.as_slice())),
                other => all_fit(other).map(Cow::Owned),
            },
        )
    }

    /// An array of integers that are not negative.
    pub fn u64s(&self, key: &str) -> Result<Cow<'_, [u64]>, WeightsError> {
        self.array(key, "an array of integers from 0 on", |array| match array {
            Array::U64(x) => Some(Cow::Borrowed(x.as_slice())),
            other => all_fit(other).map(Cow::Owned),
        })
    }

    /// An array of truth values.
    pub fn bools(&self, key: &str) -> Result<&[bool], WeightsError> {
        self.array(key, "an array of truth values", |array| match array {
            Array::Bool(x) => Some(x.as_slice()),
            _ => None,
        })
    }

    fn array<'a, T>(
        &'a self,
        key: &str,
        expected: &'static str,
        convert: impl FnOnce(&'a Array) -> Option<T>,
    ) -> Result<T, WeightsError> {
        self.typed(key, expected, |value| match value {
            Value::Array(array) => convert(array),
            _ => None,
        })
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        expected: &'static str,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, WeightsError> {
        let Some(value) = self.values.get(key) else {
            return Err(WeightsError::MissingKey {
                path: self.origin.clone(),
                key: key.to_owned(),
            });
        };
        convert(value).ok_or_else(|| WeightsError::KeyType {
            path: self.origin.clone(),
            key: key.to_owned(),
            expected,
            found: value.describe(),
        })
    }
}

fn all_fit<T: TryFrom<i128>>(array: &Array) -> Option<Vec<T>> {
    let wide = array.integers()?;
    wide.into_iter().map(|x| T::try_from(x).ok()).collect()
}
