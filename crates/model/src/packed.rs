//! Weights laid out for products once, for a model that is only run.

use std::collections::HashMap;
use std::ops::Range;

use glassformer_kernels::product::{Precision, Right};
use glassformer_kernels::quantised::packed::Packed;
use glassformer_tensor::ops::product::PackedRight;
use glassformer_tensor::{Buffers, Pool, Tensor};
use glassformer_weights::DataType;

use crate::block::{Linear, Storage};
use crate::checkpoint::StoredMatrix;
use crate::{ParamId, Parameters};

/// The operands of a model's linear layers. They do not follow the parameters: pack anew when those change.
#[derive(Debug)]
pub struct PackedWeights {
    precision: Precision,
    weights: HashMap<ParamId, Vec<Part>>,
    not_finite: Option<String>,
}

/// Some outputs of a layer.
#[derive(Debug)]
pub(crate) struct Part {
    /// Which.
    pub(crate) columns: Range<usize>,
    pub(crate) weight: Weight,
}

/// How the weights of a part are laid out.
#[derive(Debug)]
pub(crate) enum Weight {
    /// As B [I,O] of a product in floats.
    Product(PackedRight),
    /// As they are in a file of quantised blocks, in the order in which integer products read them.
    Quantised(Packed),
}

impl PackedWeights {
    /// Lays out the weights of `layers`: floats in `precision`, quantised blocks as they are.
    pub fn new(
        pool: &Pool,
        parameters: &Parameters,
        precision: Precision,
        layers: &[Linear],
    ) -> Self {
        let buffers = Buffers::new();
        let pack = |linear: &Linear| {
            let matrices: Vec<_> = parameters.stored(linear.weight).collect();
            let parts = if matrices.is_empty() || linear.storage == Storage::InOut {
                let whole = linear.forward_operand(pool, &buffers, parameters, precision);
                vec![Part {
                    columns: 0..linear.d_out,
                    weight: Weight::Product(whole),
                }]
            } else {
                stored(pool, &buffers, precision, &matrices)
            };
            (linear.weight, parts)
        };
        let weights = layers.iter().map(pack).collect();
        Self {
            precision,
            weights,
            not_finite: first_not_finite(pool, parameters),
        }
    }

    /// The name in its file of a matrix with a NaN or an infinity, if one of those that stay there has it.
    pub fn not_finite(&self) -> Option<&str> {
        self.not_finite.as_deref()
    }

    /// What floats were rounded to.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// One layer's weights, where they are one operand in floats.
    pub fn get(&self, weight: ParamId) -> Option<Right<'_>> {
        match self.weights.get(&weight)?.as_slice() {
            [
                Part {
                    weight: Weight::Product(packed),
                    ..
                },
            ] => Some(packed.view()),
            _ => None,
        }
    }

    /// One layer's weights.
    pub(crate) fn parts(&self, weight: ParamId) -> Option<&[Part]> {
        self.weights.get(&weight).map(Vec::as_slice)
    }

    /// Bytes of all of them: what decoding one token reads.
    pub fn bytes(&self) -> usize {
        self.weights
            .values()
            .flatten()
            .map(|part| part.weight.bytes())
            .sum()
    }
}

impl Weight {
    fn bytes(&self) -> usize {
        match self {
            Self::Product(packed) => packed.bytes(),
            Self::Quantised(packed) => packed.size(),
        }
    }
}

/// The first matrix in its file that is not all numbers. All were just read, so that looking costs little.
fn first_not_finite(pool: &Pool, parameters: &Parameters) -> Option<String> {
    let mut matrices = parameters.stored_matrices();
    let bad = matrices.find(|matrix| !matrix.is_finite(pool))?;
    Some(bad.name().to_owned())
}

/// Matrices [out,in] of a file that stand side by side in a layer; neighbours of one kind become one part.
fn stored(
    pool: &Pool,
    buffers: &Buffers,
    precision: Precision,
    matrices: &[&StoredMatrix],
) -> Vec<Part> {
    let kind = |matrix: &StoredMatrix| match matrix.data_type {
        DataType::Block(kind) if matrix.cols.is_multiple_of(kind.weights()) => Some(kind),
        _ => None,
    };
    let mut parts = Vec::new();
    let mut first = 0;
    for group in matrices.chunk_by(|a, b| kind(a) == kind(b)) {
        let (rows, cols) = (group.iter().map(|m| m.rows).sum::<usize>(), group[0].cols);
        let weight = if let Some(kind) = kind(group[0]) {
            let bytes: Vec<&[u8]> = group
                .iter()
                .flat_map(|matrix| (0..matrix.rows).map(|r| matrix.row(r)))
                .collect();
            Weight::Quantised(Packed::new(pool, kind, [rows, cols], |r| bytes[r]))
        } else {
            let size = [rows, cols];
            let read = |first: usize, out: &mut [f32]| read(group, cols, first, out);
            let packed = PackedRight::of_transposed_from(pool, buffers, precision, size, read);
            Weight::Product(packed)
        };
        parts.push(Part {
            columns: first..first + rows,
            weight,
        });
        first += rows;
    }
    parts
}

/// The values of matrices below each other, [rows, cols].
pub(crate) fn values<'a>(
    pool: &Pool,
    buffers: &Buffers,
    matrices: impl Iterator<Item = &'a StoredMatrix>,
    [rows, cols]: [usize; 2],
) -> Tensor {
    let mut values = Tensor::uninitialised(buffers, &[rows, cols]);
    let mut rest = values.data_mut();
    for matrix in matrices {
        let (part, next) = rest.split_at_mut(matrix.rows * cols);
        rest = next;
        pool.rows(part, cols, 64, |first, part| matrix.read_rows(first, part));
    }
    values
}

/// Rows of matrices below each other, from `first` on, into `out` [rows, cols].
fn read(matrices: &[&StoredMatrix], cols: usize, mut first: usize, mut out: &mut [f32]) {
    for matrix in matrices {
        let rows = matrix
            .rows
            .saturating_sub(first)
            .min(out.len() / cols.max(1));
        let (part, rest) = out.split_at_mut(rows * cols);
        matrix.read_rows(first, part);
        out = rest;
        first = first.saturating_sub(matrix.rows);
    }
}
