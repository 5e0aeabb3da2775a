//! Keys and values of the positions already seen, so that the next one costs one row instead of all.

use glassformer_kernels::attention::{Kept, Number};
use glassformer_kernels::memory::Block;

use crate::Dimensions;

/// Positions for which a cache of one sequence first takes memory.
const FIRST: usize = 256;

/// … and of many.
const FEWEST: usize = 16;

/// Of each layer keys `[len, K·E]` and values of the same shape, for one sequence or for several of the same length.
///
/// All lie in one block, which doubles when it is full: a short text takes little memory, and its rows lie close
/// together in large pages.
#[derive(Clone, Debug)]
pub struct KvCache {
    /// `[L, keys and values, B, held, K·E]`, of which the first `len` rows of each are filled.
    rows: Block,
    /// What [`KvCache::select`] has left. Both may be longer than what is held.
    spare: Block,
    number: Number,
    layers: usize,
    width: usize,
    /// B.
    sequences: usize,
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
            spare: Block::zeros(0),
            number,
            layers: dimensions.n_layers,
            width: dimensions.n_kv_heads * dimensions.d_head,
            sequences: 1,
            held: 0,
            capacity: dimensions.n_ctx,
            len: 0,
        }
    }

    /// The same empty cache for `sequences` that are read together.
    #[must_use]
    pub fn for_sequences(self, sequences: usize) -> Self {
        assert!(self.rows.is_empty(), "an empty cache");
        Self { sequences, ..self }
    }

    /// The same empty cache for up to so many positions.
    #[must_use]
    pub(crate) fn with_capacity(self, capacity: usize) -> Self {
        assert!(self.rows.is_empty(), "an empty cache");
        Self { capacity, ..self }
    }

    /// B.
    pub fn sequences(&self) -> usize {
        self.sequences
    }

    /// Positions for which there is memory already.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Words of one sequence's keys of one layer.
    fn each(&self) -> usize {
        self.held * self.number.words(self.width)
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
        let first = (FIRST / self.sequences).max(FEWEST);
        let held = positions.next_power_of_two().max(first).min(self.capacity);
        let row = self.number.words(self.width);
        let (before, after, filled) = (self.each(), held * row, self.len * row);
        let mut rows = Block::zeros(2 * self.layers * self.sequences * after);
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

    /// Goes on with other sequences: the new sequence `i` is what `parents[i]` was, of which there may be several or none.
    ///
    /// # Panics
    /// When a parent is no sequence.
    pub fn select(&mut self, parents: &[usize]) {
        let unchanged = parents.iter().copied().eq(0..self.sequences);
        if unchanged {
            return;
        }
        let (before, each) = (self.sequences, self.each());
        assert!(
            parents.iter().all(|&p| p < before),
            "a parent that is there"
        );
        self.sequences = parents.len();
        if each == 0 {
            return;
        }
        let len = 2 * self.layers * parents.len() * each;
        if self.spare.len() < len {
            self.spare = Block::zeros(len);
        }
        let filled = self.len * self.number.words(self.width);
        let layers = self.rows[..2 * self.layers * before * each].chunks_exact(before * each);
        let to = self.spare.chunks_exact_mut((parents.len() * each).max(1));
        for (to, from) in to.zip(layers) {
            for (to, &parent) in to.chunks_exact_mut(each).zip(parents) {
                to[..filled].copy_from_slice(&from[parent * each..][..filled]);
            }
        }
        std::mem::swap(&mut self.rows, &mut self.spare);
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

    /// Writes rows of `[.., K·E]`, as many for each sequence, behind the filled ones, and gives all keys and values of the
    /// layer; the new ones count once [`KvCache::advance`] is called.
    pub(crate) fn write<'a>(
        &mut self,
        layer: usize,
        rows: impl ExactSizeIterator<Item = [&'a [f32]; 2]>,
    ) -> KeptLayer<'_> {
        let new = rows.len() / self.sequences.max(1);
        let end = self.len + new;
        self.hold(end);
        let (number, row, each) = (self.number, self.number.words(self.width), self.each());
        let len = self.sequences * each;
        let words = &mut self.rows.words_mut()[2 * layer * len..][..2 * len];
        for (i, parts) in rows.enumerate() {
            let at = i / new * each + (self.len + i % new) * row;
            for (words, part) in words.chunks_exact_mut(len).zip(parts) {
                number.write(&mut words[at..][..row], part);
            }
        }
        self.layer(layer, end)
    }

    /// All keys and values of a layer.
    pub(crate) fn read(&self, layer: usize) -> KeptLayer<'_> {
        self.layer(layer, self.len)
    }

    /// The first `end` keys and values of each sequence.
    fn layer(&self, layer: usize, end: usize) -> KeptLayer<'_> {
        let (each, filled) = (self.each(), end * self.number.words(self.width));
        let len = self.sequences * each;
        let words = &self.rows.words()[2 * layer * len..][..2 * len];
        KeptLayer {
            words: words.split_at(len).into(),
            each,
            filled,
            number: self.number,
            width: self.width,
        }
    }

    /// Counts `positions` new rows of each sequence as filled, after all layers have written theirs.
    pub(crate) fn advance(&mut self, positions: usize) {
        self.len += positions;
        assert!(
            self.len <= self.capacity,
            "the cache holds {} positions",
            self.capacity
        );
    }
}

/// Keys and values of one layer, of all sequences.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeptLayer<'a> {
    /// Keys and values.
    words: [&'a [u32]; 2],
    /// Words from sequence to sequence, and of these the filled ones.
    each: usize,
    filled: usize,
    number: Number,
    width: usize,
}

impl<'a> KeptLayer<'a> {
    /// Of sequence `b`, `[len, K·E]`.
    pub(crate) fn of(&self, b: usize) -> [Kept<'a>; 2] {
        let (number, width) = (self.number, self.width);
        self.words
            .map(|words| Kept::new(&words[b * self.each..][..self.filled], number, width))
    }
}
