//! An arena of gradients beside that of the parameters.

use glassformer_kernels::memory::Block;

use super::{Layout, ParamId};

/// Gradients of all parameters, in the layout of their [`Parameters`].
#[derive(Clone, Debug)]
pub struct Gradients {
    data: Block,
}

impl Gradients {
    /// All zero.
    pub fn zeros(layout: &Layout) -> Self {
        Self {
            data: Block::zeros(layout.len()),
        }
    }

    /// The gradient of one parameter.
    pub fn get(&self, id: ParamId) -> &[f32] {
        &self.data[id.offset..][..id.len]
    }

    /// The gradient of one parameter, to be added to.
    pub fn get_mut(&mut self, id: ParamId) -> &mut [f32] {
        &mut self.data[id.offset..][..id.len]
    }

    /// The gradients of two different parameters.
    pub fn pair_mut(&mut self, a: ParamId, b: ParamId) -> (&mut [f32], &mut [f32]) {
        assert!(a.offset + a.len <= b.offset, "a lies before b");
        let (left, right) = self.data.split_at_mut(b.offset);
        (&mut left[a.offset..][..a.len], &mut right[..b.len])
    }

    /// The whole arena.
    pub fn arena(&self) -> &[f32] {
        &self.data
    }

    /// The whole arena.
    pub fn arena_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }
}
