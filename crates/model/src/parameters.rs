//! All parameters of a model in one flat arena, and gradients of the same layout.
//!
//! One arena makes the optimiser, clipping and averaging over processes single passes over memory.

mod gradients;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use glassformer_kernels::memory::Block;
use glassformer_kernels::{random, rows};
use glassformer_tensor::Pool;
use glassformer_weights::{NamedTensor, WeightsError};

use crate::checkpoint::{Checkpoint, Keep, StoredMatrix};
pub use gradients::Gradients;

/// Where a parameter lies in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParamId {
    offset: usize,
    len: usize,
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
        self.shape.len() >= 2
    }
}

/// The list of parameters of a model; a family adds to it while it is built.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    specs: Vec<ParamSpec>,
    len: usize,
}

impl Layout {
    /// Adds a parameter and gives its place.
    pub fn add(&mut self, name: impl Into<String>, shape: &[usize], init: Init) -> ParamId {
        let id = ParamId {
            offset: self.len,
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

    /// Whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }
}

/// Elements that a thread takes at a time when an arena is filled.
const PIECE: usize = 1 << 16;

/// The values of all parameters.
#[derive(Clone, Debug)]
pub struct Parameters {
    layout: Arc<Layout>,
    /// Those in memory, in the layout's order.
    data: Block,
    /// Those that stay in their file.
    stored: Option<Stored>,
}

/// The parameters of a model of which only vectors are in memory.
#[derive(Clone, Debug, Default)]
struct Stored {
    /// By the offset of their parameter.
    matrices: BTreeMap<usize, StoredMatrix>,
    /// Where the other parameters are in memory, by their offset.
    places: HashMap<usize, usize>,
}

impl Parameters {
    /// Fresh parameters from a seed: the same on every machine and for any number of threads, as each number is a
    /// function of the seed, its parameter and its place there.
    pub fn new(layout: Layout, seed: u64, pool: &Pool) -> Self {
        let mut data = Block::zeros(layout.len());
        for (i, spec) in layout.specs().iter().enumerate() {
            let slot = &mut data[spec.id.offset..][..spec.id.len];
            match spec.init {
                Init::Zeros => {}
                Init::Ones => slot.fill(1.0),
                Init::Normal(std) => {
                    let key = random::derive(seed, i as u64);
                    pool.chunks(slot, PIECE, |piece, part| {
                        for (n, x) in (piece * PIECE..).zip(part) {
                            *x = (random::normal(key, n as u64) * f64::from(std)) as f32;
                        }
                    });
                }
            }
        }
        Self {
            layout: Arc::new(layout),
            data,
            stored: None,
        }
    }

    /// The parameters of a checkpoint, kept where it says. Errors: a tensor is missing, of another shape or type.
    pub fn load(layout: Layout, checkpoint: &Checkpoint) -> Result<Self, WeightsError> {
        match checkpoint.keep {
            Keep::InMemory => Self::load_all(layout, checkpoint),
            Keep::InFile => Self::load_vectors(layout, checkpoint),
        }
    }

    fn load_all(layout: Layout, checkpoint: &Checkpoint) -> Result<Self, WeightsError> {
        // First all are looked for: a config that asks for more than the file has must not take memory for it.
        for spec in layout.specs() {
            let place = (checkpoint.find)(&spec.name);
            checkpoint.source.expect(&place.name, &spec.shape)?;
        }
        let mut data = Block::zeros(layout.len());
        for spec in layout.specs() {
            let slot = &mut data[spec.id.offset..][..spec.id.len];
            checkpoint.read(&(checkpoint.find)(&spec.name), &spec.shape, slot)?;
        }
        Ok(Self {
            layout: Arc::new(layout),
            data,
            stored: None,
        })
    }

    fn load_vectors(layout: Layout, checkpoint: &Checkpoint) -> Result<Self, WeightsError> {
        let mut stored = Stored::default();
        let mut vectors = Vec::new();
        let mut len = 0;
        for spec in layout.specs() {
            let place = (checkpoint.find)(&spec.name);
            checkpoint.source.expect(&place.name, &spec.shape)?;
            if let &[rows, cols] = spec.shape.as_slice() {
                let matrix = StoredMatrix::new(checkpoint, place, [rows, cols])?;
                stored.matrices.insert(spec.id.offset, matrix);
            } else {
                stored.places.insert(spec.id.offset, len);
                len += spec.id.len;
                vectors.push((spec, place));
            }
        }
        let mut data = Block::zeros(len);
        for (spec, place) in vectors {
            let slot = &mut data[stored.places[&spec.id.offset]..][..spec.id.len];
            checkpoint.read(&place, &spec.shape, slot)?;
        }
        Ok(Self {
            layout: Arc::new(layout),
            data,
            stored: Some(stored),
        })
    }

    /// The list of parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// One parameter, row-major.
    ///
    /// # Panics
    /// When it is a matrix that stays in its file; [`Parameters::values`] reads those.
    pub fn get(&self, id: ParamId) -> &[f32] {
        let start = match &self.stored {
            None => id.offset,
            Some(stored) => *stored
                .places
                .get(&id.offset)
                .expect("a parameter that is in memory"),
        };
        &self.data[start..][..id.len]
    }

    /// One parameter, row-major, wherever it is.
    pub fn values(&self, id: ParamId) -> Cow<'_, [f32]> {
        let Some(parts) = self.stored(id) else {
            return Cow::Borrowed(self.get(id));
        };
        let mut values = vec![0.0; id.len];
        let mut rest = values.as_mut_slice();
        for matrix in parts {
            let (part, next) = rest.split_at_mut(matrix.rows * matrix.cols);
            rest = next;
            for (r, row) in part.chunks_exact_mut(matrix.cols).enumerate() {
                matrix.read_row(r, row);
            }
        }
        Cow::Owned(values)
    }

    /// `len` numbers of a parameter, from its number `start` on, wherever it is: only the rows they lie in are read.
    pub fn run_of(&self, id: ParamId, start: usize, len: usize) -> Cow<'_, [f32]> {
        let Some(parts) = self.stored(id) else {
            return Cow::Borrowed(&self.get(id)[start..start + len]);
        };
        let mut out = Vec::with_capacity(len);
        let mut first = 0;
        for matrix in parts {
            let end = first + matrix.rows * matrix.cols;
            let wanted = start.max(first)..(start + len).min(end);
            if !wanted.is_empty() {
                let mut row = vec![0.0; matrix.cols];
                let within = wanted.start - first..wanted.end - first;
                for r in within.start / matrix.cols..within.end.div_ceil(matrix.cols) {
                    matrix.read_row(r, &mut row);
                    let from = within.start.saturating_sub(r * matrix.cols);
                    let to = (within.end - r * matrix.cols).min(matrix.cols);
                    out.extend_from_slice(&row[from..to]);
                }
            }
            first = end;
        }
        Cow::Owned(out)
    }

