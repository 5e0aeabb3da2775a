//! Changes to values on their way through the model: ablation, scaling, patching, masks, numbers set by hand.

mod editor;
mod set;
mod weight;

pub(crate) use editor::Editor;
pub use set::Edits;
pub use weight::WeightEdit;

use glassformer_model::{BlockSite, Dimensions, Network, Site, ViewMut};

use crate::cell::is_plane;
use crate::{Recorded, TraceError};

/// Which part of a site's value is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    All,
    /// One head of `q`, `k`, `v`, `z`, `scores` or `pattern`.
    Head(usize),
    /// One position (the query's, for `scores` and `pattern`).
    Position(usize),
    /// One number: [position, head, entry] of sites with heads, [head, query, key] of `scores` and `pattern`,
    /// [position, 0, entry] of all others.
    Cell([usize; 3]),
}

impl Part {
    /// The element at an index as sites have it; `None` where it has neither two nor three axes.
    pub fn cell(index: &[usize]) -> Option<Self> {
        match *index {
            [position, entry] => Some(Self::Cell([position, 0, entry])),
            [a, b, c] => Some(Self::Cell([a, b, c])),
            _ => None,
        }
    }
}

/// What happens to the part.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Multiplied by a factor; 0 is ablation.
    Scale(f32),
    /// Replaced by these values (of the part's size, row-major).
    Replace(Vec<f32>),
    /// A score that the mask hides becomes what query and key give: q·k/√E.
    Unmask,
}

/// A change of one value of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// Where.
    pub site: Site,
    /// Which part.
    pub part: Part,
    /// How.
    pub change: Change,
}

const LOOKS: &str = "edits look like blocks.2.head.3, blocks.0.mlp, blocks.1.attn, blocks.4.z.head.0, ln_final or blocks.1.resid_post[5]";

impl Edit {
    /// Reads what `--ablate` takes and gives an edit with `change`.
    ///
    /// `blocks.2.head.3` is head 3's part of `z`; `blocks.2.attn` and `blocks.2.mlp` are what these parts add; any site,
    /// alone, with `.head.3`, or with a position in brackets.
    pub fn parse(text: &str, change: Change) -> Result<Self, TraceError> {
        let error = |reason: String| TraceError::Edit {
            edit: text.to_owned(),
            reason,
        };
        let (rest, mut part) = match text.strip_suffix(']').and_then(|t| t.rsplit_once('[')) {
            Some((rest, position)) => {
                let position = position
                    .parse()
                    .map_err(|_| error(format!("{position:?} is no position; {LOOKS}")))?;
                (rest, Part::Position(position))
            }
            None => (text, Part::All),
        };
        let mut name = rest.to_owned();
        if let Some((before, head)) = rest.rsplit_once(".head.") {
            if part != Part::All {
                return Err(error(
                    "a head and a position cannot be given together".to_owned(),
                ));
            }
            part = Part::Head(
                head.parse()
                    .map_err(|_| error(format!("{head:?} is no head; {LOOKS}")))?,
            );
            before.clone_into(&mut name);
            let is_bare = before
                .strip_prefix("blocks.")
                .is_some_and(|layer| !layer.contains('.'));
            if is_bare {
                name.push_str(".z");
            }
        } else if let Some(("blocks", rest)) = rest.split_once('.')
            && let Some((_, "attn" | "mlp")) = rest.split_once('.')
        {
            name.push_str("_out");
        }
        let site: Site = name
            .parse()
            .map_err(|_| error(format!("there is no such site; {LOOKS}")))?;
        if matches!(site, Site::Tokens | Site::TokenTypes | Site::Probs) {
            return Err(error(format!(
                "{site} is not used by the model afterwards, so a change would do nothing"
            )));
        }
        if matches!(part, Part::Head(_)) && !has_heads(site) {
            return Err(error(no_heads(site)));
        }
        Ok(Self { site, part, change })
    }

