//! Where a pass is: in a network of one stack, or in one of an encoder–decoder's.

use glassformer_tensor::{Buffers, Ids};

use super::{Mode, Pass};
use crate::{Lengths, Site, Stack};

/// The stack that a pass is in, and how its rows are shared out there.
#[derive(Clone)]
pub(crate) struct Stage {
    stack: Option<Stack>,
    lengths: Lengths,
    /// The position of each row, once somebody asked.
    places: Option<Ids>,
}

impl Stage {
    pub(super) fn new(stack: Option<Stack>, lengths: Lengths) -> Self {
        Self {
            stack,
            lengths,
            places: None,
        }
    }

    /// The position of each row in its sequence, the first of which stands at `first`.
    fn places(&mut self, buffers: &Buffers, first: usize) -> Ids {
        if let Some(places) = &self.places {
            return places.clone();
        }
        let mut sequence = 0..0;
        let mut ranges = self.lengths.ranges();
        let positions = (0..self.lengths.rows()).map(|row| {
            if row == sequence.end {
                sequence = ranges.next().expect("a sequence for each row");
            }
            (first + row - sequence.start) as u32
        });
        let places = Ids::new(buffers, positions);
        self.places.insert(places).clone()
    }
}

impl Pass<'_> {
    /// Goes into a stack of an encoder–decoder: from now on rows are those of the sources or of the targets, and sites are
    /// those of this stack.
    ///
    /// # Panics
    /// When the encoder has nothing to read.
    pub(crate) fn enter(&mut self, stack: Stack) {
        let lengths = match (stack, &self.source) {
            (Stack::Decoder, _) => &self.lengths,
            (Stack::Encoder, Some((_, lengths))) => lengths,
            (Stack::Encoder, None) => panic!("an encoder–decoder needs a source"),
        };
        self.stage = Stage::new(Some(stack), lengths.clone());
    }

    /// The ids that an encoder reads and their lengths.
    pub(crate) fn source(&self) -> Option<(Ids, Lengths)> {
        self.source.clone()
    }

    /// The name of a site in the stack where the pass is.
    pub(super) fn placed(&self, site: Site) -> Site {
        self.stage.stack.map_or(site, |stack| site.within(stack))
    }

    /// How its rows are shared out.
    pub fn lengths(&self) -> &Lengths {
        &self.stage.lengths
    }

    /// New positions of all sequences.
    pub fn rows(&self) -> usize {
        self.stage.lengths.rows()
    }

    /// Position of the first token: the number of positions in the cache.
    pub fn first_position(&self) -> usize {
        match &self.mode {
            Mode::Cached(cache) => cache.len(),
            Mode::CachedPair(cache) => cache.len(),
            _ => 0,
        }
    }

    /// The position of each row in its sequence.
    pub fn places(&mut self) -> Ids {
        let (buffers, first) = (self.run.buffers, self.first_position());
        self.stage.places(buffers, first)
    }
}
