//! Where one number comes from: the terms it is the sum (or the formula) of, each naming the cells it was made of.

mod recipe;
mod terms;

use glassformer_model::{BlockSite, BlockWeight, Model, Site, WeightName};

use crate::{Recording, TraceError};
use recipe::recipe;
use terms::Explainer;

/// A factor of a term: a recorded value, or a parameter.
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
}

impl Source {
    /// Its value.
    pub fn value(&self) -> f32 {
        match self {
            Self::Site { value, .. } | Self::Weight { value, .. } => *value,
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
    pub formula: &'static str,
    /// All terms, the largest in absolute value first.
    pub terms: Vec<Term>,
    /// Further numbers of the formula, by name: scale, max, sum, mean, std, gain, bias.
    pub extra: Vec<(&'static str, f64)>,
    /// The value put together again from the terms, in f64.
    pub recomputed: f64,
}

pub(crate) fn is_plane(site: Site) -> bool {
    matches!(
        site,
        Site::Block {
            site: BlockSite::Scores | BlockSite::Pattern,
            ..
        }
    )
}

/// Refuses the sites whose making is not told yet: what turns queries and keys, what multiplies a gate, and all of an
/// encoder, whose norms stand elsewhere.
fn explainable(model: &Model, site: Site) -> Result<(), TraceError> {
    if model.network.is_encoder() {
        return Err(TraceError::Missing(format!(
            "this model is an encoder; the terms of {site} cannot be shown yet"
        )));
    }
    let Site::Block { layer, site: value } = site else {
        return Ok(());
    };
    let network = &model.network;
    let is_gated = network
        .weight(WeightName::block(layer, BlockWeight::Gate))
        .is_some();
    let is_turned = network.weight(WeightName::PosEmbed).is_none();
    match value {
        BlockSite::Q | BlockSite::K if is_turned => Err(TraceError::Missing(format!(
            "{site} is turned by its position in this model; its terms cannot be shown yet"
        ))),
        BlockSite::MlpPre | BlockSite::MlpPost if is_gated => Err(TraceError::Missing(format!(
            "{site} is gated in this model; its terms cannot be shown yet"
        ))),
        _ => Ok(()),
    }
}

/// Explains element `index` of `site` in a recording of every site.
pub fn explain(
    model: &Model,
    recording: &Recording,
    site: Site,
    index: &[usize],
) -> Result<Cell, TraceError> {
    let value = recording.at(site, index)?;
    let dimensions = model.dimensions();
    let explainer = Explainer {
        model,
        recording,
        dimensions,
        index,
    };
    explainable(model, site)?;
    let mut cell = explainer.make(&recipe(site, dimensions.n_layers))?;
    cell.terms
        .sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
    Ok(Cell {
        site,
        index: index.to_vec(),
        value,
        ..cell
    })
}