    /// Whether all parameters are in memory, as training needs them.
    pub fn are_in_memory(&self) -> bool {
        self.stored.is_none()
    }

    /// The matrices that `id` is made of, if they stay in their file.
    pub(crate) fn stored(&self, id: ParamId) -> Option<Vec<&StoredMatrix>> {
        let matrices = &self.stored.as_ref()?.matrices;
        let parts: Vec<_> = matrices
            .range(id.offset..id.offset + id.len)
            .map(|(_, matrix)| matrix)
            .collect();
        (!parts.is_empty()).then_some(parts)
    }

    /// How many matrices `id` is made of that stay in their file.
    pub(crate) fn stored_parts(&self, id: ParamId) -> usize {
        self.stored.as_ref().map_or(0, |stored| {
            let range = id.offset..id.offset + id.len;
            stored.matrices.range(range).count()
        })
    }

    /// Rows `ids` of the table `id [·,width]` into `out [N,width]`.
    pub(crate) fn gather(&self, pool: &Pool, out: &mut [f32], id: ParamId, ids: &[u32]) {
        let table = self
            .stored
            .as_ref()
            .and_then(|s| s.matrices.get(&id.offset));
        match table {
            None => rows::gather(pool, out, self.get(id), ids),
            Some(table) => {
                for (row, &id) in out.chunks_exact_mut(table.cols).zip(ids) {
                    table.read_row(id as usize, row);
                }
            }
        }
    }

    /// The whole arena, of a model whose parameters are all in memory.
    pub fn arena(&self) -> &[f32] {
        assert!(self.are_in_memory(), "an arena holds all parameters");
        &self.data
    }

    /// As [`Parameters::arena`].
    pub fn arena_mut(&mut self) -> &mut [f32] {
        assert!(self.are_in_memory(), "an arena holds all parameters");
        &mut self.data
    }

    /// The parameters (or another arena of the same layout, such as a moment) as tensors to be written.
    pub fn named<'a>(&self, arena: &'a [f32]) -> Vec<NamedTensor<'a>> {
        assert_eq!(arena.len(), self.data.len(), "an arena of this layout");
        self.layout
            .specs()
            .iter()
            .map(|spec| NamedTensor {
                name: spec.name.clone(),
                shape: spec.shape.clone(),
                data: &arena[spec.id.offset..][..spec.id.len],
            })
            .collect()
    }

    /// Runs of the arena that share one optimiser group: (range, has weight decay).
    ///
    /// The iterator borrows nothing, so that the arena can be written between two groups.
    pub fn decay_groups(&self) -> impl Iterator<Item = (Range<usize>, bool)> + Clone + use<> {
        let layout = Arc::clone(&self.layout);
        let mut next = 0;
        std::iter::from_fn(move || {
            let rest = &layout.specs()[next..];
            let first = rest.first()?;
            let same = |spec: &&ParamSpec| spec.decays() == first.decays();
            let group = &rest[..rest.iter().take_while(same).count()];
            let len: usize = group.iter().map(|spec| spec.id.len).sum();
            next += group.len();
            Some((first.id.offset..first.id.offset + len, first.decays()))
        })
    }

    /// Shapes by name, for comparing with another model's.
    pub fn shapes(&self) -> BTreeMap<&str, &[usize]> {
        self.layout
            .specs()
            .iter()
            .map(|spec| (spec.name.as_str(), spec.shape.as_slice()))
            .collect()
    }
}
