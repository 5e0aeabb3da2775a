//! Reading: header, metadata and the list of tensors are checked once, when the file is opened.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::cursor::{Cursor, Parsed};
use super::metadata::Metadata;
use super::value::Value;
use super::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, parse, tensors};
use crate::WeightsError;
use crate::bytes::Bytes;
use crate::index::{Entry, Index, source_from_index};

/// Bytes of the least key with its value: an empty key, a type and one byte.
const LEAST_KEY: usize = 8 + 4 + 1;

/// An open GGUF file.
#[derive(Clone, Debug)]
pub struct GgufFile {
    index: Index,
    metadata: Arc<Metadata>,
}

source_from_index!(GgufFile);

impl GgufFile {
    /// Maps the file at `path` and checks its header.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        Self::checked(Bytes::map(path)?, path)
    }

    /// A file in memory; `origin` names it in messages.
    pub fn from_vec(bytes: Vec<u8>, origin: &str) -> Result<Self, WeightsError> {
        Self::checked(Bytes::Owned(Arc::new(bytes)), Path::new(origin))
    }

    /// What the file says of itself.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(crate) fn checked(bytes: Bytes, origin: &Path) -> Result<Self, WeightsError> {
        version(&bytes, origin)?;
        let (metadata, entries) =
            contents(&bytes, origin).map_err(|reason| WeightsError::Format {
                path: origin.to_owned(),
                format: "GGUF",
                reason,
            })?;
        whole(&metadata, origin)?;
        Ok(Self {
            index: Index::new(bytes, origin, entries),
            metadata: Arc::new(metadata),
        })
    }
}

/// Version 3 differs from 2 only in that it may be big-endian; 1 had other lengths, and nobody writes it.
fn version(bytes: &[u8], origin: &Path) -> Result<(), WeightsError> {
    let unsupported = |what: String, todo: &str| {
        Err(WeightsError::Unsupported {
            path: origin.to_owned(),
            what,
            todo: todo.to_owned(),
        })
    };
    let mut cursor = Cursor::new(bytes);
    let magic = cursor.take(4);
    if magic != Ok(b"GGUF") {
        return Err(WeightsError::Format {
            path: origin.to_owned(),
            format: "GGUF",
            reason: match magic {
                Ok(found) => format!("it begins with \"{}\", not \"GGUF\"", found.escape_ascii()),
                Err(reason) => reason,
            },
        });
    }
    match cursor.u32() {
        Ok(2 | 3) => Ok(()),
        // A small number read from the wrong end.
        Ok(version) if matches!(version.swap_bytes(), 1..=0xffff) => unsupported(
            "is a big-endian GGUF file".to_owned(),
            "get the little-endian one, or convert it with gguf's gguf-convert-endian",
        ),
        Ok(version) => unsupported(
            format!("is a GGUF file of version {version}; 2 and 3 are read"),
            "get or make a newer conversion of the model",
        ),
        Err(reason) => Err(WeightsError::Format {
            path: origin.to_owned(),
            format: "GGUF",
            reason,
        }),
    }
}

/// Metadata and tensors, these with their places in the file.
fn contents(bytes: &[u8], origin: &Path) -> Parsed<(Metadata, BTreeMap<String, Entry>)> {
    let mut cursor = Cursor::new(bytes);
    cursor.take(8)?; // magic and version
    let tensor_count = cursor.count("tensors", tensors::LEAST)?;
    let key_count = cursor.count("metadata keys", LEAST_KEY)?;
    let metadata = parse::metadata(&mut cursor, key_count, origin)?;
    let alignment = alignment(&metadata)?;
    let mut entries = tensors::list(&mut cursor, tensor_count, alignment)?;
    let begin = cursor
        .at()
        .checked_next_multiple_of(alignment)
        .ok_or_else(|| format!("an alignment of {alignment} is larger than any file"))?;
    tensors::place(&mut entries, begin, bytes.len())?;
    Ok((metadata, entries))
}

fn alignment(metadata: &Metadata) -> Parsed<usize> {
    match metadata.get(ALIGNMENT_KEY) {
        None => Ok(DEFAULT_ALIGNMENT as usize),
        Some(Value::U32(alignment)) if alignment.is_power_of_two() => Ok(*alignment as usize),
        Some(other) => Err(format!(
            "{ALIGNMENT_KEY} is {}, not a power of two as u32",
            other.describe()
        )),
    }
}

/// One of several parts is not a model.
fn whole(metadata: &Metadata, origin: &Path) -> Result<(), WeightsError> {
    match metadata.optional("split.count", Metadata::u64)? {
        Some(parts) if parts > 1 => Err(WeightsError::Unsupported {
            path: origin.to_owned(),
            what: format!("is one of {parts} parts of a model"),
            todo: "join them with llama.cpp's llama-gguf-split --merge".to_owned(),
        }),
        _ => Ok(()),
    }
}
