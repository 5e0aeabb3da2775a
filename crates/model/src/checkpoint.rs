//! Where a model's parameters come from: a file's tensors, under the file's own names and in its own order.

use std::sync::Arc;

use glassformer_kernels::product::stored::StoredRows;
use glassformer_tensor::Pool;
use glassformer_weights::{DataType, TensorSource, WeightsError, is_finite};

/// Where the parameters of a model are kept while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All in memory in `f32`: the model can be trained.
    InMemory,
    /// Matrices stay in the file as they are and are laid out for products from there; only vectors are read.
    InFile,
}

/// The order of a matrix in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As here.
    Same,
    /// Rows of each head of this width stand as pairs (0, E/2), (1, E/2 + 1), …: how llama.cpp writes the queries and
    /// keys of Llama, which it turns pair by pair.
    Paired(usize),
    /// Rows and columns exchanged.
    Transposed,
    /// The first rows are left out: those of RoBERTa's positions that belong to none.
    From(usize),
    /// It is not there, and all its numbers are 0: a bias in a model that is made without.
    Absent,
}

impl Order {
    /// The row of the file that is row `r` here.
    pub(crate) fn row(self, r: usize) -> usize {
        match self {
            Self::Paired(width) => {
                let (head, within, half) = (r / width, r % width, width / 2);
                head * width + 2 * (within % half) + within / half
            }
            Self::From(first) => r - first,
            Self::Same | Self::Transposed | Self::Absent => r,
        }
    }

    /// The shape in the file of what has `shape` here.
    pub(crate) fn shape(self, shape: &[usize]) -> Vec<usize> {
        match (self, shape) {
            (Self::Transposed, &[rows, cols]) => vec![cols, rows],
            (Self::From(first), &[rows, cols]) => vec![rows - first, cols],
            _ => shape.to_vec(),
        }
    }

    /// `values` of `shape` here, in the order of the file.
    pub(crate) fn arrange(self, shape: &[usize], values: &[f32]) -> Vec<f32> {
        let width = values.len() / shape[0].max(1);
        let mut arranged = vec![0.0; self.shape(shape).iter().product()];
        match self {
            Self::Transposed => transpose(values, width, &mut arranged),
            Self::From(first) => arranged.copy_from_slice(&values[first * width..]),
            Self::Same | Self::Paired(_) | Self::Absent => {
                for (r, row) in values.chunks_exact(width.max(1)).enumerate() {
                    arranged[self.row(r) * width..][..width].copy_from_slice(row);
                }
            }
        }
        arranged
    }
}

/// `values [rows,width]` with rows and columns exchanged, `out [width,rows]`; in tiles, so that both are met in cache lines.
fn transpose(values: &[f32], width: usize, out: &mut [f32]) {
    const TILE: usize = 32;
    let rows = values.len() / width.max(1);
    for first_row in (0..rows).step_by(TILE) {
        for first in (0..width).step_by(TILE) {
            for r in first_row..rows.min(first_row + TILE) {
                for c in first..width.min(first + TILE) {
                    out[c * rows + r] = values[r * width + c];
                }
            }
        }
    }
}

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name there.
    pub name: String,
    /// Its order there.
    pub order: Order,
}

impl Place {
    /// A tensor in the order that it has here.
    pub fn named(name: impl Into<String>) -> Self {
        Self::ordered(name, Order::Same)
    }

    /// A tensor in another order.
    pub fn ordered(name: impl Into<String>, order: Order) -> Self {
        Self {
            name: name.into(),
            order,
        }
    }
}

/// A file and how to find parameters in it.
pub struct Checkpoint {
    /// The file.
    pub source: Arc<dyn TensorSource>,
    /// From a parameter's name to its tensor.
    pub find: Box<dyn Fn(&str) -> Place + Send + Sync>,
    /// Where parameters will be kept.
    pub keep: Keep,
}

impl Checkpoint {
    /// Where the parameter is. Errors: it is not there, or has another shape than `shape` here.
    pub(crate) fn place(&self, name: &str, shape: &[usize]) -> Result<Place, WeightsError> {
        let place = (self.find)(name);
        if place.order != Order::Absent {
            self.source.expect(&place.name, &place.order.shape(shape))?;
        }
        Ok(place)
    }

