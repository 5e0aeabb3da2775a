//! Token ids where activations live.

use std::ops::Deref;

use glassformer_kernels::memory;

use crate::buffer::{Buffer, Buffers};

/// Token ids, or other indices of rows, in a buffer. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Ids(Buffer);

impl Ids {
    /// The ids that the iterator gives.
    pub fn new(buffers: &Buffers, ids: impl ExactSizeIterator<Item = u32>) -> Self {
        let mut buffer = buffers.take(ids.len());
        let block = buffer.floats_mut().expect("a new handle is the only one");
        for (word, id) in memory::words_mut(block).iter_mut().zip(ids) {
            *word = id;
        }
        Self(buffer)
    }
}

impl Deref for Ids {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        memory::words(self.0.floats())
    }
}
