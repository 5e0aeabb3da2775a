//! How the rows of a pass are shared out among the sequences of its batch.

use std::ops::Range;
use std::sync::Arc;

use glassformer_kernels::attention::Sequences;

/// The sequences of a batch, one behind the other without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lengths {
    /// All of one length.
    Equal {
        /// B.
        batch: usize,
        /// T.
        positions: usize,
    },
    /// Of any lengths: row at which each begins, and at last the number of rows [B+1].
    Ragged(Arc<[usize]>),
}

impl Lengths {
    /// Sequences of these lengths, none of them empty.
    pub fn of(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut end = 0;
        let ends = lengths.into_iter().map(|length| {
            assert!(length > 0, "an empty sequence");
            end += length;
            end
        });
        let starts: Arc<[usize]> = std::iter::once(0).chain(ends).collect();
        match *starts {
            [0, positions] => Self::Equal {
                batch: 1,
                positions,
            },
            _ => Self::Ragged(starts),
        }
    }

    /// B.
    pub fn count(&self) -> usize {
        self.of_themselves().count()
    }

    /// Rows of all sequences.
    pub fn rows(&self) -> usize {
        self.of_themselves().rows()[0]
    }

    /// The rows of each sequence.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        (0..self.count()).map(|b| match self {
            Self::Equal { positions, .. } => b * positions..(b + 1) * positions,
            Self::Ragged(starts) => starts[b]..starts[b + 1],
        })
    }

    /// The same sequences, told one by one.
    pub(crate) fn ragged(&self) -> Self {
        let ends = self.ranges().map(|range| range.end);
        Self::Ragged(std::iter::once(0).chain(ends).collect())
    }

    /// As attention takes them, the keys being those of `sources`: both are told in the same way.
    pub(crate) fn with_keys_of<'a>(&'a self, sources: &'a Self) -> Sequences<'a> {
        match (self.of_themselves(), sources.of_themselves()) {
            (Sequences::Equal { batch, queries, .. }, Sequences::Equal { keys, .. }) => {
                Sequences::Equal {
                    batch,
                    queries,
                    keys,
                }
            }
            (Sequences::Ragged { queries, .. }, Sequences::Ragged { keys, .. }) => {
                Sequences::Ragged { queries, keys }
            }
            _ => panic!("targets and sources are told in the same way"),
        }
    }

    /// As attention takes them, the keys being those of the same rows.
    pub(crate) fn of_themselves(&self) -> Sequences<'_> {
        match self {
            &Self::Equal { batch, positions } => Sequences::Equal {
                batch,
                queries: positions,
                keys: positions,
            },
            Self::Ragged(starts) => Sequences::Ragged {
                queries: starts,
                keys: starts,
            },
        }
    }
}
