//! All parameters of a model in one flat arena, and gradients of the same layout.
//!
//! One arena makes the optimiser, clipping and averaging over processes single passes over memory.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use glassformer_kernels::memory::Block;
use glassformer_kernels::random;
use glassformer_tensor::Pool;
use glassformer_weights::{NamedTensor, TensorFile, WeightsError};

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
    data: Block,
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
        }
    }

    /// Reads every parameter from `file`; `find` turns the layout's name into the name in that file.
    pub fn load(
        layout: Layout,
        file: &TensorFile,
        find: impl Fn(&str) -> String,
    ) -> Result<Self, WeightsError> {
        let mut data = Block::zeros(layout.len());
        for spec in layout.specs() {
            let slot = &mut data[spec.id.offset..][..spec.id.len];
            file.read_f32(&find(&spec.name), &spec.shape, slot)?;
        }
        Ok(Self {
            layout: Arc::new(layout),
            data,
        })
    }

    /// The list of parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// One parameter, row-major.
    pub fn get(&self, id: ParamId) -> &[f32] {
        &self.data[id.offset..][..id.len]
    }

    /// The whole arena.
    pub fn arena(&self) -> &[f32] {
        &self.data
    }

    /// The whole arena.
    pub fn arena_mut(&mut self) -> &mut [f32] {
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

/// Gradients of all parameters, in the layout of their [`Parameters`].
#[derive(Clone, Debug)]
pub struct Gradients {
    data: Block,
}

impl Gradients {
    /// All zero.
    pub fn zeros(layout: &Layout) -> Self {
        Self {
            data: Block::zeros(layout.len()),
        }
    }

    /// The gradient of one parameter.
    pub fn get(&self, id: ParamId) -> &[f32] {
        &self.data[id.offset..][..id.len]
    }

    /// The gradient of one parameter, to be added to.
    pub fn get_mut(&mut self, id: ParamId) -> &mut [f32] {
        &mut self.data[id.offset..][..id.len]
    }

    /// The gradients of two different parameters.
    pub fn pair_mut(&mut self, a: ParamId, b: ParamId) -> (&mut [f32], &mut [f32]) {
        assert!(a.offset + a.len <= b.offset, "a lies before b");
        let (left, right) = self.data.split_at_mut(b.offset);
        (&mut left[a.offset..][..a.len], &mut right[..b.len])
    }

    /// The whole arena.
    pub fn arena(&self) -> &[f32] {
        &self.data
    }

    /// The whole arena.
    pub fn arena_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }
}
