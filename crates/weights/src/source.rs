//! What every file of weights can do, so that a model loads from any format.

use std::fmt::Debug;
use std::path::Path;

use crate::{DataType, WeightsError};

/// What a file says of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Row-major, outermost axis first (GGUF's order reversed).
    pub shape: Vec<usize>,
    /// How its elements are kept.
    pub data_type: DataType,
}

impl TensorInfo {
    /// Number of elements; that it does not overflow was checked when the file was opened.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Named tensors in a file (or several), whose headers have been checked. The bytes are paged in as they are touched.
pub trait TensorSource: Send + Sync + Debug {
    /// The file's name in messages.
    fn origin(&self) -> &Path;

    /// The name in messages of the file that holds this tensor, where there are several.
    fn origin_of(&self, _name: &str) -> &Path {
        self.origin()
    }

    /// Names of all tensors, sorted.
    fn names(&self) -> Vec<String>;

    /// Shape and type of a tensor, if there is one of that name.
    fn info(&self, name: &str) -> Option<TensorInfo>;

    /// A tensor as it stands in the file: rows of [`TensorInfo::data_type`], one after the other.
    fn bytes(&self, name: &str) -> Result<&[u8], WeightsError>;

    /// Shape and type of a tensor that must be there.
    fn require(&self, name: &str) -> Result<TensorInfo, WeightsError> {
        self.info(name).ok_or_else(|| WeightsError::Missing {
            path: self.origin().to_owned(),
            name: name.to_owned(),
        })
    }

    /// The type of the tensor `name`. Errors: it is missing, or has another shape.
    fn expect(&self, name: &str, shape: &[usize]) -> Result<DataType, WeightsError> {
        let info = self.require(name)?;
        if info.shape != shape {
            return Err(WeightsError::Shape {
                path: self.origin_of(name).to_owned(),
                name: name.to_owned(),
                expected: shape.to_vec(),
                found: info.shape,
            });
        }
        Ok(info.data_type)
    }

    /// Copies the tensor `name` into `out` as f32, blocks dequantised. Errors: missing, another shape, or a type that
    /// has no values in f32.
    ///
    /// # Panics
    /// When `out` has not as many elements as `shape`.
    fn read_f32(&self, name: &str, shape: &[usize], out: &mut [f32]) -> Result<(), WeightsError> {
        let data_type = self.expect(name, shape)?;
        assert_eq!(
            out.len(),
            shape.iter().product::<usize>(),
            "room for {name}"
        );
        if data_type.decode(self.bytes(name)?, out) {
            return Ok(());
        }
        Err(WeightsError::Type {
            path: self.origin_of(name).to_owned(),
            name: name.to_owned(),
            found: data_type.to_string(),
        })
    }

    /// The tensor `name` as f32, with its shape.
    fn load_f32(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), WeightsError> {
        let info = self.require(name)?;
        let mut out = vec![0.0; info.elements()];
        self.read_f32(name, &info.shape, &mut out)?;
        Ok((info.shape, out))
    }
}
