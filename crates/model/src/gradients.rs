//! Gradients of the parameters that are trained.
//!
//! Layers ask for the place of each gradient and get none where the parameter stays as it is: then there is nothing to
//! compute.

use std::ops::Range;

use glassformer_kernels::memory::Block;
use glassformer_kernels::product::finish::Onto;
use glassformer_tensor::Pool;

use crate::{Layout, ParamId};

/// Elements that a thread clears at a time.
const PIECE: usize = 1 << 16;

/// Gradients of all parameters of one [`Layout`], in one arena.
///
/// Sums of the next step begin at 0 without being cleared: [`Gradients::forget`] only notes that what is there is of the
/// past. Of most parameters the first term then overwrites it, and the memory is passed over once less.
#[derive(Clone, Debug)]
pub struct Gradients {
    layout: Layout,
    data: Block,
    /// Of each parameter in the layout's order: whether it counts as 0, whatever is in memory.
    past: Vec<bool>,
}

impl Gradients {
    /// All zero, for the parameters of `layout`; others count as not trained.
    pub fn zeros(layout: &Layout) -> Self {
        Self {
            layout: layout.clone(),
            data: Block::zeros(layout.len()),
            past: vec![false; layout.specs().len()],
        }
    }

    /// All count as 0 from now on.
    pub fn forget(&mut self) {
        self.past.fill(true);
    }

    /// Clears those that count as 0, so that all can be read.
    pub fn settle(&mut self, pool: &Pool) {
        for i in 0..self.past.len() {
            self.clear(pool, i);
        }
    }

    /// Clears the gradient of parameter `i` if it is of the past.
    fn clear(&mut self, pool: &Pool, i: usize) {
        if std::mem::take(&mut self.past[i]) {
            let range = self.layout.range(self.layout.specs()[i].id);
            pool.chunks(&mut self.data[range], PIECE, |_, part| part.fill(0.0));
        }
    }

    /// Whether the parameter is trained.
    pub fn has(&self, id: ParamId) -> bool {
        self.layout.has(id)
    }

    /// The gradient of one parameter.
    ///
    /// # Panics
    /// When it is not trained, or was forgotten and did not [settle](Self::settle) since.
    pub fn get(&self, id: ParamId) -> &[f32] {
        let past = &self.past[self.layout.indices(id)];
        assert!(!past.contains(&true), "a gradient of this step");
        &self.data[self.layout.range(id)]
    }

    /// The gradient of one parameter, to be added to, if it is trained.
    pub fn get_mut(&mut self, pool: &Pool, id: ParamId) -> Option<&mut [f32]> {
        let range = self.has(id).then(|| self.layout.range(id))?;
        for i in self.layout.indices(id) {
            self.clear(pool, i);
        }
        Some(&mut self.data[range])
    }

    /// The gradients of two different parameters, to be added to, if they are trained.
    pub fn pair_mut(&mut self, pool: &Pool, a: ParamId, b: ParamId) -> Option<[&mut [f32]; 2]> {
        for id in [a, b] {
            self.get_mut(pool, id)?;
        }
        let ranges = [a, b].map(|id| -> Range<usize> { self.layout.range(id) });
        Some(
            self.data
                .get_disjoint_mut(ranges)
                .expect("two different ones"),
        )
    }

    /// The gradient of one parameter, if it is trained, and what the product that is its next term is to be added to.
    pub fn next_term(&mut self, pool: &Pool, id: ParamId) -> Option<(&mut [f32], Onto<'static>)> {
        let range = self.has(id).then(|| self.layout.range(id))?;
        let past = &mut self.past[self.layout.indices(id)];
        if past.iter().all(|past| *past) {
            past.fill(false);
            return Some((&mut self.data[range], Onto::NothingSoonRead));
        }
        Some((self.get_mut(pool, id)?, Onto::Itself))
    }

    /// The whole arena.
    ///
    /// # Panics
    /// When some were forgotten and did not [settle](Self::settle) since.
    pub fn arena(&self) -> &[f32] {
        assert!(!self.past.contains(&true), "gradients of this step");
        &self.data
    }

    /// The whole arena.
    ///
    /// # Panics
    /// As [`Gradients::arena`].
    pub fn arena_mut(&mut self) -> &mut [f32] {
        assert!(!self.past.contains(&true), "gradients of this step");
        &mut self.data
    }
}