    /// The tensor `place` into `out`, row-major in the order that it has here. Errors: as [`TensorSource::read_f32`].
    pub(crate) fn read(
        &self,
        place: &Place,
        shape: &[usize],
        out: &mut [f32],
    ) -> Result<(), WeightsError> {
        match place.order {
            Order::Absent => {
                out.fill(0.0);
                return Ok(());
            }
            Order::Same => return self.source.read_f32(&place.name, shape, out),
            Order::Paired(_) | Order::Transposed | Order::From(_) => {}
        }
        let held = place.order.shape(shape);
        let mut values = vec![0.0; held.iter().product()];
        self.source.read_f32(&place.name, &held, &mut values)?;
        let width = out.len() / shape[0].max(1);
        if place.order == Order::Transposed {
            transpose(&values, shape[0], out);
            return Ok(());
        }
        for (r, row) in out.chunks_exact_mut(width.max(1)).enumerate() {
            row.copy_from_slice(&values[place.order.row(r) * width..][..width]);
        }
        Ok(())
    }
}

/// A matrix that stays in its file.
#[derive(Clone, Debug)]
pub(crate) struct StoredMatrix {
    source: Arc<dyn TensorSource>,
    place: Place,
    pub(crate) data_type: DataType,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

impl StoredMatrix {
    /// Errors: missing, another shape, or a type that cannot be read.
    pub(crate) fn new(
        checkpoint: &Checkpoint,
        place: Place,
        [rows, cols]: [usize; 2],
    ) -> Result<Self, WeightsError> {
        let source = Arc::clone(&checkpoint.source);
        let data_type = source.expect(&place.name, &[rows, cols])?;
        // Whether its values can be had is seen on its first row.
        let matrix = Self {
            source,
            place,
            data_type,
            rows,
            cols,
        };
        let whole = data_type.byte_len(cols).filter(|_| rows > 0);
        if let Some(len) = whole {
            let bytes = matrix.source.bytes(&matrix.place.name)?;
            if data_type.decode(&bytes[..len], &mut vec![0.0; cols]) {
                return Ok(matrix);
            }
        }
        Err(WeightsError::Type {
            path: matrix.source.origin_of(&matrix.place.name).to_owned(),
            name: matrix.place.name.clone(),
            found: data_type.to_string(),
        })
    }

    /// Its name in the file.
    pub(crate) fn name(&self) -> &str {
        &self.place.name
    }

    /// Whether it holds no NaN and no infinity, as [`DataType::is_finite`] sees it.
    pub(crate) fn is_finite(&self, pool: &Pool) -> bool {
        let bytes = self.source.bytes(&self.place.name).expect("checked");
        is_finite(self.data_type, bytes, pool)
    }

    /// The bytes of row `r`.
    pub(crate) fn row(&self, r: usize) -> &[u8] {
        let len = self.row_len();
        &self.bytes()[self.place.order.row(r) * len..][..len]
    }

    /// Its rows as they are in the file, if they are `bf16` and can be read there.
    pub(crate) fn in_place(&self) -> Option<StoredRows<'_>> {
        if self.data_type != DataType::Bf16 {
            return None;
        }
        StoredRows::new(self.bytes(), [self.rows, self.cols])
    }

    /// Which row of the file row `r` is.
    pub(crate) fn row_in_file(&self, r: usize) -> usize {
        self.place.order.row(r)
    }

    /// The values of row `r` into `out`.
    pub(crate) fn read_row(&self, r: usize, out: &mut [f32]) {
        self.data_type.decode(self.row(r), out);
    }

    /// The values of whole rows from `first` on into `out`.
    pub(crate) fn read_rows(&self, first: usize, out: &mut [f32]) {
        let (bytes, len) = (self.bytes(), self.row_len());
        for (r, out) in out.chunks_exact_mut(self.cols).enumerate() {
            let row = self.place.order.row(first + r);
            self.data_type.decode(&bytes[row * len..][..len], out);
        }
    }

    fn bytes(&self) -> &[u8] {
        self.source.bytes(&self.place.name).expect("checked")
    }

    fn row_len(&self) -> usize {
        self.data_type.byte_len(self.cols).expect("checked")
    }
}
