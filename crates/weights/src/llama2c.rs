//! llama2.c's own checkpoints (`export.py --version 0`): seven integers, then f32 tensors in a fixed order.
//!
//! ```text
//! i32 × 7: D, F, L, H, K, ±V, C           V negative: the classifier has weights of its own
//! token_embedding_table [V, D]
//! rms_att_weight [L, D]   wq [L, H·E, D]   wk, wv [L, K·E, D]   wo [L, D, H·E]        E = D/H
//! rms_ffn_weight [L, D]   w1 [L, F, D]     w2 [L, D, F]         w3 [L, F, D]
//! rms_final_weight [D]    two tables [C, E/2] of cos and sin, no longer used    wcls [V, D] if it has weights
//! ```
//!
//! Each layer's part of a tensor is a tensor of its own here: `layers.{l}.wq`. The source is `memory_map_weights` in
//! llama2.c's `run.c`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::bytes::Bytes;
use crate::index::{Entry, Index, source_from_index};
use crate::{DataType, TensorInfo, WeightsError};

const FORMAT: &str = "llama2.c";

/// Bytes of the seven integers.
const HEADER: usize = 7 * 4;

/// What later versions begin with: "ak42", from its end.
const LATER_VERSIONS: &[u8] = b"24ka";

/// Names for each layer cost memory; nobody has so many.
const MOST_LAYERS: usize = 1 << 12;

/// The seven integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Llama2cHeader {
    /// D: width of the residual stream.
    pub dim: usize,
    /// F: width of the MLP.
    pub hidden_dim: usize,
    /// L.
    pub n_layers: usize,
    /// H: heads of queries.
    pub n_heads: usize,
    /// K: heads of keys and values.
    pub n_kv_heads: usize,
    /// V.
    pub vocab_size: usize,
    /// C: longest sequence.
    pub seq_len: usize,
    /// Whether the classifier is `token_embedding_table`; otherwise it is `wcls`.
    pub shared_classifier: bool,
}

/// An open file.
#[derive(Clone, Debug)]
pub struct Llama2cFile {
    index: Index,
    header: Llama2cHeader,
}

source_from_index!(Llama2cFile);

impl Llama2cFile {
    /// Maps the file at `path` and checks its header against its length.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        Self::checked(Bytes::map(path)?, path)
    }

    /// A file in memory; `origin` names it in messages.
    pub fn from_vec(bytes: Vec<u8>, origin: &str) -> Result<Self, WeightsError> {
        Self::checked(Bytes::Owned(Arc::new(bytes)), Path::new(origin))
    }

    /// Sizes of the model.
    pub fn header(&self) -> Llama2cHeader {
        self.header
    }

    pub(crate) fn checked(bytes: Bytes, origin: &Path) -> Result<Self, WeightsError> {
        if bytes.starts_with(LATER_VERSIONS) {
            return Err(WeightsError::Unsupported {
                path: origin.to_owned(),
                what: "is a llama2.c file of version 1 or 2".to_owned(),
                todo: "export it with llama2.c's export.py --version 0".to_owned(),
            });
        }
        let contents = Llama2cHeader::parse(&bytes)
            .and_then(|header| Ok((header, header.entries(bytes.len())?)));
        let (header, entries) = contents.map_err(|reason| WeightsError::Format {
            path: origin.to_owned(),
            format: FORMAT,
            reason,
        })?;
        Ok(Self {
            index: Index::new(bytes, origin, entries),
            header,
        })
    }
}

