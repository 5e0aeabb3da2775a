//! Keys and values of the positions already seen, so that the next one costs one row instead of all.

use glassformer_kernels::memory::Block;

use crate::Dimensions;

/// Per layer: keys `[n_ctx, K·E]` and values of the same shape, of which the first `len` rows are filled.
#[derive(Clone, Debug)]
pub struct KvCache {
    layers: Vec<(Block, Block)>,
    width: usize,
    capacity: usize,
    len: usize,
}

impl KvCache {
    /// An empty cache for one sequence of up to `n_ctx` positions.
    pub fn new(dimensions: &Dimensions) -> Self {
        let width = dimensions.n_kv_heads * dimensions.d_head;
        let empty = || Block::zeros(dimensions.n_ctx * width);
        Self {
            layers: (0..dimensions.n_layers)
                .map(|_| (empty(), empty()))
                .collect(),
            width,
            capacity: dimensions.n_ctx,
            len: 0,
        }
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

    /// Writes rows of `[.., K·E]` behind the filled ones; they count once [`KvCache::advance`] is called.
    pub(crate) fn write<'a>(
        &mut self,
        layer: usize,
        rows: impl Iterator<Item = (&'a [f32], &'a [f32])>,
    ) -> (&[f32], &[f32]) {
        let (keys, values) = &mut self.layers[layer];
        let mut end = self.len;
        for (k, v) in rows {
            keys[end * self.width..][..self.width].copy_from_slice(k);
            values[end * self.width..][..self.width].copy_from_slice(v);
            end += 1;
        }
        (&keys[..end * self.width], &values[..end * self.width])
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