    /// Reads `text` as [`Edit::parse`] does; the part gets the values that it has in `recorded`, another run's value at
    /// the same site (activation patching).
    pub fn patch(
        text: &str,
        recorded: &Recorded,
        network: &dyn Network,
        positions: usize,
    ) -> Result<Self, TraceError> {
        let edit = Self::parse(text, Change::Scale(0.0))?;
        // One position may come from a text of any length.
        let alone = matches!(edit.part, Part::Position(_)) && !is_plane(edit.site);
        let length = if alone { recorded.shape[0] } else { positions };
        let needed = edit.site.shape(&network.dimensions(), length);
        if recorded.shape != needed {
            let reason = format!(
                "the file has {:?} there, this run {needed:?}; patch from a text of as many tokens",
                recorded.shape
            );
            return Err(TraceError::Edit {
                edit: text.to_owned(),
                reason,
            });
        }
        edit.check(network, length)?;
        let width = if is_plane(edit.site) {
            length
        } else {
            needed[1..].iter().product()
        };
        let rows = recorded.data.chunks_exact(width).enumerate();
        let values = rows
            .filter_map(|(row, values)| Some(&values[edit.columns(&needed, row, width)?]))
            .flatten()
            .copied()
            .collect();
        Ok(Self {
            change: Change::Replace(values),
            ..edit
        })
    }

