//! Reading: the header is checked and indexed once, when the file is opened.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::{Dtype, SafeTensors};

use super::explain;
use crate::bytes::Bytes;
use crate::index::{Entry, Index, source_from_index};
use crate::{DataType, TensorInfo, TensorSource, WeightsError};

/// An open safetensors file.
#[derive(Clone, Debug)]
pub struct TensorFile {
    index: Index,
    metadata: Arc<BTreeMap<String, String>>,
}

source_from_index!(TensorFile);

impl TensorFile {
    /// Maps the file at `path` and checks its header.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        Self::checked(Bytes::map(path)?, path)
    }

    /// A file inside the program; `origin` names it in messages.
    pub fn from_static(bytes: &'static [u8], origin: &str) -> Result<Self, WeightsError> {
        Self::checked(Bytes::Static(bytes), Path::new(origin))
    }

    /// A file in memory; `origin` names it in messages.
    pub fn from_vec(bytes: Vec<u8>, origin: &str) -> Result<Self, WeightsError> {
        Self::checked(Bytes::Owned(Arc::new(bytes)), Path::new(origin))
    }

    pub(crate) fn checked(bytes: Bytes, origin: &Path) -> Result<Self, WeightsError> {
        let (header, metadata) =
            SafeTensors::read_metadata(&bytes).map_err(|source| WeightsError::Format {
                path: origin.to_owned(),
                format: "safetensors",
                reason: explain::reason(&bytes, &source),
            })?;
        // The header's own length is a u64 in front of it.
        let data = size_of::<u64>() + header;
        let entries = metadata
            .tensors()
            .into_iter()
            .map(|(name, tensor)| {
                let (start, end) = tensor.data_offsets;
                let info = TensorInfo {
                    shape: tensor.shape.clone(),
                    data_type: data_type(tensor.dtype),
                };
                let range = data + start..data + end;
                (name, Entry { info, range })
            })
            .collect();
        let strings = metadata.metadata().clone().unwrap_or_default();
        Ok(Self {
            index: Index::new(bytes, origin, entries),
            metadata: Arc::new(strings.into_iter().collect()),
        })
    }

    /// The strings of the file's `__metadata__`.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        (*self.metadata).clone()
    }

    /// Shape of the tensor `name`, if the file has it.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        Some(self.index.info(name)?.shape)
    }

    /// [`TensorSource::origin`].
    pub fn origin(&self) -> &Path {
        &self.index.origin
    }

    /// [`TensorSource::names`].
    pub fn names(&self) -> Vec<String> {
        self.index.names()
    }

    /// [`TensorSource::read_f32`].
    pub fn read_f32(
        &self,
        name: &str,
        shape: &[usize],
        out: &mut [f32],
    ) -> Result<(), WeightsError> {
        TensorSource::read_f32(self, name, shape, out)
    }

    /// [`TensorSource::load_f32`].
    pub fn load_f32(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), WeightsError> {
        TensorSource::load_f32(self, name)
    }
}

fn data_type(dtype: Dtype) -> DataType {
    DataType::Other(match dtype {
        Dtype::F32 => return DataType::F32,
        Dtype::F16 => return DataType::F16,
        Dtype::BF16 => return DataType::Bf16,
        Dtype::I32 => return DataType::I32,
        Dtype::BOOL => "BOOL",
        Dtype::U8 => "U8",
        Dtype::I8 => "I8",
        Dtype::I16 => "I16",
        Dtype::U16 => "U16",
        Dtype::U32 => "U32",
        Dtype::I64 => "I64",
        Dtype::U64 => "U64",
        Dtype::F64 => "F64",
        _ => "a rare type (complex, or a float of at most 8 bits)",
    })
}
