//! Where one number comes from: the terms it is the sum (or the formula) of, each naming the cells it was made of.
//!
//! The terms are made again in `f64` from the recorded values and from what the parameters mean. Where the engine rounds
//! operands of products (bf16, or activations in 8 bits before blocks of a file), the number that it computed differs from
//! the terms' sum by that rounding: [`Cell::value`] and [`Cell::recomputed`] say how much.

pub(crate) mod recipe;
mod terms;

use glassformer_model::{Model, Site, WeightName};

use crate::{Recording, TraceError};
pub(crate) use recipe::behind;
use recipe::recipe;
use terms::Explainer;

/// A factor of a term: a recorded value, a parameter, or an angle's cosine or sine.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A cell that can be opened in turn.
    Site {
        /// Where.
        site: Site,
        /// Which element.
        index: Vec<usize>,
        /// Its value.
        value: f32,
    },
    /// A parameter.
    Weight {
        /// Which.
        weight: WeightName,
        /// Which element: [row, column], or [i] of a vector.
        index: Vec<usize>,
        /// Its value.
        value: f32,
    },
    /// By how much a pair of a head's numbers is turned: a function of their place alone.
    Angle {
        /// `cos`, `sin` or `-sin`.
        function: &'static str,
        /// [position, pair].
        index: Vec<usize>,
        /// Its value.
        value: f32,
    },
}

impl Source {
    /// Its value.
    pub fn value(&self) -> f32 {
        match self {
            Self::Site { value, .. } | Self::Weight { value, .. } | Self::Angle { value, .. } => {
                *value
            }
        }
    }
}

/// One addend.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// What it adds.
    pub value: f64,
    /// First factor.
    pub left: Source,
    /// Second factor; none where the term is the first alone.
    pub right: Option<Source>,
}

impl Term {
    /// left · right.
    fn product(left: Source, right: Source) -> Self {
        Self {
            value: f64::from(left.value()) * f64::from(right.value()),
            left,
            right: Some(right),
        }
    }

    /// left.
    fn alone(left: Source) -> Self {
        Self {
            value: f64::from(left.value()),
            left,
            right: None,
        }
    }
}

/// How a number was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Where it is.
    pub site: Site,
    /// Which element.
    pub index: Vec<usize>,
    /// As the engine computed it.
    pub value: f32,
    /// The kind of operation, as in the API's documentation.
    pub op: &'static str,
    /// The equation, in the page's notation.
    pub formula: String,
    /// All terms, the largest in absolute value first.
    pub terms: Vec<Term>,
    /// Further numbers of the formula, by name: scale, max, sum, mean, std, rms, gain, bias, activated.
    pub extra: Vec<(&'static str, f64)>,
    /// The value put together again from the terms, in f64.
    pub recomputed: f64,
    /// Whether an edit of the run changed it after it was made: then `recomputed` is what it was before.
    pub edited: bool,
}

pub(crate) fn is_plane(site: Site) -> bool {
    matches!(site.alone().1, Site::Block { site, .. } if site.is_plane())
}

/// Explains element `index` of `site` in a recording of every site that it is made from.
pub fn explain(
    model: &Model,
    recording: &Recording,
    site: Site,
    index: &[usize],
) -> Result<Cell, TraceError> {
    if model.network.pair().is_some() {
        let reason = "cells of encoder–decoders cannot be explained yet";
        return Err(TraceError::Missing(reason.to_owned()));
    }
    let value = recording.at(site, index)?;
    let explainer = Explainer {
        model,
        recording,
        dimensions: model.dimensions(),
        index,
    };
    let mut cell = explainer.make(&recipe(&*model.network, site))?;
    cell.terms
        .sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
    Ok(Cell {
        site,
        index: index.to_vec(),
        value,
        edited: recording.edits().touches(site, index),
        ..cell
    })
}