    /// Whether it fits a network, for a text of `positions` tokens.
    pub fn check(&self, network: &dyn Network, positions: usize) -> Result<(), TraceError> {
        let error = |reason: String| TraceError::Edit {
            edit: self.site.to_string(),
            reason,
        };
        let dimensions = network.dimensions();
        match (self.site, self.part) {
            (Site::Block { layer, .. }, _) if layer >= dimensions.n_layers => Err(error(format!(
                "the model has blocks 0 to {}",
                dimensions.n_layers - 1
            ))),
            (site, _) if !network.sites().contains(&site) => {
                Err(error("this model has no such site".to_owned()))
            }
            (site, Part::Head(_)) if !has_heads(site) => Err(error(no_heads(site))),
            (site, Part::Head(head)) if head >= heads(site, &dimensions) => Err(error(format!(
                "{site} has heads 0 to {}",
                heads(site, &dimensions) - 1
            ))),
            (_, Part::Position(position)) if position >= positions => Err(error(format!(
                "the text has positions 0 to {}",
                positions - 1
            ))),
            (site, Part::Cell(index)) if !is_inside(index, &site.shape(&dimensions, positions)) => {
                Err(error(format!(
                    "it has shape {:?}; there is no element {index:?}",
                    site.shape(&dimensions, positions)
                )))
            }
            (site, _) if self.change == Change::Unmask && !is_masked(site) => {
                Err(error("only scores have a mask".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// A change of the element at `index`, as the site's shape has it.
    pub fn at(
        site: Site,
        index: &[usize],
        change: Change,
        network: &dyn Network,
    ) -> Result<Self, TraceError> {
        let axes = site.shape(&network.dimensions(), 1).len();
        let part = Part::cell(index).filter(|_| index.len() == axes);
        let part = part.ok_or_else(|| TraceError::Edit {
            edit: site.to_string(),
            reason: format!("it has {axes} axes; {index:?} is no element of it"),
        })?;
        Ok(Self { site, part, change })
    }

    /// Position `from` of another run's value at `site` is put in at position `to` (activation patching).
    pub fn paste(
        site: Site,
        to: usize,
        recorded: &Recorded,
        from: usize,
    ) -> Result<Self, TraceError> {
        let error = |reason: String| TraceError::Edit {
            edit: site.to_string(),
            reason,
        };
        if is_plane(site) {
            let reason = "scores and pattern belong to one text; paste a value of a position";
            return Err(error(reason.to_owned()));
        }
        let rows = recorded.shape[0];
        let width: usize = recorded.shape[1..].iter().product();
        let row = recorded.data.chunks_exact(width.max(1)).nth(from);
        let row =
            row.ok_or_else(|| error(format!("the other text has positions 0 to {}", rows - 1)))?;
        Ok(Self {
            site,
            part: Part::Position(to),
            change: Change::Replace(row.to_vec()),
        })
    }

    /// Whether it changes this element.
    fn touches(&self, site: Site, index: &[usize]) -> bool {
        let plane = is_plane(site);
        self.site == site
            && match self.part {
                Part::All => true,
                Part::Head(head) => index.get(usize::from(!plane)) == Some(&head),
                Part::Position(position) => index.get(usize::from(plane)) == Some(&position),
                Part::Cell(_) => Part::cell(index) == Some(self.part),
            }
    }

    /// Changes the value.
    pub(crate) fn apply(&self, mut value: ViewMut<'_>) {
        let shape = value.shape.clone();
        let mut source = match &self.change {
            Change::Replace(values) => values.as_slice(),
            Change::Scale(_) | Change::Unmask => &[],
        };
        let keep_mask = is_masked(self.site);
        for (row, values) in value.rows().enumerate() {
            let Some(columns) = self.columns(&shape, row, values.len()) else {
                continue;
            };
            for x in &mut values[columns] {
                match self.change {
                    // A masked score stays masked, whatever the factor.
                    Change::Scale(_) if keep_mask && *x == f32::NEG_INFINITY => {}
                    Change::Scale(factor) => *x *= factor,
                    // The editor knows query and key.
                    Change::Unmask => {}
                    Change::Replace(_) => {
                        // Values beyond those given stay as they are.
                        if let Some((first, rest)) = source.split_first() {
                            *x = *first;
                            source = rest;
                        }
                    }
                }
            }
        }
    }

    /// Which columns of row `row` belong to the part.
    fn columns(&self, shape: &[usize], row: usize, width: usize) -> Option<std::ops::Range<usize>> {
        match self.part {
            Part::All => Some(0..width),
            // Scores and pattern are [H,T,S] in rows of S; the others [T,H,E] in rows of H·E.
            Part::Head(head) if is_plane(self.site) => (row / shape[1] == head).then_some(0..width),
            Part::Head(head) => {
                let d_head = *shape.last()?;
                Some(head * d_head..(head + 1) * d_head)
            }
            Part::Position(position) if is_plane(self.site) => {
                (row % shape[1] == position).then_some(0..width)
            }
            Part::Position(position) => (row == position).then_some(0..width),
            Part::Cell([head, query, key]) if is_plane(self.site) => {
                (row == head * shape[1] + query).then_some(key..key + 1)
            }
            Part::Cell([position, head, entry]) => {
                let at = head * shape.last()? + entry;
                (row == position).then_some(at..at + 1)
            }
        }
    }
}

fn is_inside([a, b, c]: [usize; 3], shape: &[usize]) -> bool {
    match *shape {
        [first, last] => a < first && b == 0 && c < last,
        [first, middle, last] => a < first && b < middle && c < last,
        _ => false,
    }
}

fn has_heads(site: Site) -> bool {
    use BlockSite::{K, KNorm, KPre, Pattern, Q, QNorm, QPre, Scores, V, Z};
    matches!(
        site,
        Site::Block {
            site: QPre | KPre | QNorm | KNorm | Q | K | V | Z | Scores | Pattern,
            ..
        }
    )
}

/// How many heads a site has that has heads: several of queries may share one of keys and values.
fn heads(site: Site, dimensions: &Dimensions) -> usize {
    match site.shape(dimensions, 1)[..] {
        [heads, _, _] if is_plane(site) => heads,
        [_, heads, _] => heads,
        _ => 0,
    }
}

fn no_heads(site: Site) -> String {
    format!("{site} has no heads; q, k, v, z, scores and pattern have")
}

fn is_masked(site: Site) -> bool {
    matches!(
        site,
        Site::Block {
            site: BlockSite::Scores,
            ..
        }
    )
}

#[cfg(test)]
mod tests {
    use super::{Change, Edit, Part};

    #[test]
    fn reads_the_forms_of_the_command_line() {
        let parse = |text: &str| {
            Edit::parse(text, Change::Scale(0.0)).map(|e| (e.site.to_string(), e.part))
        };
        assert_eq!(
            parse("blocks.2.head.3"),
            Ok(("blocks.2.z".to_owned(), Part::Head(3)))
        );
        assert_eq!(
            parse("blocks.0.mlp"),
            Ok(("blocks.0.mlp_out".to_owned(), Part::All))
        );
        assert_eq!(
            parse("blocks.1.attn"),
            Ok(("blocks.1.attn_out".to_owned(), Part::All))
        );
        assert_eq!(
            parse("blocks.1.pattern.head.2"),
            Ok(("blocks.1.pattern".to_owned(), Part::Head(2)))
        );
        assert_eq!(parse("ln_final"), Ok(("ln_final".to_owned(), Part::All)));
        assert_eq!(
            parse("blocks.1.resid_post[5]"),
            Ok(("blocks.1.resid_post".to_owned(), Part::Position(5)))
        );
        for wrong in [
            "",
            "blocks.2",
            "blocks.2.head.x",
            "blocks.0.ln1.head.1",
            "probs",
            "embed[",
            "embed[x]",
            "é",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
