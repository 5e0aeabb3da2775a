//! All that is changed in one run.

use glassformer_model::{BlockSite, Model, Site, WeightName};

use super::{Change, Edit, Part, WeightEdit};
use crate::TraceError;

/// The largest number that may be put in: what is made of it stays finite.
const LARGEST: f32 = 1e6;

/// Changes of values and of parameters, for one run; the model stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edits {
    /// In this order, where they change the same value.
    pub values: Vec<Edit>,
    /// The last counts, where they set the same number.
    pub weights: Vec<WeightEdit>,
}

impl From<Vec<Edit>> for Edits {
    fn from(values: Vec<Edit>) -> Self {
        Self {
            values,
            weights: Vec::new(),
        }
    }
}

impl Edits {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.weights.is_empty()
    }

    /// Whether they fit a model, for a text of `positions` tokens, and leave every query something to look at.
    pub fn check(&self, model: &Model, positions: usize) -> Result<(), TraceError> {
        for edit in &self.values {
            edit.check(&*model.network, positions)?;
            let numbers: &[f32] = match &edit.change {
                Change::Scale(factor) => &[*factor],
                // A score of −∞ is the mask.
                Change::Replace(values) if !super::is_masked(edit.site) => values,
                Change::Replace(_) | Change::Unmask => &[],
            };
            check_size(&edit.site, numbers)?;
        }
        for edit in &self.weights {
            edit.check(model)?;
            check_size(&edit.name, &[edit.to])?;
        }
        self.check_masks(model, positions)
    }

    /// The softmax of a row without any key would be no numbers.
    fn check_masks(&self, model: &Model, positions: usize) -> Result<(), TraceError> {
        for edit in &self.values {
            let (Part::Cell([head, query, _]), Site::Block { layer, site }) =
                (edit.part, edit.site)
            else {
                continue;
            };
            if site != BlockSite::Scores {
                continue;
            }
            let sees = model.network.attention(layer).sees;
            let mut open = vec![false; positions];
            open[sees.keys(query, positions, positions)].fill(true);
            for other in self.values.iter().filter(|other| other.site == edit.site) {
                if let Part::Cell([h, q, key]) = other.part
                    && (h, q) == (head, query)
                {
                    open[key] = !other.forbids();
                }
            }
            if !open.contains(&true) {
                return Err(TraceError::Edit {
                    edit: edit.site.to_string(),
                    reason: format!(
                        "query {query} of head {head} would have nothing left to look at; leave it one key"
                    ),
                });
            }
        }
        Ok(())
    }

    /// Whether they change this element of a site themselves, not only what it is made from.
    pub fn touches(&self, site: Site, index: &[usize]) -> bool {
        self.values.iter().any(|edit| edit.touches(site, index))
    }

    /// What elements of a parameter are set to: (row, column, value).
    pub(crate) fn of_weight(&self, model: &Model, name: WeightName) -> Vec<(usize, usize, f32)> {
        let places = self.weights.iter();
        places
            .filter_map(|edit| {
                let [row, column] = edit.place_in(model, name)?;
                Some((row, column, edit.to))
            })
            .collect()
    }
}

impl Edit {
    /// Whether it is a key that a query must not look at.
    fn forbids(&self) -> bool {
        matches!(&self.change, Change::Replace(values) if values.contains(&f32::NEG_INFINITY))
    }
}

fn check_size(place: &impl ToString, numbers: &[f32]) -> Result<(), TraceError> {
    let fits = |x: &f32| x.is_finite() && x.abs() <= LARGEST;
    if numbers.iter().all(fits) {
        return Ok(());
    }
    Err(TraceError::Edit {
        edit: place.to_string(),
        reason: format!("numbers put in lie between −{LARGEST} and {LARGEST}"),
    })
}
