//! How the numbers of a model are stored.

use std::collections::BTreeMap;

use glassformer_weights::{DataType, TensorSource};

/// Types of numbers in a file, and the bytes that they take.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// Bytes by type.
    bytes_of: Vec<(DataType, u64)>,
}

impl Stored {
    /// Of a file's tensors, of which there is at least one.
    pub(super) fn of(source: &dyn TensorSource) -> Option<Self> {
        // By name, so that the order is always the same.
        let mut found: BTreeMap<String, (DataType, u64)> = BTreeMap::new();
        for name in source.names() {
            let data_type = source.info(&name)?.data_type;
            let bytes = source.bytes(&name).map_or(0, <[u8]>::len) as u64;
            let entry = found.entry(data_type.to_string()).or_insert((data_type, 0));
            entry.1 += bytes;
        }
        let mut bytes_of: Vec<_> = found.into_values().collect();
        bytes_of.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        (!bytes_of.is_empty()).then_some(Self { bytes_of })
    }

    /// The type that most bytes have.
    pub(crate) fn most(&self) -> DataType {
        self.bytes_of[0].0
    }

    /// The bytes of all.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes_of.iter().map(|(_, bytes)| bytes).sum()
    }

    /// All types, the one of most bytes first.
    pub(crate) fn types(&self) -> impl Iterator<Item = DataType> {
        self.bytes_of.iter().map(|(data_type, _)| *data_type)
    }
}
