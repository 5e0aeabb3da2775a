//! Where a model's parameters come from: a file's tensors, under the file's own names and in its own order.

use std::sync::Arc;

use glassformer_weights::{DataType, TensorSource, WeightsError};

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
}

impl Order {
    /// The row of the file that is row `r` here.
    fn row(self, r: usize) -> usize {
        match self {
            Self::Same => r,
            Self::Paired(width) => {
                let (head, within, half) = (r / width, r % width, width / 2);
                head * width + 2 * (within % half) + within / half
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
        Self {
            name: name.into(),
            order: Order::Same,
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
    /// The tensor `place` into `out`, row-major in the order that it has here. Errors: as [`TensorSource::read_f32`].
    pub(crate) fn read(
        &self,
        place: &Place,
        shape: &[usize],
        out: &mut [f32],
    ) -> Result<(), WeightsError> {
        if place.order == Order::Same {
            return self.source.read_f32(&place.name, shape, out);
        }
        let mut rows = vec![0.0; out.len()];
        self.source.read_f32(&place.name, shape, &mut rows)?;
        let width = out.len() / shape[0].max(1);
        for (r, row) in out.chunks_exact_mut(width.max(1)).enumerate() {
            row.copy_from_slice(&rows[place.order.row(r) * width..][..width]);
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

    /// The bytes of row `r`.
    pub(crate) fn row(&self, r: usize) -> &[u8] {
        let len = self.row_len();
        &self.bytes()[self.place.order.row(r) * len..][..len]
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
