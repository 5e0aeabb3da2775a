//! Writing: the header first, which needs sizes alone; then each tensor when its turn comes.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use glassformer_kernels::Pool;
use serde_json::{Map, Value, json};

use crate::atomic::NewFile;
use crate::{DataType, NewTensor, WeightsError};

/// How the numbers of a tensor are to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatType {
    /// 4 bytes.
    F32,
    /// 2 bytes, 5 bits of exponent.
    F16,
    /// 2 bytes, 8 bits of exponent.
    Bf16,
}

impl From<FloatType> for DataType {
    fn from(float: FloatType) -> Self {
        match float {
            FloatType::F32 => Self::F32,
            FloatType::F16 => Self::F16,
            FloatType::Bf16 => Self::Bf16,
        }
    }
}

/// A tensor in memory, to be written.
#[derive(Debug)]
pub struct NamedTensor<'a> {
    /// Its name in the file.
    pub name: String,
    /// Its shape; the product is the length of `data`.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub data: &'a [f32],
}

/// The bytes of a safetensors file with these tensors, each as `dtype`.
pub fn to_bytes(
    tensors: &[NamedTensor<'_>],
    dtype: FloatType,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, WeightsError> {
    let tensors = tensors
        .iter()
        .map(|t| NewTensor::from_slice(&t.name, &t.shape, dtype.into(), t.data))
        .collect();
    let mut bytes = Vec::new();
    let in_memory = |source| WeightsError::Write {
        path: PathBuf::from("safetensors"),
        source,
    };
    write_to(&mut bytes, tensors, metadata, &Pool::single(), &in_memory)?;
    Ok(bytes)
}

/// Writes a safetensors file with these tensors, as F32, F16, BF16 or I32, so that it appears whole or not at all. No
/// more than one tensor is in memory at a time, besides what was there before.
pub fn write(
    path: &Path,
    tensors: Vec<NewTensor<'_>>,
    metadata: &BTreeMap<String, String>,
    pool: &Pool,
) -> Result<(), WeightsError> {
    let io_error = |source| WeightsError::Write {
        path: path.to_owned(),
        source,
    };
    let mut file = NewFile::create(path).map_err(io_error)?;
    write_to(&mut file, tensors, metadata, pool, &io_error)?;
    file.commit().map_err(io_error)
}

fn write_to(
    out: &mut impl Write,
    mut tensors: Vec<NewTensor<'_>>,
    metadata: &BTreeMap<String, String>,
    pool: &Pool,
    io_error: &impl Fn(io::Error) -> WeightsError,
) -> Result<(), WeightsError> {
    // Larger elements first, so that each tensor begins at a multiple of its elements' size; then by name.
    let size = |tensor: &NewTensor<'_>| tensor.data_type.piece().map_or(0, |(_, bytes)| bytes);
    tensors.sort_by(|a, b| size(b).cmp(&size(a)).then_with(|| a.name.cmp(&b.name)));
    let header = header(&tensors, metadata)?;
    out.write_all(&(header.len() as u64).to_le_bytes())
        .and_then(|()| out.write_all(&header))
        .map_err(io_error)?;
    tensors
        .into_iter()
        .try_for_each(|tensor| tensor.write(out, pool, io_error))
}

/// JSON with dtype, shape and place of each tensor, and spaces up to a multiple of 8.
fn header(
    tensors: &[NewTensor<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, WeightsError> {
    let mut header = Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".to_owned(), json!(metadata));
    }
    let mut start = 0usize;
    for tensor in tensors {
        let Some(dtype) = dtype(tensor.data_type) else {
            return Err(tensor.error(format!("safetensors files have no {}", tensor.data_type)));
        };
        let end = start
            .checked_add(tensor.byte_len()?)
            .ok_or_else(|| tensor.error("the file would be too large".to_owned()))?;
        let entry = json!({"dtype": dtype, "shape": tensor.shape, "data_offsets": [start, end]});
        if header.insert(tensor.name.clone(), entry).is_some() {
            return Err(tensor.error("there are two of that name".to_owned()));
        }
        start = end;
    }
    let mut bytes = Value::Object(header).to_string().into_bytes();
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    Ok(bytes)
}

fn dtype(data_type: DataType) -> Option<&'static str> {
    match data_type {
        DataType::F32 => Some("F32"),
        DataType::F16 => Some("F16"),
        DataType::Bf16 => Some("BF16"),
        DataType::I32 => Some("I32"),
        DataType::Block(_) | DataType::Other(_) => None,
    }
}
