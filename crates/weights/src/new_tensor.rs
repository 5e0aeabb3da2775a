//! Tensors on their way into a file: made when their turn comes, so that one at a time is in memory.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

use glassformer_kernels::Pool;

use crate::{DataType, TensorSource, WeightsError};

/// Values encoded at a time: whole blocks of every type, and small beside any model.
const SLAB: usize = 1 << 20;

/// Values that one thread encodes at a time.
const PIECE: usize = 1 << 14;

/// What a tensor to be written is made of.
#[derive(Debug)]
pub enum Values<'a> {
    /// Row-major values, to be encoded.
    F32(Cow<'a, [f32]>),
    /// Bytes as they are to stand in the file.
    Encoded(Cow<'a, [u8]>),
}

type Produce<'a> = Box<dyn FnOnce() -> Result<Values<'a>, WeightsError> + 'a>;

/// A tensor to be written.
pub struct NewTensor<'a> {
    /// Its name in the file.
    pub name: String,
    /// Row-major, outermost axis first.
    pub shape: Vec<usize>,
    /// How its elements are to be kept.
    pub data_type: DataType,
    values: Produce<'a>,
}

impl<'a> NewTensor<'a> {
    /// A tensor whose values `values` gives when it is written.
    pub fn new(
        name: impl Into<String>,
        shape: &[usize],
        data_type: DataType,
        values: impl FnOnce() -> Result<Values<'a>, WeightsError> + 'a,
    ) -> Self {
        Self {
            name: name.into(),
            shape: shape.to_vec(),
            data_type,
            values: Box::new(values),
        }
    }

    /// A tensor whose values are in memory.
    pub fn from_slice(
        name: impl Into<String>,
        shape: &[usize],
        data_type: DataType,
        values: &'a [f32],
    ) -> Self {
        Self::new(name, shape, data_type, move || {
            Ok(Values::F32(Cow::Borrowed(values)))
        })
    }

    /// The tensor `from` of another file, under the name `name`: its bytes as they are where the type stays the same,
    /// else by way of f32. Errors: the file has no such tensor.
    pub fn copy(
        source: &'a dyn TensorSource,
        from: &str,
        name: impl Into<String>,
        data_type: DataType,
    ) -> Result<Self, WeightsError> {
        let info = source.require(from)?;
        let from = from.to_owned();
        Ok(Self::new(name, &info.shape, data_type, move || {
            if info.data_type == data_type {
                let bytes = source.bytes(&from)?;
                return Ok(Values::Encoded(Cow::Borrowed(bytes)));
            }
            let (_, values) = source.load_f32(&from)?;
            Ok(Values::F32(Cow::Owned(values)))
        }))
    }

    /// The same, with something that is done when its turn comes.
    #[must_use]
    pub fn before(mut self, act: impl FnOnce() + 'a) -> Self {
        let values = self.values;
        self.values = Box::new(move || {
            act();
            values()
        });
        self
    }

    /// Number of elements, and bytes that the tensor will take. Errors: its rows are not whole blocks, or its type has
    /// no known size.
    fn size(&self) -> Result<(usize, usize), WeightsError> {
        let Self {
            shape, data_type, ..
        } = self;
        let row = shape.last().copied().unwrap_or(1);
        let elements = shape.iter().try_fold(1usize, |n, &m| n.checked_mul(m));
        // Whole rows, so the whole of them too.
        let bytes = data_type
            .byte_len(row)
            .and_then(|_| data_type.byte_len(elements?));
        elements.zip(bytes).ok_or_else(|| {
            self.error(format!(
                "the shape {shape:?} cannot be written as {data_type}"
            ))
        })
    }

    /// Bytes that the tensor will take. Errors: as of [`size`](Self::size).
    pub(crate) fn byte_len(&self) -> Result<usize, WeightsError> {
        Ok(self.size()?.1)
    }

    /// Writes the tensor's bytes: as many as [`byte_len`](Self::byte_len) says.
    pub(crate) fn write(
        self,
        out: &mut impl Write,
        pool: &Pool,
        io_error: &impl Fn(io::Error) -> WeightsError,
    ) -> Result<(), WeightsError> {
        let (elements, length) = self.size()?;
        let Self {
            name,
            data_type,
            values,
            ..
        } = self;
        let error = |reason| WeightsError::NewTensor {
            name: name.clone(),
            reason,
        };
        match values()? {
            Values::Encoded(bytes) if bytes.len() == length => {
                out.write_all(&bytes).map_err(io_error)
            }
            Values::Encoded(bytes) => Err(error(format!(
                "{} bytes were made for it, {length} are needed",
                bytes.len()
            ))),
            Values::F32(_) if !data_type.is_writable() => Err(error(format!(
                "values cannot be written as {data_type}, only as F32, F16, BF16, Q8_0, Q4_0, Q5_0, Q4_K and Q6_K"
            ))),
            Values::F32(values) if values.len() == elements => {
                encode(out, data_type, &values, pool).map_err(io_error)
            }
            Values::F32(values) => Err(error(format!(
                "{} values were made for it, {elements} are needed",
                values.len()
            ))),
        }
    }

    pub(crate) fn error(&self, reason: String) -> WeightsError {
        WeightsError::NewTensor {
            name: self.name.clone(),
            reason,
        }
    }
}

impl fmt::Debug for NewTensor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewTensor")
            .field("name", &self.name)
            .field("shape", &self.shape)
            .field("data_type", &self.data_type)
            .finish_non_exhaustive()
    }
}

/// Values as `data_type`, a slab after the other; the threads share a slab.
fn encode(
    out: &mut impl Write,
    data_type: DataType,
    values: &[f32],
    pool: &Pool,
) -> io::Result<()> {
    let (weights, bytes) = data_type.piece().unwrap_or((1, 0));
    let mut slab = vec![0; values.len().min(SLAB) / weights * bytes];
    for values in values.chunks(SLAB) {
        let slab = &mut slab[..values.len() / weights * bytes];
        let pieces = ((&mut *slab, PIECE / weights * bytes), (values, PIECE));
        pool.split(pieces, |_, (slab, values)| data_type.encode(values, slab));
        out.write_all(slab)?;
    }
    Ok(())
}
