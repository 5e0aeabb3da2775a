//! The bytes of a file, wherever they are.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use crate::{MappedFile, WeightsError};

/// Cheap to clone: the bytes themselves are shared.
#[derive(Clone, Debug)]
pub(crate) enum Bytes {
    Mapped(Arc<MappedFile>),
    Static(&'static [u8]),
    Owned(Arc<Vec<u8>>),
}

impl Bytes {
    /// Maps the file at `path`, unless its first bytes say that it is something which is never read.
    pub(crate) fn map(path: &Path) -> Result<Self, WeightsError> {
        let map = MappedFile::open(path).map_err(|source| WeightsError::Read {
            path: path.to_owned(),
            source,
        })?;
        crate::detect::refuse(&map, path)?;
        Ok(Self::Mapped(Arc::new(map)))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Static(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}
