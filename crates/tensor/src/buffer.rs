//! Memory for activations, used again step after step instead of going back to the system.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use glassformer_kernels::memory::Block;

/// A store of blocks, keyed by length. Cloning gives another handle to the same store.
///
/// A training step needs the same lengths each time, so after the first step nothing new is allocated.
#[derive(Clone, Debug, Default)]
pub struct Buffers {
    store: Arc<Mutex<Store>>,
}

#[derive(Debug, Default)]
struct Store {
    free: HashMap<usize, Vec<Block>>,
    /// Words of all blocks that were ever made and not given back to the system.
    words: usize,
}

/// A block that goes back to its store when dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// `None` only while it is being dropped.
    block: Option<Block>,
    home: Buffers,
}

impl Buffer {
    pub(crate) fn block(&self) -> &Block {
        self.block.as_ref().expect("there until dropped")
    }

    pub(crate) fn block_mut(&mut self) -> &mut Block {
        self.block.as_mut().expect("there until dropped")
    }
}

impl Buffers {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block of `len` words whose contents are those of its last user (zero when new).
    pub(crate) fn take(&self, len: usize) -> Buffer {
        let mut store = self.lock();
        let block = store.free.get_mut(&len).and_then(Vec::pop);
        if block.is_none() {
            store.words += len;
        }
        drop(store);
        Buffer {
            block: Some(block.unwrap_or_else(|| Block::zeros(len))),
            home: self.clone(),
        }
    }

    /// Bytes of all blocks, in use or free: what the store has taken from the system.
    pub fn bytes(&self) -> usize {
        self.lock().words * size_of::<f32>()
    }

    /// Gives all free memory back to the system: for when the shapes of the work change.
    pub fn clear(&self) {
        let mut store = self.lock();
        let free: usize = store
            .free
            .drain()
            .map(|(len, blocks)| len * blocks.len())
            .sum();
        store.words -= free;
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.home
                .lock()
                .free
                .entry(block.len())
                .or_default()
                .push(block);
        }
    }
}
