//! Parameters by their field names, for the page and for provenance.

use std::borrow::Cow;
use std::ops::Range;

use glassformer_model::{Model, Parameters, WeightName, WeightView};

use crate::{Edits, Recorded, TraceError};

/// A named parameter. Of one that stays in its file, only the rows that are asked for are read.
#[derive(Clone)]
pub struct Weight<'a> {
    /// Its name.
    pub name: WeightName,
    view: WeightView,
    parameters: &'a Parameters,
    /// (row, column, value): what was set by hand.
    changes: Vec<(usize, usize, f32)>,
}

impl<'a> Weight<'a> {
    /// Looks it up.
    pub fn of(model: &'a Model, name: WeightName) -> Result<Self, TraceError> {
        let missing = || TraceError::Missing(format!("this model has no {name}"));
        let view = model.network.weight(name).ok_or_else(missing)?;
        Ok(Self {
            name,
            view,
            parameters: &model.parameters,
            changes: Vec::new(),
        })
    }

    /// As it is in a run with these edits.
    #[must_use]
    pub fn with(self, model: &Model, edits: &Edits) -> Self {
        Self {
            changes: edits.of_weight(model, self.name),
            ..self
        }
    }

    /// [rows, cols]; a vector has one row.
    pub fn shape(&self) -> [usize; 2] {
        [self.view.rows, self.view.cols]
    }

    /// Element (r, c).
    pub fn at(&self, r: usize, c: usize) -> f32 {
        let changed = self
            .changes
            .iter()
            .rev()
            .find(|change| (change.0, change.1) == (r, c));
        changed.map_or_else(|| self.run(r, c, 1)[0], |change| change.2)
    }

    /// Column `c`: what one output is made with.
    pub fn column(&self, c: usize) -> Cow<'a, [f32]> {
        if self.view.row_stride == 1 && self.changes.is_empty() {
            return self.run(0, c, self.view.rows);
        }
        (0..self.view.rows).map(|r| self.at(r, c)).collect()
    }

    /// All numbers, row-major.
    pub fn values(&self) -> Cow<'a, [f32]> {
        let WeightView { rows, cols, .. } = self.view;
        if self.view.col_stride == 1 && self.view.row_stride == cols && self.changes.is_empty() {
            return self.run(0, 0, rows * cols);
        }
        Cow::Owned(self.part(0..rows, 0..cols).data.to_vec())
    }

    /// A part of it, dense; the ranges are cut to what there is.
    pub fn part(&self, rows: Range<usize>, cols: Range<usize>) -> Recorded {
        let [r, c] = self.shape();
        let (rows, cols) = (
            rows.start.min(r)..rows.end.min(r),
            cols.start.min(c)..cols.end.min(c),
        );
        let (height, width) = (rows.len(), cols.len());
        let first = (rows.start, cols.start);
        let mut data = vec![0.0; height * width];
        if self.view.row_stride == 1 && height > 0 {
            for (to, c) in cols.enumerate() {
                for (r, &x) in self.run(rows.start, c, height).iter().enumerate() {
                    data[r * width + to] = x;
                }
            }
        } else if width > 0 {
            for (r, row) in rows.zip(data.chunks_exact_mut(width)) {
                row.copy_from_slice(&self.run(r, cols.start, width));
            }
        }
        for &(r, c, value) in &self.changes {
            if (first.0..first.0 + height).contains(&r) && (first.1..first.1 + width).contains(&c) {
                data[(r - first.0) * width + c - first.1] = value;
            }
        }
        Recorded {
            shape: vec![height, width],
            data: data.into(),
        }
    }

    /// `len` numbers that lie one behind the other in memory, from (r, c) on.
    fn run(&self, r: usize, c: usize, len: usize) -> Cow<'a, [f32]> {
        let WeightView { rows, cols, .. } = self.view;
        assert!(r < rows && c < cols, "({r}, {c}) of {rows}×{cols}");
        self.parameters
            .run_of(self.view.param, self.view.place(r, c), len)
    }
}
