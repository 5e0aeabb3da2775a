//! Memory for activations, used again step after step instead of going back to the system.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A store of buffers, keyed by length. Cloning gives another handle to the same store.
///
/// A training step needs the same lengths each time, so after the first step nothing new is allocated.
#[derive(Clone, Debug, Default)]
pub struct Buffers {
    free: Arc<Mutex<HashMap<usize, Vec<Vec<f32>>>>>,
}

/// A buffer that goes back to its store when dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    pub(crate) data: Vec<f32>,
    home: Buffers,
}

impl Buffers {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A buffer of `len` elements whose contents are those of its last user (zero when new).
    pub(crate) fn take(&self, len: usize) -> Buffer {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let data = free.get_mut(&len).and_then(Vec::pop);
        drop(free);
        Buffer {
            data: data.unwrap_or_else(|| vec![0.0; len]),
            home: self.clone(),
        }
    }

    /// Makes an owned vector a buffer of this store.
    pub(crate) fn adopt(&self, data: Vec<f32>) -> Buffer {
        Buffer {
            data,
            home: self.clone(),
        }
    }

    /// Gives all free memory back to the system: for when the shapes of the work change.
    pub fn clear(&self) {
        self.free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let data = std::mem::take(&mut self.data);
        let mut free = self
            .home
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        free.entry(data.len()).or_default().push(data);
    }
}
