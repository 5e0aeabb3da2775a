//! Writing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::WeightsError;

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
                format: "safetensors",
                reason: e.to_string(),
            }
        })?;
        views.push((tensor.name.as_str(), view));
    }
    let metadata = (!metadata.is_empty()).then(|| metadata.clone().into_iter().collect());
    safetensors::serialize(views, metadata).map_err(|e| WeightsError::Format {
        path: PathBuf::from("safetensors"),
        format: "safetensors",
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
