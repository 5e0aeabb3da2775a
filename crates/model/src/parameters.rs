//! All parameters of a model in one flat arena.
//!
//! One arena makes the optimiser, clipping and averaging over processes single passes over memory. An adapter has an
//! arena of its own, behind the model's: places of both are told apart by number, and only one of the two is trained.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use glassformer_kernels::memory::Block;
use glassformer_kernels::{random, rows};
use glassformer_tensor::Pool;
use glassformer_weights::{DataType, NamedTensor, WeightsError};

use crate::adapter::Adapter;
use crate::checkpoint::{Checkpoint, Keep, Order, Place, StoredMatrix};
use crate::{Init, Layout, ParamId, ParamSpec};

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
    /// See [`Parameters::not_finite`].
    not_finite: Option<String>,
    /// What is trained beside them, which then stay as they are.
    adapter: Option<Box<Adapter>>,
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
            let slot = &mut data[layout.range(spec.id)];
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
            not_finite: None,
            adapter: None,
        }
    }

    /// All zero.
    pub(crate) fn zeros(layout: Layout) -> Self {
        Self {
            data: Block::zeros(layout.len()),
            layout: Arc::new(layout),
            stored: None,
            not_finite: None,
            adapter: None,
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
        let places: Vec<Place> = layout
            .specs()
            .iter()
            .map(|spec| checkpoint.place(&spec.name, &spec.shape))
            .collect::<Result<_, _>>()?;
        let mut data = Block::zeros(layout.len());
        let mut not_finite = None;
        for (spec, place) in layout.specs().iter().zip(&places) {
            let slot = &mut data[layout.range(spec.id)];
            checkpoint.read(place, &spec.shape, slot)?;
            note_if_not_finite(&mut not_finite, place, slot);
        }
        Ok(Self {
            layout: Arc::new(layout),
            data,
            stored: None,
            not_finite,
            adapter: None,
        })
    }

    fn load_vectors(layout: Layout, checkpoint: &Checkpoint) -> Result<Self, WeightsError> {
        let mut stored = Stored::default();
        let mut vectors = Vec::new();
        let mut len = 0;
        for spec in layout.specs() {
            let place = checkpoint.place(&spec.name, &spec.shape)?;
            // Of one row it is a vector, whatever the file says.
            if let &[rows, cols] = spec.shape.as_slice()
                && rows > 1
            {
                let matrix = StoredMatrix::new(checkpoint, place, [rows, cols])?;
                stored.matrices.insert(spec.id.offset, matrix);
            } else {
                stored.places.insert(spec.id.offset, len);
                len += spec.id.len;
                vectors.push((spec, place));
            }
        }
        let mut data = Block::zeros(len);
        let mut not_finite = None;
        for (spec, place) in vectors {
            let slot = &mut data[stored.places[&spec.id.offset]..][..spec.id.len];
            checkpoint.read(&place, &spec.shape, slot)?;
            note_if_not_finite(&mut not_finite, &place, slot);
        }
        Ok(Self {
            layout: Arc::new(layout),
            data,
            stored: Some(stored),
            not_finite,
            adapter: None,
        })
    }

    /// The name in its file of the first parameter with a NaN or an infinity, of those that were read when the model was
    /// loaded. Matrices that stay in their file are looked at when they are [laid out](crate::PackedWeights).
    pub fn not_finite(&self) -> Option<&str> {
        self.not_finite.as_deref()
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
        if !self.layout.has(id) {
            let adapter = self.adapter.as_ref();
            return adapter.expect("the adapter's").parameters.get(id);
        }
        match &self.stored {
            None => &self.data[self.layout.range(id)],
            Some(stored) => {
                let start = stored.places.get(&id.offset);
                &self.data[*start.expect("a parameter that is in memory")..][..id.len]
            }
        }
    }

    /// As [`Parameters::get`], to be changed.
    pub(crate) fn get_mut(&mut self, id: ParamId) -> &mut [f32] {
        let range = self.layout.range(id);
        &mut self.arena_mut()[range]
    }

    /// What is trained beside them, if they have that.
    pub fn adapter(&self) -> Option<&Adapter> {
        self.adapter.as_deref()
    }

    /// Puts an adapter beside them, or takes it away: the one that was there.
    pub(crate) fn set_adapter(&mut self, adapter: Option<Adapter>) -> Option<Adapter> {
        let before = std::mem::replace(&mut self.adapter, adapter.map(Box::new));
        before.map(|adapter| *adapter)
    }

    /// The parameters that training changes: the adapter's if there is one, else these.
    pub fn trained(&self) -> &Self {
        self.adapter
            .as_ref()
            .map_or(self, |adapter| &adapter.parameters)
    }

    /// As [`Parameters::trained`], to be changed.
    pub fn trained_mut(&mut self) -> &mut Self {
        match self {
            Self {
                adapter: Some(adapter),
                ..
            } => &mut adapter.parameters,
            base => base,
        }
    }

    /// One parameter, row-major, wherever it is.
    pub fn values(&self, id: ParamId) -> Cow<'_, [f32]> {
        if !self.is_stored(id) {
            return Cow::Borrowed(self.get(id));
        }
        let mut values = vec![0.0; id.len];
        let mut rest = values.as_mut_slice();
        for matrix in self.stored(id) {
            let (part, next) = rest.split_at_mut(matrix.rows * matrix.cols);
            rest = next;
            matrix.read_rows(0, part);
        }
        Cow::Owned(values)
    }

    /// `len` numbers of a parameter, from its number `start` on, wherever it is: only the rows they lie in are read.
    pub fn run_of(&self, id: ParamId, start: usize, len: usize) -> Cow<'_, [f32]> {
        if !self.is_stored(id) {
            return Cow::Borrowed(&self.get(id)[start..start + len]);
        }
        let mut out = Vec::with_capacity(len);
        let mut first = 0;
        for matrix in self.stored(id) {
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

    /// Numbers in memory: all of them, or vectors alone.
    pub fn in_memory(&self) -> usize {
        self.data.len()
    }

    /// Whether all parameters are in memory, as training needs them.
    pub fn are_in_memory(&self) -> bool {
        self.stored.is_none()
    }

    /// The matrices that `id` is made of, as far as they stay in their file.
    pub(crate) fn stored(&self, id: ParamId) -> impl Iterator<Item = &StoredMatrix> {
        let stored = self.stored.iter();
        let matrices = stored.flat_map(move |s| s.matrices.range(id.offset..id.offset + id.len));
        matrices.map(|(_, matrix)| matrix)
    }

    /// All matrices that stay in their file.
    pub(crate) fn stored_matrices(&self) -> impl Iterator<Item = &StoredMatrix> {
        self.stored
            .iter()
            .flat_map(|stored| stored.matrices.values())
    }

    /// How the numbers of the parameter `id` are kept: as in its file, where it stays there.
    pub fn data_type(&self, id: ParamId) -> DataType {
        let stored = self.stored.as_ref();
        let matrix = stored.and_then(|stored| stored.matrices.get(&id.offset));
        matrix.map_or(DataType::F32, |matrix| matrix.data_type)
    }

    /// The bytes of a matrix in the order of a file that holds it as `data_type`, where they stand so in its own file already.
    pub(crate) fn encoded(
        &self,
        spec: &ParamSpec,
        order: Order,
        data_type: DataType,
    ) -> Option<Vec<u8>> {
        let matrix = self.stored.as_ref()?.matrices.get(&spec.id.offset)?;
        let length = data_type.byte_len(matrix.cols)?;
        if matrix.data_type != data_type || order == Order::Transposed {
            return None;
        }
        let first = match order {
            Order::From(first) => first,
            _ => 0,
        };
        let mut bytes = vec![0; (matrix.rows - first) * length];
        for r in first..matrix.rows {
            bytes[order.row(r) * length..][..length].copy_from_slice(matrix.row(r));
        }
        Some(bytes)
    }

    /// Whether `id` stays in its file.
    pub(crate) fn is_stored(&self, id: ParamId) -> bool {
        self.stored(id).next().is_some()
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
                data: &arena[self.layout.range(spec.id)],
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
            let start = layout.range(first.id).start;
            Some((start..start + len, first.decays()))
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

/// Puts down the tensor's name if it is the first whose values are not all numbers.
fn note_if_not_finite(first: &mut Option<String>, place: &Place, values: &[f32]) {
    // Without a way out at the first that is not, so that the loop vectorises.
    let finite = values.iter().fold(true, |all, x| all & x.is_finite());
    if first.is_none() && !finite {
        *first = Some(place.name.clone());
    }
}
