//! Gradients of the parameters that are trained.
//!
//! Layers ask for the place of each gradient and get none where the parameter stays as it is: then there is nothing to
//! compute.

use std::ops::Range;

use glassformer_kernels::memory::Block;

use crate::{Layout, ParamId};

/// Gradients of all parameters of one [`Layout`], in one arena.
#[derive(Clone, Debug)]
pub struct Gradients {
    layout: Layout,
    data: Block,
}

impl Gradients {
    /// All zero, for the parameters of `layout`; others count as not trained.
    pub fn zeros(layout: &Layout) -> Self {
        Self {
            layout: layout.clone(),
            data: Block::zeros(layout.len()),
        }
    }

    /// Whether the parameter is trained.
    pub fn has(&self, id: ParamId) -> bool {
        self.layout.has(id)
    }

    /// The gradient of one parameter.
    ///
    /// # Panics
    /// When it is not trained.
    pub fn get(&self, id: ParamId) -> &[f32] {
        &self.data[self.layout.range(id)]
    }

    /// The gradient of one parameter, to be added to, if it is trained.
    pub fn get_mut(&mut self, id: ParamId) -> Option<&mut [f32]> {
        let range = self.has(id).then(|| self.layout.range(id))?;
        Some(&mut self.data[range])
    }

    /// The gradients of two different parameters, if they are trained.
    pub fn pair_mut(&mut self, a: ParamId, b: ParamId) -> Option<[&mut [f32]; 2]> {
        let range = |id| -> Option<Range<usize>> { self.has(id).then(|| self.layout.range(id)) };
        let ranges = [range(a)?, range(b)?];
        Some(
            self.data
                .get_disjoint_mut(ranges)
                .expect("two different ones"),
        )
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
