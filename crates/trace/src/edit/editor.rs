//! Edits at work: what a hook asks while a pass runs.

use std::collections::BTreeMap;

use glassformer_model::{BlockSite, Model, Site, View, ViewMut};

use super::weight::{Effect, Factor};
use super::{Change, Edit, Edits, Part};

/// A value of the pass that later changes need.
struct Seen {
    width: usize,
    /// The last axis: a norm's row.
    inner: usize,
    data: Vec<f32>,
}

impl Seen {
    fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.width..][..self.width]
    }
}

/// Changes the values of one pass.
pub(crate) struct Editor<'a> {
    model: &'a Model,
    values: &'a [Edit],
    effects: Vec<Effect>,
    /// Where a pass begins in the middle: what was done to that value is done.
    skips: Option<Site>,
    seen: BTreeMap<Site, Seen>,
}

impl<'a> Editor<'a> {
    pub(crate) fn new(model: &'a Model, edits: &'a Edits) -> Self {
        let newest = |&(i, edit): &(usize, &super::WeightEdit)| {
            let later = &edits.weights[i + 1..];
            !later
                .iter()
                .any(|other| other.place_in(model, edit.name) == Some(edit.at))
        };
        let weights = edits.weights.iter().enumerate().filter(newest);
        Self {
            model,
            values: &edits.values,
            effects: weights.flat_map(|(_, edit)| edit.effects(model)).collect(),
            skips: None,
            seen: BTreeMap::new(),
        }
    }

    /// The same, for a pass that begins with the value at `entry`.
    pub(crate) fn from(self, entry: Site) -> Self {
        Self {
            skips: Some(entry),
            ..self
        }
    }

    /// Changed parameters alone, for what is computed beside the run.
    pub(crate) fn of_weights(model: &'a Model, edits: &'a Edits) -> Self {
        Self {
            values: &[],
            ..Self::new(model, edits)
        }
    }

    /// A value that the pass begins behind: rows of `width`.
    pub(crate) fn give(&mut self, site: Site, width: usize, rows: &[f32]) {
        let seen = Seen {
            width,
            inner: width,
            data: rows.to_vec(),
        };
        self.seen.insert(site, seen);
    }

    /// Whether a value is changed.
    pub(crate) fn edits(&self, site: Site) -> bool {
        self.skips != Some(site)
            && (self.values.iter().any(|edit| edit.site == site)
                || self.effects.iter().any(|effect| effect.site == site))
    }

    /// Whether a later change needs this value: [`Editor::note`] wants it.
    pub(crate) fn needs(&self, site: Site) -> bool {
        let of_mask = |edit: &Edit| match (edit.site, site) {
            (Site::Block { layer, .. }, Site::Block { layer: own, site }) => {
                edit.change == Change::Unmask
                    && layer == own
                    && matches!(site, BlockSite::Q | BlockSite::K)
            }
            _ => false,
        };
        let of_weight = |effect: &Effect| match effect.factor {
            Factor::Input(input, _) | Factor::Normed(input, _) | Factor::Where(input, _) => {
                input == site
            }
            Factor::One | Factor::At(_) => false,
        };
        self.values.iter().any(of_mask) || self.effects.iter().any(of_weight)
    }

    /// Keeps a value, as changed.
    pub(crate) fn note(&mut self, site: Site, value: &View<'_>) {
        let mut rows = value.rows();
        let seen = Seen {
            width: rows.next().map_or(0, <[f32]>::len),
            inner: value.shape.last().copied().unwrap_or(0),
            data: value.to_vec(),
        };
        self.seen.insert(site, seen);
    }

    /// Changes a value: first by what weights make of it, then as it is set.
    pub(crate) fn apply(&self, site: Site, mut value: ViewMut<'_>) {
        for effect in self.effects.iter().filter(|effect| effect.site == site) {
            self.add(effect, value.reborrow());
        }
        for edit in self.values.iter().filter(|edit| edit.site == site) {
            match (&edit.change, edit.part) {
                (Change::Unmask, Part::Cell(at)) => self.unmask(site, at, value.reborrow()),
                _ => edit.apply(value.reborrow()),
            }
        }
    }

    fn add(&self, effect: &Effect, mut value: ViewMut<'_>) {
        let inner = value.shape.last().copied().unwrap_or(1);
        for (row, values) in value.rows().enumerate() {
            match effect.factor {
                // The gain of a norm of heads is the same for all of them.
                Factor::Normed(input, centred) => {
                    let Some(seen) = self.seen.get(&input) else {
                        return;
                    };
                    let groups = values.chunks_exact_mut(inner.min(seen.inner));
                    for (out, x) in groups.zip(seen.row(row).chunks_exact(seen.inner)) {
                        out[effect.column] += effect.delta * self.normed(x, effect.column, centred);
                    }
                }
                factor => values[effect.column] += effect.delta * self.factor(factor, row),
            }
        }
    }

    fn factor(&self, factor: Factor, row: usize) -> f32 {
        let at = |site, column: usize| {
            let seen: Option<&Seen> = self.seen.get(&site);
            seen.map_or(0.0, |seen| seen.row(row)[column])
        };
        match factor {
            Factor::Input(site, column) => at(site, column),
            Factor::Where(site, which) => f32::from(at(site, 0) == which),
            Factor::At(position) => f32::from(row == position),
            Factor::One | Factor::Normed(..) => 1.0,
        }
    }

    /// Element `i` of a row, normed, before gain and bias.
    fn normed(&self, row: &[f32], i: usize, centred: bool) -> f32 {
        let d = row.len() as f64;
        let mean = if centred {
            row.iter().copied().map(f64::from).sum::<f64>() / d
        } else {
            0.0
        };
        let square = |&x: &f32| (f64::from(x) - mean).powi(2);
        let variance = row.iter().map(square).sum::<f64>() / d;
        let eps = f64::from(self.model.network.norm_eps());
        ((f64::from(row[i]) - mean) / (variance + eps).sqrt()) as f32
    }

    /// The score of `[head, query, key]` as it would be without the mask.
    fn unmask(&self, site: Site, [head, query, key]: [usize; 3], mut value: ViewMut<'_>) {
        let Site::Block { layer, .. } = site else {
            return;
        };
        let at = |site| self.seen.get(&Site::block(layer, site));
        let (Some(q), Some(k)) = (at(BlockSite::Q), at(BlockSite::K)) else {
            return;
        };
        let dimensions = self.model.dimensions();
        let (e, queries) = (dimensions.d_head, value.shape[1]);
        let kv = head * dimensions.n_kv_heads / dimensions.n_heads;
        let q = &q.row(query)[head * e..][..e];
        let k = &k.row(key)[kv * e..][..e];
        let dot: f32 = q.iter().zip(k).map(|(q, k)| q * k).sum();
        if let Some(row) = value.rows().nth(head * queries + query)
            && row[key] == f32::NEG_INFINITY
        {
            row[key] = dot / (e as f32).sqrt();
        }
    }
}