impl Llama2cHeader {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let header = bytes
            .first_chunk::<HEADER>()
            .ok_or_else(|| format!("it has only {} bytes", bytes.len()))?;
        let (integers, _) = header.as_chunks::<4>();
        let raw: Vec<i32> = integers.iter().map(|&x| i32::from_le_bytes(x)).collect();
        let names = [
            "dim",
            "hidden_dim",
            "n_layers",
            "n_heads",
            "n_kv_heads",
            "vocab_size",
            "seq_len",
        ];
        let size = |i: usize| match usize::try_from(raw[i]) {
            Ok(size) if size > 0 => Ok(size),
            _ => Err(format!("its {} is {}", names[i], raw[i])),
        };
        let header = Self {
            dim: size(0)?,
            hidden_dim: size(1)?,
            n_layers: size(2)?,
            n_heads: size(3)?,
            n_kv_heads: size(4)?,
            vocab_size: raw[5].unsigned_abs() as usize,
            seq_len: size(6)?,
            shared_classifier: raw[5] > 0,
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), String> {
        let Self {
            dim,
            n_layers,
            n_heads,
            n_kv_heads,
            ..
        } = self;
        if !dim.is_multiple_of(*n_heads) {
            return Err(format!(
                "its dim {dim} is not a multiple of {n_heads} heads"
            ));
        }
        if !n_heads.is_multiple_of(*n_kv_heads) {
            return Err(format!(
                "its {n_heads} heads are not a multiple of {n_kv_heads} key/value heads"
            ));
        }
        if *n_layers > MOST_LAYERS {
            return Err(format!("it claims {n_layers} layers"));
        }
        Ok(())
    }

    /// The tensors in their order.
    fn tensors(&self) -> Vec<Tensor> {
        let Self {
            dim: d,
            hidden_dim: f,
            vocab_size: v,
            ..
        } = *self;
        let e = d / self.n_heads;
        let kv = self.n_kv_heads * e;
        let once = |name, shape| Tensor {
            name,
            layers: None,
            shape,
        };
        let each = |name, shape| Tensor {
            name,
            layers: Some(self.n_layers),
            shape,
        };
        let mut tensors = vec![
            once("token_embedding_table", vec![v, d]),
            each("rms_att_weight", vec![d]),
            each("wq", vec![d, d]),
            each("wk", vec![kv, d]),
            each("wv", vec![kv, d]),
            each("wo", vec![d, d]),
            each("rms_ffn_weight", vec![d]),
            each("w1", vec![f, d]),
            each("w2", vec![d, f]),
            each("w3", vec![f, d]),
            once("rms_final_weight", vec![d]),
            once(UNUSED, vec![2, self.seq_len, e / 2]),
        ];
        if !self.shared_classifier {
            tensors.push(once("wcls", vec![v, d]));
        }
        tensors
    }

    /// Where each tensor lies in a file that must be `file_len` bytes long.
    fn entries(&self, file_len: usize) -> Result<BTreeMap<String, Entry>, String> {
        let tensors = self.tensors();
        // Each product is below 2¹² · 2³¹ · 2³¹ · 2.
        let values: u128 = tensors.iter().map(Tensor::values).sum();
        let expected = HEADER as u128 + 4 * values;
        if expected != file_len as u128 {
            return Err(format!(
                "{self:?} takes {expected} bytes, but it has {file_len}"
            ));
        }
        let mut entries = BTreeMap::new();
        let mut at = HEADER;
        for tensor in tensors {
            for l in 0..tensor.layers.unwrap_or(1) {
                let end = at + 4 * tensor.shape.iter().product::<usize>();
                if tensor.name != UNUSED {
                    let entry = tensor.entry(at..end);
                    entries.insert(tensor.name_in(l), entry);
                }
                at = end;
            }
        }
        Ok(entries)
    }
}

/// The tables of angles, which llama2.c skips too.
const UNUSED: &str = "";

/// A row of the table above: of one layer, if it has layers.
struct Tensor {
    name: &'static str,
    layers: Option<usize>,
    shape: Vec<usize>,
}

impl Tensor {
    fn values(&self) -> u128 {
        let one: u128 = self.shape.iter().map(|&n| n as u128).product();
        self.layers.unwrap_or(1) as u128 * one
    }

    fn name_in(&self, layer: usize) -> String {
        match self.layers {
            Some(_) => format!("layers.{layer}.{}", self.name),
            None => self.name.to_owned(),
        }
    }

    fn entry(&self, range: Range<usize>) -> Entry {
        let info = TensorInfo {
            shape: self.shape.clone(),
            data_type: DataType::F32,
        };
        Entry { info, range }
    }
}
