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
    free: HashMap<usize, Vec<Arc<Block>>>,
    /// Words of all blocks that were ever made and not given back to the system.
    words: usize,
    /// Whether blocks are made somewhat longer than asked for.
    rounds_up: bool,
}

impl Store {
    /// Length of the block that serves for `len` words.
    fn block_len(&self, len: usize) -> usize {
        if !self.rounds_up {
            return len;
        }
        // Eight steps from one power of two to the next: at most an eighth is left over.
        let step = (len.next_power_of_two() / 16).max(1);
        len.next_multiple_of(step)
    }
}

/// A handle to a block, which goes back to its store with the last handle. Cloning gives another handle.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    /// `None` only while it is being dropped.
    block: Option<Arc<Block>>,
    /// Words of it that were asked for.
    len: usize,
    home: Buffers,
}

impl Buffer {
    pub(crate) fn floats(&self) -> &[f32] {
        &self.block.as_ref().expect("there until dropped")[..self.len]
    }

    /// To be written, unless another handle to the block exists.
    pub(crate) fn floats_mut(&mut self) -> Option<&mut [f32]> {
        let block = Arc::get_mut(self.block.as_mut().expect("there until dropped"))?;
        Some(&mut block[..self.len])
    }

    /// Whether another handle to the block exists.
    pub(crate) fn is_shared(&self) -> bool {
        self.block
            .as_ref()
            .is_some_and(|block| Arc::strong_count(block) > 1)
    }
}

impl Buffers {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store for work whose lengths differ a little from one time to the next: it makes blocks somewhat longer
    /// than asked for, so that they serve again.
    pub fn rounding_up() -> Self {
        let store = Store {
            rounds_up: true,
            ..Store::default()
        };
        Self {
            store: Arc::new(Mutex::new(store)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block of `len` words whose contents are those of its last user (zero when new).
    pub(crate) fn take(&self, len: usize) -> Buffer {
        let mut store = self.lock();
        let whole = store.block_len(len);
        let block = store.free.get_mut(&whole).and_then(Vec::pop);
        if block.is_none() {
            store.words += whole;
        }
        drop(store);
        Buffer {
            block: Some(block.unwrap_or_else(|| Arc::new(Block::zeros(whole)))),
            len,
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
        let Some(block) = self.block.take() else {
            return;
        };
        // Handles end under the lock only, so that of several that end at once exactly one is the last.
        let mut store = self.home.lock();
        if Arc::strong_count(&block) == 1 {
            store.free.entry(block.len()).or_default().push(block);
        } else {
            drop(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Buffers;

    #[test]
    fn a_block_returns_with_its_last_handle() {
        let buffers = Buffers::new();
        let mut first = buffers.take(7);
        first.floats_mut().expect("one handle")[0] = 5.0;
        let second = first.clone();
        assert!(first.is_shared() && first.floats_mut().is_none());
        drop(second);
        assert!(!first.is_shared() && first.floats_mut().is_some());
        drop(first);
        assert_eq!(buffers.take(7).floats()[0], 5.0, "the same block again");
        assert_eq!(buffers.bytes(), 7 * size_of::<f32>());
    }

    #[test]
    fn a_block_that_is_longer_serves_for_what_is_shorter() {
        let buffers = Buffers::rounding_up();
        for len in [0, 1, 7, 15, 16, 17, 1000, 1025, 123_457] {
            let before = buffers.bytes() / size_of::<f32>();
            let (taken, whole) = (
                buffers.take(len),
                buffers.bytes() / size_of::<f32>() - before,
            );
            assert_eq!(taken.floats().len(), len);
            assert!(whole >= len && whole <= len + len / 8, "{whole} for {len}");
            buffers.clear();
        }
        buffers.clear();
        let bytes = buffers.bytes();
        drop(buffers.take(1000));
        let taken = buffers.bytes();
        assert!(taken > bytes);
        drop(buffers.take(990));
        assert_eq!(buffers.bytes(), taken, "the same block again");
    }

    #[test]
    fn of_handles_that_end_at_once_one_is_the_last() {
        let buffers = Buffers::new();
        for _ in 0..200 {
            let handle = buffers.take(3);
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    let handle = handle.clone();
                    scope.spawn(move || drop(handle));
                }
                drop(handle);
            });
            assert_eq!(buffers.bytes(), 3 * size_of::<f32>(), "no block was lost");
            assert!(!buffers.take(3).is_shared());
        }
    }
}
