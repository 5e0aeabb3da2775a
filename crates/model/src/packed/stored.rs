//! Weights that stay in their file: quantised blocks, floats that serve where they are, and what is read and laid out of them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use glassformer_kernels::product::stored::{MOST_ROWS, few_rows};
use glassformer_kernels::product::{Precision, Rows};
use glassformer_kernels::quantised::packed::Packed;
use glassformer_tensor::ops::product::PackedRight;
use glassformer_tensor::{Buffers, Pool, Tensor};
use glassformer_weights::DataType;

use super::{Part, Weight};
use crate::checkpoint::StoredMatrix;

/// Matrices in `bf16` that stay in their file, where a few rows meet them, so that a model answers before it was laid out. When
/// more rows come at a time, or have come one by one, they are laid out after all: reading them is faster then. What comes out is
/// the same, bit for bit.
#[derive(Debug)]
pub(crate) struct StoredFloats {
    matrices: Vec<StoredMatrix>,
    operand: OnceLock<PackedRight>,
    /// Rows that met them in the file.
    served: AtomicUsize,
    /// How many do before they are laid out.
    patience: usize,
}

impl StoredFloats {
    /// None where they are of another type, or lie so that they cannot be read in place.
    fn new(group: &[&StoredMatrix], precision: Precision, patience: usize) -> Option<Self> {
        let are_readable = group.iter().all(|matrix| matrix.in_place().is_some());
        (precision == Precision::Bf16 && are_readable).then(|| Self {
            matrices: group.iter().map(|&matrix| matrix.clone()).collect(),
            operand: OnceLock::new(),
            served: AtomicUsize::new(0),
            patience,
        })
    }

    /// Whether so many rows are multiplied with them where they are.
    pub(crate) fn takes(&self, rows: usize) -> bool {
        let has_patience = self.served.load(Relaxed) < self.patience;
        rows <= MOST_ROWS && has_patience && self.operand.get().is_none()
    }

    /// Columns from `first` on of `y`, which has `width` of them: those of x·W.
    pub(crate) fn times(
        &self,
        pool: &Pool,
        y: &mut [f32],
        [width, mut first]: [usize; 2],
        x: Rows<'_>,
    ) {
        self.served.fetch_add(x.row_count(), Relaxed);
        for matrix in &self.matrices {
            let rows = matrix.in_place().expect("checked");
            few_rows(pool, (y, width, first), x, rows, |r| matrix.row_in_file(r));
            first += matrix.rows;
        }
    }

    /// As B [I,O], laid out if they are not yet.
    pub(super) fn operand(&self, pool: &Pool) -> &PackedRight {
        self.operand.get_or_init(|| {
            let group: Vec<_> = self.matrices.iter().collect();
            laid_out(pool, &Buffers::new(), Precision::Bf16, &group)
        })
    }

    /// Of all of them.
    pub(super) fn bytes(&self) -> usize {
        let numbers = self.matrices.iter().map(|m| m.rows * m.cols);
        2 * numbers.sum::<usize>()
    }
}

/// Matrices [out,in] below each other as B [in,out].
fn laid_out(
    pool: &Pool,
    buffers: &Buffers,
    precision: Precision,
    group: &[&StoredMatrix],
) -> PackedRight {
    let (rows, cols) = (group.iter().map(|m| m.rows).sum(), group[0].cols);
    let read = |first: usize, out: &mut [f32]| read(group, cols, first, out);
    PackedRight::of_transposed_from(pool, buffers, precision, [rows, cols], read)
}

/// Matrices [out,in] of a file that stand side by side in a layer; neighbours of one kind become one part.
pub(super) fn parts(
    pool: &Pool,
    buffers: &Buffers,
    precision: Precision,
    matrices: &[&StoredMatrix],
    patience: usize,
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
        } else if let Some(floats) = StoredFloats::new(group, precision, patience) {
            Weight::Stored(floats)
        } else {
            Weight::Product(laid_out(pool, buffers, precision, group))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_in_a_file_are_laid_out_in_time() {
        let stored = StoredFloats {
            matrices: Vec::new(),
            operand: OnceLock::new(),
            served: AtomicUsize::new(0),
            patience: 3,
        };
        let numbers = [0.0; 16];
        let x = Rows::f32(&numbers, 8);
        for before in 0..2 {
            assert!(stored.takes(1), "{before} times two rows came");
            assert!(!stored.takes(MOST_ROWS + 1));
            stored.times(&Pool::single(), &mut [], [0, 0], x);
        }
        assert!(!stored.takes(1), "four rows came");
    }
}
