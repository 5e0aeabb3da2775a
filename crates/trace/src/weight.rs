//! Parameters by their field names, for the page and for provenance.

use std::borrow::Cow;
use std::ops::Range;

use glassformer_model::{Model, Parameters, WeightName, WeightView};

use crate::{Recorded, TraceError};

/// A named parameter. Of one that stays in its file, only the rows that are asked for are read.
#[derive(Clone)]
pub struct Weight<'a> {
    /// Its name.
    pub name: WeightName,
    view: WeightView,
    parameters: &'a Parameters,
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
        })
    }

    /// [rows, cols]; a vector has one row.
    pub fn shape(&self) -> [usize; 2] {
        [self.view.rows, self.view.cols]
    }

    /// Element (r, c).
    pub fn at(&self, r: usize, c: usize) -> f32 {
        self.run(r, c, 1)[0]
    }

    /// Column `c`: what one output is made with.
    pub fn column(&self, c: usize) -> Cow<'a, [f32]> {
        if self.view.row_stride == 1 {
            return self.run(0, c, self.view.rows);
        }
        (0..self.view.rows).map(|r| self.at(r, c)).collect()
    }

    /// All numbers, row-major.
    pub fn values(&self) -> Cow<'a, [f32]> {
        let WeightView { rows, cols, .. } = self.view;
        if self.view.col_stride == 1 && self.view.row_stride == cols {
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
