//! Parameters by their field names, for the page and for provenance.

use std::borrow::Cow;

use glassformer_model::{Model, WeightName, WeightView};

use crate::{Recorded, TraceError};

/// A named parameter and its numbers.
#[derive(Clone)]
pub struct Weight<'a> {
    /// Its name.
    pub name: WeightName,
    view: WeightView,
    data: Cow<'a, [f32]>,
}

impl<'a> Weight<'a> {
    /// Looks it up.
    pub fn of(model: &'a Model, name: WeightName) -> Result<Self, TraceError> {
        let missing = || TraceError::Missing(format!("this model has no {name}"));
        let view = model.network.weight(name).ok_or_else(missing)?;
        Ok(Self {
            name,
            view,
            data: model.parameters.values(view.param),
        })
    }

    /// [rows, cols]; a vector has one row.
    pub fn shape(&self) -> [usize; 2] {
        [self.view.rows, self.view.cols]
    }

    /// Element (r, c).
    pub fn at(&self, r: usize, c: usize) -> f32 {
        self.view.at(&self.data, r, c)
    }

    /// A part of it, dense; the ranges are cut to what there is.
    pub fn part(&self, rows: std::ops::Range<usize>, cols: std::ops::Range<usize>) -> Recorded {
        let [r, c] = self.shape();
        let (rows, cols) = (
            rows.start.min(r)..rows.end.min(r),
            cols.start.min(c)..cols.end.min(c),
        );
        let data = rows
            .clone()
            .flat_map(|r| cols.clone().map(move |c| self.at(r, c)))
            .collect();
        Recorded {
            shape: vec![rows.len(), cols.len()],
            data,
        }
    }
}
