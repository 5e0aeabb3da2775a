//! Keys and values of the positions already seen, so that the next one costs one row instead of all.

use glassformer_kernels::attention::{Kept, Number};
use glassformer_kernels::memory::Block;

use crate::Dimensions;

/// Positions for which a cache first takes memory.
const FIRST: usize = 256;

/// Of each layer keys `[len, K·E]` and values of the same shape, for one sequence.
///
/// All lie in one block, which doubles when it is full: a short text takes little memory, and its rows lie close
/// together in large pages.
#[derive(Clone, Debug)]
pub struct KvCache {
    /// `[L, keys and values, held, K·E]`, of which the first `len` rows of each are filled.
    rows: Block,
    number: Number,
    layers: usize,
    width: usize,
    /// Positions for which there is memory.
    held: usize,
    capacity: usize,
    len: usize,
}

impl KvCache {
    /// An empty cache for one sequence of up to `n_ctx` positions, which keeps numbers as they were computed.
    pub fn new(dimensions: &Dimensions) -> Self {
        Self::of(dimensions, Number::F32)
    }

    /// An empty cache that keeps numbers in `number`.
    pub fn of(dimensions: &Dimensions, number: Number) -> Self {
        Self {
            rows: Block::zeros(0),
            number,
            layers: dimensions.n_layers,
            width: dimensions.n_kv_heads * dimensions.d_head,
            held: 0,
            capacity: dimensions.n_ctx,
            len: 0,
        }
    }

    /// Positions for which there is memory already.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Takes memory for `positions`, if there is not enough, keeping what is filled.
    pub(crate) fn hold(&mut self, positions: usize) {
        if positions <= self.held {
            return;
        }
        assert!(
            positions <= self.capacity,
            "the cache holds {} positions",
            self.capacity
        );
        let held = positions.next_power_of_two().max(FIRST).min(self.capacity);
        let row = self.number.words(self.width);
        let (before, after, filled) = (self.held * row, held * row, self.len * row);
        let mut rows = Block::zeros(2 * self.layers * after);
        if filled > 0 {
            for (to, from) in rows
                .chunks_exact_mut(after)
                .zip(self.rows.chunks_exact(before))
            {
                to[..filled].copy_from_slice(&from[..filled]);
            }
        }
        (self.rows, self.held) = (rows, held);
    }

    /// Positions kept.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Positions that still fit.
    pub fn room(&self) -> usize {
        self.capacity - self.len
    }

    /// Forgets all positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Writes rows of `[.., K·E]` behind the filled ones, and gives all keys and values of the layer; the new ones count
    /// once [`KvCache::advance`] is called.
    pub(crate) fn write<'a>(
        &mut self,
        layer: usize,
        rows: impl ExactSizeIterator<Item = [&'a [f32]; 2]>,
    ) -> [Kept<'_>; 2] {
        let end = self.len + rows.len();
        self.hold(end);
        let (number, row) = (self.number, self.number.words(self.width));
        let len = self.held * row;
        let layer = &mut self.rows.words_mut()[2 * layer * len..][..2 * len];
        for (at, parts) in (self.len..).zip(rows) {
            for (words, part) in layer.chunks_exact_mut(len).zip(parts) {
                number.write(&mut words[at * row..][..row], part);
            }
        }
        let (keys, values) = layer.split_at(len);
        [keys, values].map(|words| Kept::new(&words[..end * row], number, self.width))
    }

    /// Counts `positions` new rows as filled, after all layers have written theirs.
    pub(crate) fn advance(&mut self, positions: usize) {
        self.len += positions;
        assert!(
            self.len <= self.capacity,
            "the cache holds {} positions",
            self.capacity
        );
    }
}
