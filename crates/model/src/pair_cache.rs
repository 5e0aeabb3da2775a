//! What is kept while several targets are written: the sources as the encoder has read them, and the targets so far.

use glassformer_kernels::attention::Sequences;

use crate::{KvCache, Lengths};

/// Caches for the decoder of an encoder–decoder: hypotheses, each with keys and values of its own, and sources, whose keys
/// and values were made once and are read by all hypotheses of a source.
///
/// It begins with one hypothesis for each source ([`Model::encode`](crate::Model::encode)). A pass in
/// [`Mode::CachedPair`](crate::Mode) reads the next ids of all hypotheses, as many of each, in order.
#[derive(Clone, Debug)]
pub struct PairCache {
    /// Of the hypotheses.
    own: KvCache,
    /// Of the sources, one behind the other.
    cross: KvCache,
    /// Where each source begins, and at last the end [B+1].
    sources: Vec<usize>,
    /// The first hypothesis of each source, and at last their number [B+1].
    hypotheses: Vec<usize>,
    /// The first row of each source's hypotheses in a pass, and at last the number of rows [B+1].
    readers: Vec<usize>,
}

impl PairCache {
    /// For `sources` of these lengths: empty caches for keys and values of a hypothesis and of a source.
    pub(crate) fn new(own: KvCache, cross: KvCache, sources: &Lengths) -> Self {
        let count = sources.count();
        let ends = sources.ranges().map(|range| range.end);
        Self {
            own: own.for_sequences(count),
            cross: cross.with_capacity(sources.rows()),
            sources: std::iter::once(0).chain(ends).collect(),
            hypotheses: (0..=count).collect(),
            readers: Vec::new(),
        }
    }

    /// Hypotheses of all sources.
    pub fn hypotheses(&self) -> usize {
        self.own.sequences()
    }

    /// The hypotheses of each source.
    pub fn of_source(&self, source: usize) -> std::ops::Range<usize> {
        self.hypotheses[source]..self.hypotheses[source + 1]
    }

    /// Sources.
    pub fn sources(&self) -> usize {
        self.sources.len() - 1
    }

    /// Positions that all hypotheses have.
    pub fn len(&self) -> usize {
        self.own.len()
    }

    /// Whether no hypothesis has a position.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// Positions that still fit.
    pub fn room(&self) -> usize {
        self.own.room()
    }

    /// Goes on with other hypotheses: the new one `i` is what `parents[i]` was. A parent may have several children, or none;
    /// a source may lose all its hypotheses when it is done.
    ///
    /// # Panics
    /// When a parent is not there, or a source's children do not stand together, in the order of the sources.
    pub fn select(&mut self, parents: &[usize]) {
        let before = &self.hypotheses;
        let source = |&parent: &usize| before.partition_point(|&first| first <= parent) - 1;
        assert!(parents.iter().is_sorted_by_key(source), "source by source");
        let first = |b| parents.partition_point(|parent| source(parent) < b);
        let starts = (0..before.len()).map(first).collect();
        self.own.select(parents);
        self.hypotheses = starts;
    }

    /// The hypotheses' caches.
    pub(crate) fn own(&mut self) -> &mut KvCache {
        &mut self.own
    }

    /// The sources' caches.
    pub(crate) fn cross(&mut self) -> &mut KvCache {
        &mut self.cross
    }

    /// The sources' caches, and which rows of a pass read which of their rows, when it reads so many new positions of each
    /// hypothesis.
    pub(crate) fn reading(&mut self, new: usize) -> (&KvCache, Sequences<'_>) {
        self.readers.clear();
        let starts = self.hypotheses.iter().map(|first| first * new);
        self.readers.extend(starts);
        let sequences = Sequences::Ragged {
            queries: &self.readers,
            keys: &self.sources,
        };
        (&self.cross, sequences)
    }
}
