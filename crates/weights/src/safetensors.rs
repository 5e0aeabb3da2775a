//! The safetensors format, through the crate of that name: named tensors in one file, mapped or in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::{MappedFile, WeightsError};

/// Where the bytes of a file are.
#[derive(Clone, Debug)]
enum Bytes {
    Mapped(Arc<MappedFile>),
    Static(&'static [u8]),
    Owned(Arc<Vec<u8>>),
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Static(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// How the numbers of a tensor are kept in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatType {
    /// 4 bytes.
    F32,
    /// 2 bytes, 5 bits of exponent.
    F16,
    /// 2 bytes, 8 bits of exponent.
    Bf16,
}

/// An open safetensors file whose header has been checked.
#[derive(Clone, Debug)]
pub struct TensorFile {
    bytes: Bytes,
    /// Name for messages: a path, or "built-in model".
    origin: PathBuf,
}

impl TensorFile {
    /// Maps the file at `path` and checks its header.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let map = MappedFile::open(path).map_err(|source| WeightsError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::checked(Bytes::Mapped(Arc::new(map)), path)
    }

    /// A file inside the program; `origin` names it in messages.
    pub fn from_static(bytes: &'static [u8], origin: &str) -> Result<Self, WeightsError> {
        Self::checked(Bytes::Static(bytes), Path::new(origin))
    }

    /// A file in memory; `origin` names it in messages.
    pub fn from_vec(bytes: Vec<u8>, origin: &str) -> Result<Self, WeightsError> {
        Self::checked(Bytes::Owned(Arc::new(bytes)), Path::new(origin))
    }

    fn checked(bytes: Bytes, origin: &Path) -> Result<Self, WeightsError> {
        let file = Self {
            bytes,
            origin: origin.to_owned(),
        };
        file.parsed()?;
        Ok(file)
    }

    fn parsed(&self) -> Result<SafeTensors<'_>, WeightsError> {
        SafeTensors::deserialize(self.bytes.as_slice()).map_err(|source| WeightsError::Format {
            path: self.origin.clone(),
            reason: source.to_string(),
        })
    }

    /// The file's name in messages.
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .parsed()
            .map(|file| file.names().into_iter().map(str::to_owned).collect())
            .unwrap_or_default();
        names.sort();
        names
    }

    /// The strings of the file's `__metadata__`.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        SafeTensors::read_metadata(self.bytes.as_slice())
            .ok()
            .and_then(|(_, metadata)| metadata.metadata().clone())
            .map(|map| map.into_iter().collect())
            .unwrap_or_default()
    }

    /// Shape of the tensor `name`, if the file has it.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        Some(self.parsed().ok()?.tensor(name).ok()?.shape().to_vec())
    }

    /// Copies the tensor `name` into `out` as f32. Errors: missing, another number of elements than `shape`, or a
    /// type that is not a float.
    pub fn read_f32(
        &self,
        name: &str,
        shape: &[usize],
        out: &mut [f32],
    ) -> Result<(), WeightsError> {
        let file = self.parsed()?;
        let view = file.tensor(name).map_err(|_| WeightsError::Missing {
            path: self.origin.clone(),
            name: name.to_owned(),
        })?;
        if view.shape() != shape {
            return Err(WeightsError::Shape {
                path: self.origin.clone(),
                name: name.to_owned(),
                expected: shape.to_vec(),
                found: view.shape().to_vec(),
            });
        }
        assert_eq!(
            out.len(),
            shape.iter().product::<usize>(),
            "room for {name}"
        );
        self.convert(name, &view, out)
    }

    fn convert(
        &self,
        name: &str,
        view: &TensorView<'_>,
        out: &mut [f32],
    ) -> Result<(), WeightsError> {
        let data = view.data();
        match view.dtype() {
            Dtype::F32 => each(data, out, f32::from_le_bytes),
            Dtype::F16 => each(data, out, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => each(data, out, |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::I32 => each(data, out, |b| i32::from_le_bytes(b) as f32),
            other => {
                return Err(WeightsError::Type {
                    path: self.origin.clone(),
                    name: name.to_owned(),
                    found: format!("{other:?}"),
                });
            }
        }
        Ok(())
    }

    /// The tensor `name` as f32, with its shape.
    pub fn load_f32(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), WeightsError> {
        let shape = self.shape(name).ok_or_else(|| WeightsError::Missing {
            path: self.origin.clone(),
            name: name.to_owned(),
        })?;
        let mut out = vec![0.0; shape.iter().product()];
        self.read_f32(name, &shape, &mut out)?;
        Ok((shape, out))
    }
}

fn each<const N: usize>(data: &[u8], out: &mut [f32], convert: impl Fn([u8; N]) -> f32) {
    let (chunks, _) = data.as_chunks::<N>();
    for (out, &bytes) in out.iter_mut().zip(chunks) {
        *out = convert(bytes);
    }
}

/// A tensor to be written.
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
    let encoded: Vec<(Dtype, Vec<u8>)> = tensors.iter().map(|t| encode(t.data, dtype)).collect();
    let mut views = Vec::with_capacity(tensors.len());
    for (tensor, (dtype, bytes)) in tensors.iter().zip(&encoded) {
        let view = TensorView::new(*dtype, tensor.shape.clone(), bytes).map_err(|e| {
            WeightsError::Format {
                path: PathBuf::from(&tensor.name),
                reason: e.to_string(),
            }
        })?;
        views.push((tensor.name.as_str(), view));
    }
    let metadata = (!metadata.is_empty()).then(|| metadata.clone().into_iter().collect());
    safetensors::serialize(views, metadata).map_err(|e| WeightsError::Format {
        path: PathBuf::from("safetensors"),
        reason: e.to_string(),
    })
}

fn encode(data: &[f32], dtype: FloatType) -> (Dtype, Vec<u8>) {
    match dtype {
        FloatType::F32 => (
            Dtype::F32,
            data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        ),
        FloatType::F16 => (
            Dtype::F16,
            data.iter()
                .flat_map(|&x| f16::from_f32(x).to_le_bytes())
                .collect(),
        ),
        FloatType::Bf16 => (
            Dtype::BF16,
            data.iter()
                .flat_map(|&x| bf16::from_f32(x).to_le_bytes())
                .collect(),
        ),
    }
}
