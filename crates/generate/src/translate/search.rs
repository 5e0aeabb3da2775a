//! What is looked for, and how.

use glassformer_model::{Marks, Model};

use super::LengthPenalty;
use crate::{Sampling, SamplingError};

/// Ids with a meaning for whoever writes targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    /// Read before the first id of a target.
    pub start: u32,
    /// Each ends a target.
    pub ends: Vec<u32>,
    /// Never written.
    pub never: Vec<u32>,
    /// Always the first that is written (the language, for models of several).
    pub forced_first: Option<u32>,
    /// Written when a target has reached its longest length.
    pub forced_last: Option<u32>,
}

impl Ids {
    /// What the model's own config says, padding being never written; nothing, if it does not say how targets begin.
    pub fn of(model: &Model) -> Option<Self> {
        let Marks { start, end, pad } = model.network.pair()?.marks();
        Some(Self {
            start: start?,
            ends: end.into_iter().collect(),
            never: pad.into_iter().filter(|pad| Some(*pad) != end).collect(),
            forced_first: None,
            forced_last: None,
        })
    }

    /// Sets an end behind a source that has none, as encoders are used to.
    pub fn close(&self, source: &mut Vec<u32>) {
        let is_closed = source.last().is_some_and(|last| self.ends.contains(last));
        source.extend(self.ends.first().filter(|_| !is_closed));
    }

    /// All of them, with what they are for.
    fn all(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let of = |name, ids: &[u32]| ids.iter().map(move |&id| (name, id)).collect::<Vec<_>>();
        let forced = [self.forced_first, self.forced_last].into_iter().flatten();
        [
            of("the first id", &[self.start]),
            of("an id that ends", &self.ends),
            of("an id never to be written", &self.never),
            of("an id to be written always", &forced.collect::<Vec<_>>()),
        ]
        .into_iter()
        .flatten()
    }
}

/// The longest that a target may be, in ids with its end, and never longer than the model's context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Longest {
    /// So many.
    Ids(usize),
    /// As many as the source has and so many more (Vaswani et al. 2017, §6.1, has 50).
    BeyondSource(usize),
}

impl Longest {
    /// For a source of so many ids.
    pub fn of(self, source: usize) -> usize {
        match self {
            Self::Ids(most) => most,
            Self::BeyondSource(more) => source.saturating_add(more),
        }
    }
}

/// When a beam search ends, once `width` hypotheses have finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopping {
    /// At once (`early_stopping` true of transformers).
    WhenFull,
    /// When the best running one, if it ended here, would be no better than the worst of them (false).
    WhenUnlikely,
    /// When no running one can become better than the worst of them, the longest length given ("never").
    WhenSure,
}

/// How ids are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// The likeliest targets, with so many hypotheses side by side; 1 takes the likeliest id at each step.
    Beams {
        /// Hypotheses side by side.
        width: usize,
        /// When to end.
        stopping: Stopping,
    },
    /// Drawn.
    Sampling(Sampling),
}

/// Sentences side by side, where nobody says how many: with 4 or 5 beams each, products of some hundred rows.
pub const BATCH: usize = 64;

/// What is looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// How ids are chosen.
    pub way: Way,
    /// How hypotheses of different lengths are compared.
    pub penalty: LengthPenalty,
    /// Translations of each sentence, at most.
    pub n_best: usize,
    /// Sentences that are translated side by side: how fast, not what.
    pub batch: usize,
    /// The longest target.
    pub longest: Longest,
    /// Ids with a meaning.
    pub ids: Ids,
}

impl Search {
    /// Always the likeliest id.
    pub fn greedy(ids: Ids, longest: Longest) -> Self {
        Self {
            way: Way::Beams {
                width: 1,
                stopping: Stopping::WhenFull,
            },
            penalty: LengthPenalty::Power(1.0),
            n_best: 1,
            batch: BATCH,
            longest,
            ids,
        }
    }

    /// Whether it can be done with the model.
    ///
    /// # Errors
    /// [`SearchError`] says what cannot.
    pub fn check(&self, model: &Model) -> Result<(), SearchError> {
        if model.network.pair().is_none() {
            return Err(SearchError::NoPair(model.network.family()));
        }
        let vocab = model.dimensions().vocab;
        match self.way {
            Way::Beams { width, .. } if !(1..=vocab).contains(&width) => {
                return Err(SearchError::Width { width, vocab });
            }
            Way::Beams { width, .. } if self.n_best > width => {
                let n_best = self.n_best;
                return Err(SearchError::Best { n_best, width });
            }
            Way::Beams { .. } => {}
            Way::Sampling(sampling) => sampling.check()?,
        }
        if self.n_best == 0 {
            return Err(SearchError::Nothing);
        }
        let alpha = self.penalty.alpha();
        if !(-10.0..=10.0).contains(&alpha) {
            return Err(SearchError::Penalty(alpha));
        }
        match self.ids.all().find(|(_, id)| *id as usize >= vocab) {
            Some((what, id)) => Err(SearchError::Id { what, id, vocab }),
            None => Ok(()),
        }
    }
}

/// Whether the encoder can read the sources.
pub(super) fn check_sources(model: &Model, sources: &[&[u32]]) -> Result<(), SearchError> {
    let sizes = match model.network.pair() {
        Some(pair) => pair.encoder(),
        None => model.dimensions(),
    };
    for (i, source) in sources.iter().enumerate() {
        let (n, ids, most) = (i + 1, source.len(), sizes.n_ctx);
        if !(1..=most).contains(&ids) {
            return Err(SearchError::Source { n, ids, most });
        }
        if let Some(&id) = source.iter().find(|id| **id as usize >= sizes.vocab) {
            let vocab = sizes.vocab;
            return Err(SearchError::Unknown { n, id, vocab });
        }
    }
    Ok(())
}

/// What cannot be searched for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SearchError {
    #[error("a {0} model reads and writes one text; translating takes an encoder–decoder")]
    NoPair(&'static str),
    #[error(
        "{width} beams cannot be: from 1 to the {vocab} ids of the vocabulary; 4 or 5 are usual"
    )]
    Width { width: usize, vocab: usize },
    #[error("{n_best} translations of each sentence take as many beams, and there are {width}")]
    Best { n_best: usize, width: usize },
    #[error("no translation of each sentence is asked for; ask for 1 or more")]
    Nothing,
    #[error("the length penalty is {0}; it must be between -10 and 10 (1 compares means)")]
    Penalty(f64),
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    #[error("{what} is {id}, which is not in the vocabulary of {vocab}")]
    Id {
        what: &'static str,
        id: u32,
        vocab: usize,
    },
    #[error("source {n} has {ids} ids; it must have 1 to the {most} of the model's context")]
    Source { n: usize, ids: usize, most: usize },
    #[error("source {n} has the id {id}, which is not in the vocabulary of {vocab}")]
    Unknown { n: usize, id: u32, vocab: usize },
}
