//! What a run learns from: windows of a text, or pairs of sentences. The loop knows a batch and nothing else.

use std::ops::Range;

use glassformer_model::{Lengths, Mode, Pass, Run};

use crate::data::pairs::{PairBatch, PairBatches};
use crate::data::{Batches, Windows, is_asked};

/// Batches to learn from and to be measured on.
#[derive(Clone, Debug)]
pub enum Material {
    /// Random windows of a text, and evenly spread ones of another.
    Text {
        /// To learn from.
        train: Batches,
        /// To be measured on.
        validation: Windows,
    },
    /// Pairs of like length.
    Pairs {
        /// To learn from.
        train: PairBatches,
        /// To be measured on.
        validation: Box<PairBatches>,
        /// How many batches of these an evaluation takes at most.
        at_most: usize,
    },
}

/// A batch, in memory that is used again for the next.
pub enum Batch {
    /// Windows of one length.
    Text {
        /// Ids, and the ids that follow them: [B,T] each.
        tokens: [Vec<u32>; 2],
        /// B, of the batch at hand.
        rows: usize,
        /// T.
        context: usize,
    },
    /// Pairs.
    Pairs(PairBatch),
}

impl Batch {
    /// What the network that predicts reads, and what it shall say: as long.
    pub fn tokens(&self) -> [&[u32]; 2] {
        match self {
            Self::Text {
                tokens: [x, y],
                rows,
                context,
            } => [&x[..rows * context], &y[..rows * context]],
            Self::Pairs(pairs) => [&pairs.input, &pairs.target],
        }
    }

    /// Tokens that are read, of pairs on both sides.
    pub fn read(&self) -> usize {
        match self {
            Self::Text { .. } => self.tokens()[0].len(),
            Self::Pairs(pairs) => pairs.tokens(),
        }
    }

    /// Targets that are asked for.
    pub fn asked(&self) -> usize {
        self.tokens()[1]
            .iter()
            .filter(|&&target| is_asked(target))
            .count()
    }

    /// A pass over it.
    pub fn pass<'a>(&self, run: Run<'a>, mode: Mode<'a>) -> Pass<'a> {
        match self {
            Self::Text { rows, context, .. } => Pass::new(run, *rows, *context, mode),
            Self::Pairs(pairs) => {
                let lengths = |lengths: &[usize]| Lengths::of(lengths.iter().copied());
                Pass::over(run, lengths(&pairs.target_lengths), mode)
                    .with_source(&pairs.source, lengths(&pairs.source_lengths))
            }
        }
    }
}

impl Material {
    /// Room for a batch.
    pub fn room(&self) -> Batch {
        match self {
            Self::Text { train, .. } => Batch::Text {
                tokens: [vec![0; train.tokens()], vec![0; train.tokens()]],
                rows: 0,
                context: train.context(),
            },
            Self::Pairs { .. } => Batch::Pairs(PairBatch::default()),
        }
    }

    /// Whether batches differ in how much is asked for: so does then the memory that a step takes.
    pub fn is_uneven(&self) -> bool {
        match self {
            Self::Text { train, .. } => train.is_marked(),
            Self::Pairs { .. } => true,
        }
    }

    /// Puts batch number `index` of those to learn from into `batch`.
    pub fn train(&self, index: u64, batch: &mut Batch) {
        match (self, batch) {
            (
                Self::Text { train, .. },
                Batch::Text {
                    tokens: [x, y],
                    rows,
                    context,
                },
            ) => {
                train.batch(index, x, y);
                *rows = x.len() / *context;
            }
            (Self::Pairs { train, .. }, Batch::Pairs(pairs)) => train.batch(index, pairs),
            _ => unreachable!("made by room"),
        }
    }

    /// Targets of all batches `indices`, where batches differ in them and their losses must be weighed.
    pub(crate) fn targets(&self, indices: Range<u64>) -> Option<usize> {
        match self {
            Self::Text { .. } => None,
            Self::Pairs { train, .. } => Some(indices.map(|index| train.targets(index)).sum()),
        }
    }

    /// Batches of an evaluation.
    pub fn validation_len(&self) -> usize {
        match self {
            Self::Text { validation, .. } => validation.len(),
            Self::Pairs {
                validation,
                at_most,
                ..
            } => validation.len().min(*at_most),
        }
    }

    /// Puts batch number `index` of an evaluation into `batch`.
    pub fn validation(&self, index: usize, batch: &mut Batch) {
        match (self, batch) {
            (
                Self::Text { validation, .. },
                Batch::Text {
                    tokens: [x, y],
                    rows,
                    ..
                },
            ) => *rows = validation.batch(index, x, y),
            (Self::Pairs { validation, .. }, Batch::Pairs(pairs)) => {
                // Spread over all lengths where not all are taken.
                let place = index * validation.len() / self.validation_len();
                validation.unshuffled(place, pairs);
            }
            _ => unreachable!("made by room"),
        }
    }

    /// Tokens of a batch, of pairs at most and on both sides.
    pub fn batch_tokens(&self) -> usize {
        match self {
            Self::Text { train, .. } => train.tokens(),
            Self::Pairs { train, .. } => train.max_tokens(),
        }
    }

    /// Tokens of all that is learned from.
    pub fn corpus(&self) -> usize {
        match self {
            Self::Text { train, .. } => train.corpus(),
            Self::Pairs { train, .. } => {
                let [source, target] = train.shard().sides();
                source.len() + target.len()
            }
        }
    }
}
