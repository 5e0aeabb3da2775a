//! What a visitor changes in a run, as the page sends it.

use glassformer_model::{Site, WeightName};
use glassformer_trace::{Change, Edit, Edits, Part, Replay, WeightEdit};
use serde::Deserialize;

use super::run::{Asked, Prompt};
use crate::error::ApiError;
use crate::state::Shared;

/// Edits of one run; a mask for all heads counts once for each.
const MOST: usize = 4096;

/// One change.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum EditRequest {
    /// A part is switched off: `blocks.2.head.3`, `blocks.0.mlp`, `blocks.1.attn`.
    Off { part: String },
    /// A part is multiplied.
    Scale { part: String, by: f32 },
    /// One number of a site is set.
    Set {
        site: String,
        at: Vec<usize>,
        to: f32,
    },
    /// A query may look at a key, or may not: in one head, in all of a layer, or in all.
    Mask {
        layer: Option<usize>,
        head: Option<usize>,
        query: usize,
        key: usize,
        allow: bool,
    },
    /// One number of a parameter is set, in this run alone.
    Weight {
        name: String,
        at: [usize; 2],
        to: f32,
    },
    /// What another text has at a site, at its position `from` (its last without it), is put in at `to`.
    Paste {
        site: String,
        to: usize,
        text: String,
        from: Option<usize>,
    },
}

/// All changes of a run over `positions` tokens, checked; the first that does not fit is told.
pub(crate) fn read<'a>(
    shared: &Shared,
    asked: impl Iterator<Item = &'a EditRequest>,
    chat: bool,
    positions: usize,
) -> Result<Edits, ApiError> {
    let mut edits = Edits::default();
    for edit in asked {
        add(shared, edit, chat, &mut edits)?;
        if edits.values.len() + edits.weights.len() > MOST {
            return Err(ApiError::bad(format!("more than {MOST} edits; undo some")));
        }
    }
    edits.check(shared.model(), positions)?;
    Ok(edits)
}

fn add(shared: &Shared, edit: &EditRequest, chat: bool, to: &mut Edits) -> Result<(), ApiError> {
    let network = &*shared.model().network;
    match edit {
        EditRequest::Off { part } => to.values.push(Edit::parse(part, Change::Scale(0.0))?),
        EditRequest::Scale { part, by } => to.values.push(Edit::parse(part, Change::Scale(*by))?),
        EditRequest::Set { site, at, to: x } => {
            let site = site_of(site)?;
            let change = Change::Replace(vec![*x]);
            to.values.push(Edit::at(site, at, change, network)?);
        }
        &EditRequest::Mask {
            layer,
            head,
            query,
            key,
            allow,
        } => to
            .values
            .extend(mask(shared, [layer, head], [query, key], allow)),
        EditRequest::Weight { name, at, to: x } => {
            let name: WeightName = name.parse().map_err(ApiError::bad)?;
            to.weights.push(WeightEdit {
                name,
                at: *at,
                to: *x,
            });
        }
        EditRequest::Paste {
            site,
            to: position,
            text,
            from,
        } => {
            let text = text.clone();
            let other = Prompt::read(shared, &Asked { text, chat })?;
            let site = site_of(site)?;
            to.values
                .push(paste(shared, site, *position, &other, *from)?);
        }
    }
    Ok(())
}

/// A site that the run uses.
fn site_of(name: &str) -> Result<Site, ApiError> {
    Ok(Edit::parse(name, Change::Scale(1.0)).map(|edit| edit.site)?)
}

/// The same cell of the mask in one head or in many.
fn mask(
    shared: &Shared,
    [layer, head]: [Option<usize>; 2],
    [query, key]: [usize; 2],
    allow: bool,
) -> Vec<Edit> {
    let dimensions = shared.model().dimensions();
    let some = |one: Option<usize>, all: usize| one.map_or(0..all, |one| one..one + 1);
    let change = if allow {
        Change::Unmask
    } else {
        Change::Replace(vec![f32::NEG_INFINITY])
    };
    let places = some(layer, dimensions.n_layers)
        .flat_map(|layer| some(head, dimensions.n_heads).map(move |head| (layer, head)));
    places
        .map(|(layer, head)| Edit {
            site: Site::block(layer, glassformer_model::BlockSite::Scores),
            part: Part::Cell([head, query, key]),
            change: change.clone(),
        })
        .collect()
}

fn paste(
    shared: &Shared,
    site: Site,
    to: usize,
    other: &Prompt,
    from: Option<usize>,
) -> Result<Edit, ApiError> {
    // In the same way as its own trace: the same bits.
    let run = Replay::run(
        shared.model(),
        shared.pool(),
        other.ids.clone(),
        Edits::default(),
    );
    let run = run.around(shared.model(), shared.pool(), site);
    let from = from.unwrap_or(other.ids.len() - 1);
    Ok(Edit::paste(site, to, run.get(site)?, from)?)
}
