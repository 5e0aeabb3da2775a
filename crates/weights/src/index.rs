//! The tensors of one file: where each lies in its bytes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bytes::Bytes;
use crate::{TensorInfo, WeightsError};

/// Where a tensor lies. The range is within the file's bytes; who makes an entry has checked it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) info: TensorInfo,
    pub(crate) range: Range<usize>,
}

/// The part that all formats of one file share.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) bytes: Bytes,
    /// Name for messages: a path, or "built-in model".
    pub(crate) origin: PathBuf,
    pub(crate) entries: Arc<BTreeMap<String, Entry>>,
}

impl Index {
    pub(crate) fn new(bytes: Bytes, origin: &Path, entries: BTreeMap<String, Entry>) -> Self {
        Self {
            bytes,
            origin: origin.to_owned(),
            entries: Arc::new(entries),
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    pub(crate) fn info(&self, name: &str) -> Option<TensorInfo> {
        self.entries.get(name).map(|entry| entry.info.clone())
    }

    pub(crate) fn tensor(&self, name: &str) -> Result<&[u8], WeightsError> {
        let entry = self
            .entries
            .get(name)
            .ok_or_else(|| WeightsError::Missing {
                path: self.origin.clone(),
                name: name.to_owned(),
            })?;
        Ok(&self.bytes[entry.range.clone()])
    }
}

/// [`TensorSource`](crate::TensorSource) of a type with a field `index`.
macro_rules! source_from_index {
    ($type:ty) => {
        impl crate::TensorSource for $type {
            fn origin(&self) -> &std::path::Path {
                &self.index.origin
            }

            fn names(&self) -> Vec<String> {
                self.index.names()
            }

            fn info(&self, name: &str) -> Option<crate::TensorInfo> {
                self.index.info(name)
            }

            fn bytes(&self, name: &str) -> Result<&[u8], crate::WeightsError> {
                self.index.tensor(name)
            }
        }
    };
}

pub(crate) use source_from_index;
