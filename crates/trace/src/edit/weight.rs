//! One parameter set by hand, for one run.
//!
//! The model's parameters are shared, and may be blocks of a file: they stay as they are. What the changed number makes is
//! changed instead: y = x·W + b with δ more in W[i,j] is δ·x[i] more in y[j], for every position.

use glassformer_model::{Model, Site, WeightName, WeightView};

use crate::TraceError;
use crate::cell::recipe::{Picks, Recipe, recipe};
use crate::weight::Weight;

/// One number of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightEdit {
    /// Which parameter.
    pub name: WeightName,
    /// Row and column; a vector has row 0.
    pub at: [usize; 2],
    /// What it is in this run.
    pub to: f32,
}

/// What a changed parameter changes: `delta` × something, added to column `column` of a site's rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Effect {
    pub(super) site: Site,
    pub(super) column: usize,
    pub(super) delta: f32,
    pub(super) factor: Factor,
}

/// With what the difference is multiplied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Factor {
    /// 1 in every row: a bias.
    One,
    /// Element `0.1` of the same row of this site: an entry of a matrix.
    Input(Site, usize),
    /// The normed element of the same row of this site: a gain. With the mean taken off, or not.
    Normed(Site, bool),
    /// 1 where this site holds this value: a row of a table.
    Where(Site, f32),
    /// 1 at this position.
    At(usize),
}

impl WeightEdit {
    /// Whether the model has it.
    pub(super) fn check(&self, model: &Model) -> Result<(), TraceError> {
        let [rows, columns] = Weight::of(model, self.name)?.shape();
        let [row, column] = self.at;
        if row < rows && column < columns {
            return Ok(());
        }
        Err(TraceError::OutOfRange {
            site: self.name.to_string(),
            shape: vec![rows, columns],
            index: vec![row, column],
        })
    }

    /// The same number's row and column in the parameter `name`, which may be another view of it (W_U of W_E).
    pub(super) fn place_in(&self, model: &Model, name: WeightName) -> Option<[usize; 2]> {
        let own = model.network.weight(self.name)?;
        let view = model.network.weight(name)?;
        let [row, column] = self.at;
        (own.param == view.param).then(|| find(&view, own.place(row, column)))?
    }

    /// Everything that it changes.
    pub(super) fn effects(&self, model: &Model) -> Vec<Effect> {
        let Ok(weight) = Weight::of(model, self.name) else {
            return Vec::new();
        };
        let delta = self.to - weight.at(self.at[0], self.at[1]);
        let effect = |site, column, factor| Effect {
            site,
            column,
            delta,
            factor,
        };
        let place = |name| self.place_in(model, name);
        let of = |site| match recipe(&*model.network, site) {
            Recipe::Row(_, table, picks) => place(table).map(|[row, column]| {
                let factor = match picks {
                    Picks::Value(which) => Factor::Where(which, row as f32),
                    Picks::Position => Factor::At(row),
                };
                effect(site, column, factor)
            }),
            Recipe::Linear(input, _, matrix, (_, bias)) => place(matrix)
                .map(|[row, column]| effect(site, column, Factor::Input(input, row)))
                .or_else(|| place(bias).map(|[_, column]| effect(site, column, Factor::One))),
            Recipe::Norm(input, gain, bias) => place(gain)
                .map(|[_, column]| effect(site, column, Factor::Normed(input, bias.is_some())))
                .or_else(|| place(bias?).map(|[_, column]| effect(site, column, Factor::One))),
            _ => None,
        };
        model.network.sites().into_iter().filter_map(of).collect()
    }
}

/// Row and column of the element at `place` of the parameter, if it is the view's.
fn find(view: &WeightView, place: usize) -> Option<[usize; 2]> {
    let from = place.checked_sub(view.offset)?;
    let [row, column] = if view.col_stride == 1 {
        [from / view.row_stride, from % view.row_stride]
    } else {
        [from % view.col_stride, from / view.col_stride]
    };
    (row < view.rows && column < view.cols).then_some([row, column])
}
