//! Weights that change while a model is trained: both operands that a matrix is are made of its rows while these are in the
//! cache because they change.
//!
//! The forward pass multiplies with W, the backward pass with its transpose. Laid out for each, W would be read from memory
//! twice more in each step.

use std::ops::Range;

use super::pack::{along_rows, strips};
use super::strip::Down;
use super::{NEAR, Precision, RIGHT, Right, Rows};
use crate::Pool;
use crate::pool::Parts;

/// The operands that a matrix [R,C] is.
#[derive(Debug)]
pub struct BothWays<'a> {
    /// As B [R,C], laid out as by [`super::pack::right`].
    pub down: &'a mut [u32],
    /// Its transpose as B [C,R], laid out as by [`super::pack::right_transposed`].
    pub along: &'a mut [u32],
    /// What they are rounded to.
    pub precision: Precision,
    /// R and C.
    pub size: [usize; 2],
    /// Words of all that is written before these are read: of so many that none stay in the caches they need not pass them.
    pub among: usize,
}

impl BothWays<'_> {
    /// Changes the matrix, which is the first of the `arrays`, and lays it out. `change` is called once for each run of
    /// numbers, all of which together are the matrix, with these of all arrays; a run is some rows.
    ///
    /// # Panics
    /// When an array has another length than the matrix, or an operand has no room.
    pub fn follow<const N: usize>(
        self,
        pool: &Pool,
        arrays: [&mut [f32]; N],
        change: impl Fn(Range<usize>, [&mut [f32]; N]) + Sync,
    ) {
        let Self {
            precision,
            size: [rows, cols],
            ..
        } = self;
        let panel = RIGHT * precision.words(cols);
        let down = Parts::new(&mut self.down[..Right::len(precision, rows, cols)]);
        let along = Parts::new(&mut self.along[..Right::len(precision, cols, rows)]);
        let arrays = arrays.map(|array| {
            assert_eq!(array.len(), rows * cols, "an array of {rows} × {cols}");
            Parts::new(array)
        });
        let to = Down {
            precision,
            depth: rows,
            past_caches: self.among > NEAR,
        };
        pool.each(rows.div_ceil(RIGHT), |p| {
            let (first, last) = (p * RIGHT, ((p + 1) * RIGHT).min(rows));
            let range = first * cols..last * cols;
            // SAFETY: each row is of one panel.
            let mut parts = arrays
                .each_ref()
                .map(|array| unsafe { array.slice(range.clone()) });
            change(range, parts.each_mut().map(|part| &mut **part));
            let rows = Rows::f32(parts[0], cols);
            // SAFETY: each panel has one index.
            let panel = unsafe { along.slice(p * panel..(p + 1) * panel) };
            along_rows(panel, precision, rows, to.past_caches);
            strips(&down, RIGHT, to, rows, first);
        });
    }
}
