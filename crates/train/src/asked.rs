//! Which rows of a batch are learned from: all, or those whose target is asked for.

use glassformer_model::unembed::PickRows;
use glassformer_model::{Pass, Value};
use glassformer_tensor::{Buffers, Ids};

use crate::data::is_asked;

/// The rows whose target is asked for, and these targets.
pub(crate) enum Asked<'a> {
    /// All of them.
    All(&'a [u32]),
    /// Some.
    Some { rows: Ids, targets: Ids },
}

impl<'a> Asked<'a> {
    /// Of `targets`, one for each row.
    pub(crate) fn of(buffers: &Buffers, targets: &'a [u32]) -> Self {
        let asked = || {
            (0u32..)
                .zip(targets)
                .filter(|(_, target)| is_asked(**target))
        };
        let count = asked().count();
        if count == targets.len() {
            return Self::All(targets);
        }
        let ids = |values: &mut dyn Iterator<Item = u32>| {
            Ids::new(buffers, (0..count).map(|_| values.next().expect("counted")))
        };
        Self::Some {
            rows: ids(&mut asked().map(|(row, _)| row)),
            targets: ids(&mut asked().map(|(_, &target)| target)),
        }
    }

    /// The targets.
    pub(crate) fn targets(&self) -> &[u32] {
        match self {
            Self::All(targets) => targets,
            Self::Some { targets, .. } => targets,
        }
    }

    /// Their rows of a value `[N,D]`.
    pub(crate) fn pick(&self, pass: &mut Pass<'_>, x: Value) -> Value {
        match self {
            Self::All(_) => x,
            Self::Some { rows, .. } => pass.apply(PickRows(rows.clone()), [&x]),
        }
    }
}
