//! The list of a model's parameters: their names, shapes, beginnings and places in one arena.

use std::ops::Range;

/// Where a parameter lies in the arena; in the order of these places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamId {
    pub(crate) offset: usize,
    pub(crate) len: usize,
}

impl ParamId {
    /// Index of its first element in the arena.
    pub fn offset(self) -> usize {
        self.offset
    }

    /// This one and the `next`, which lies right behind it, as one.
    pub(crate) fn join(self, next: Self) -> Self {
        assert_eq!(self.offset + self.len, next.offset, "neighbours");
        Self {
            offset: self.offset,
            len: self.len + next.len,
        }
    }
}

/// How a new parameter begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// Normal with this standard deviation.
    Normal(f32),
}

/// One parameter: its name in checkpoints, shape and beginning.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// As in the family's checkpoints.
    pub name: String,
    /// Row-major shape.
    pub shape: Vec<usize>,
    /// How it begins when trained from nothing.
    pub init: Init,
    /// Where it lies.
    pub id: ParamId,
}

impl ParamSpec {
    /// Weight decay pulls on matrices only: not on biases and norm gains (nanoGPT's groups).
    pub fn decays(&self) -> bool {
        self.shape.iter().filter(|&&n| n > 1).count() >= 2
    }
}

/// The list of parameters of a model; a family adds to it while it is built.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    specs: Vec<ParamSpec>,
    /// The place of its first element: behind the layout that it adds to.
    first: usize,
    len: usize,
}

impl Layout {
    /// An empty list, for parameters in an arena of their own whose places come behind those of `other`.
    #[must_use]
    pub fn behind(other: &Self) -> Self {
        Self {
            specs: Vec::new(),
            first: other.first + other.len,
            len: 0,
        }
    }

    /// Adds a parameter and gives its place.
    pub fn add(&mut self, name: impl Into<String>, shape: &[usize], init: Init) -> ParamId {
        let id = ParamId {
            offset: self.first + self.len,
            len: shape.iter().product(),
        };
        self.len += id.len;
        self.specs.push(ParamSpec {
            name: name.into(),
            shape: shape.to_vec(),
            init,
            id,
        });
        id
    }

    /// All parameters, in the order of the arena.
    pub fn specs(&self) -> &[ParamSpec] {
        &self.specs
    }

    /// Number of elements of all parameters.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether `id` is one of its parameters.
    pub fn has(&self, id: ParamId) -> bool {
        (self.first..self.first + self.len).contains(&id.offset)
    }

    /// Where one of its parameters lies in an arena of this layout.
    ///
    /// # Panics
    /// When it is none of them.
    pub fn range(&self, id: ParamId) -> Range<usize> {
        assert!(self.has(id), "a parameter of this layout");
        let start = id.offset - self.first;
        start..start + id.len
    }

    /// The parameters that `id`, one of them or several joined, is made of.
    pub(crate) fn parts(&self, id: ParamId) -> &[ParamSpec] {
        &self.specs[self.indices(id)]
    }

    /// Where those stand in the list.
    pub(crate) fn indices(&self, id: ParamId) -> Range<usize> {
        let at = |offset| self.specs.partition_point(|spec| spec.id.offset < offset);
        at(id.offset)..at(id.offset + id.len)
    }

    /// Whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }
}
