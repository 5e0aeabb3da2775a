//! Weights laid out for products beforehand: once for a model that is only run, anew with each step for one that is trained.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use glassformer_kernels::product::stored::{MOST_ROWS, few_rows};
use glassformer_kernels::product::{Precision, Rows};
use glassformer_kernels::quantised::packed::Packed;
use glassformer_tensor::ops::product::{BothOperands, PackedRight};
use glassformer_tensor::{Buffers, Pool, Tensor};
use glassformer_weights::DataType;

use crate::block::{Linear, Storage, Way};
use crate::checkpoint::StoredMatrix;
use crate::{ParamId, Parameters};

/// The operands of a model's linear layers. Unless they were made for [training](PackedWeights::for_training) they do not
/// follow the parameters: pack anew when those change.
#[derive(Debug)]
pub struct PackedWeights {
    precision: Precision,
    weights: BTreeMap<ParamId, Packing>,
    not_finite: Option<String>,
}

/// One layer's weights.
#[derive(Debug)]
struct Packing {
    /// W, in parts that stand side by side.
    parts: Vec<Part>,
    /// Of a model in training.
    backward: Option<Backward>,
}

/// What training has of one layer's weights beside W in one part.
#[derive(Debug)]
struct Backward {
    /// Wᵀ as B [O,I].
    operand: PackedRight,
    /// Whether W's rows as B are its rows in memory; then Wᵀ's are not.
    runs_down: bool,
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
    /// Where they are in a file of `bf16`.
    Stored(StoredFloats),
}

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

/// Rows after which the first weights of a model are laid out: these took about as long from the file as laying out takes.
const PATIENCE: usize = 16;
/// Layers whose weights are laid out one after the other for the same token, so that none takes much longer than its neighbours.
const AT_A_TOKEN: usize = 4;

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
    fn operand(&self, pool: &Pool) -> &PackedRight {
        self.operand.get_or_init(|| {
            let group: Vec<_> = self.matrices.iter().collect();
            laid_out(pool, &Buffers::new(), Precision::Bf16, &group)
        })
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

impl PackedWeights {
    /// Lays out the weights of `layers`: floats in `precision`, unless they serve where they are, quantised blocks as they are.
    pub fn new(
        pool: &Pool,
        parameters: &Parameters,
        precision: Precision,
        layers: &[Linear],
    ) -> Self {
        let buffers = Buffers::new();
        let pack = |(i, linear): (usize, &Linear)| {
            let matrices: Vec<_> = parameters.stored(linear.weight).collect();
            let parts = if matrices.is_empty() || linear.storage == Storage::InOut {
                vec![Part::whole(linear, pool, &buffers, parameters, precision)]
            } else {
                let patience = PATIENCE + i / AT_A_TOKEN;
                stored(pool, &buffers, precision, &matrices, patience)
            };
            let packing = Packing {
                parts,
                backward: None,
            };
            (linear.weight, packing)
        };
        let weights = layers.iter().enumerate().map(pack).collect();
        Self {
            precision,
            weights,
            not_finite: first_not_finite(pool, parameters),
        }
    }

    /// Lays out the weights of `layers`, which are in memory, for the forward and for the backward pass;
    /// [`PackedWeights::follow`] keeps them up.
    ///
    /// # Panics
    /// When layers have parts of weights in common.
    pub fn for_training(
        pool: &Pool,
        parameters: &Parameters,
        precision: Precision,
        layers: &[Linear],
    ) -> Self {
        let buffers = Buffers::new();
        let pack = |linear: &Linear| {
            let operand = linear.laid_out(pool, &buffers, parameters, precision, Way::Backward);
            let packing = Packing {
                parts: vec![Part::whole(linear, pool, &buffers, parameters, precision)],
                backward: Some(Backward {
                    operand,
                    runs_down: linear.runs_down(Way::Forward),
                }),
            };
            (linear.weight, packing)
        };
        let weights: BTreeMap<_, _> = layers.iter().map(pack).collect();
        let ends = weights.keys().map(|id| id.offset + id.len);
        let apart = ends
            .zip(weights.keys().skip(1))
            .all(|(end, next)| end <= next.offset);
        assert!(
            apart,
            "each weight is of one layer, or as a whole of several"
        );
        Self {
            precision,
            weights,
            not_finite: None,
        }
    }

    /// The operands of weights in training, each with the place of its matrix in the arena, in that order: to be kept up
    /// with the parameters by whoever changes these. None of a model that is only run.
    pub fn follow(&mut self) -> impl Iterator<Item = (usize, BothOperands<'_>)> {
        let among = self.bytes_in_training();
        let layers = self.weights.iter_mut();
        layers.filter_map(move |(id, packing)| {
            let backward = packing.backward.as_mut()?;
            let forward = packing.parts.first_mut()?.weight.product_mut()?;
            let (runs_down, backward) = (backward.runs_down, &mut backward.operand);
            let [of, of_transposed] = if runs_down {
                [forward, backward]
            } else {
                [backward, forward]
            };
            let both = BothOperands {
                of,
                of_transposed,
                among,
            };
            Some((id.offset, both))
        })
    }

    /// Whether they are kept up with parameters that are trained.
    pub fn is_for_training(&self) -> bool {
        self.weights
            .values()
            .any(|packing| packing.backward.is_some())
    }

    /// The name in its file of a matrix with a NaN or an infinity, if one of those that stay there has it.
    pub fn not_finite(&self) -> Option<&str> {
        self.not_finite.as_deref()
    }

    /// What floats were rounded to.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// One layer's weights.
    pub(crate) fn parts(&self, weight: ParamId) -> Option<&[Part]> {
        let packing = self.weights.get(&weight)?;
        Some(&packing.parts)
    }

    /// One layer's Wᵀ as B [O,I], of a model in training.
    pub(crate) fn backward(&self, weight: ParamId) -> Option<&PackedRight> {
        let trained = self.weights.get(&weight)?.backward.as_ref()?;
        Some(&trained.operand)
    }

    /// Bytes of all of them: what decoding one token reads.
    pub fn bytes(&self) -> usize {
        let parts = self.weights.values().flat_map(|packing| &packing.parts);
        parts.map(|part| part.weight.bytes()).sum()
    }

    /// Bytes of all that [`PackedWeights::for_training`] has laid out.
    pub fn bytes_in_training(&self) -> usize {
        let trained = self
            .weights
            .values()
            .filter_map(|packing| packing.backward.as_ref());
        self.bytes()
            + trained
                .map(|trained| trained.operand.bytes())
                .sum::<usize>()
    }
}

impl Part {
    /// All outputs of a layer, whose weights are laid out whole.
    fn whole(
        linear: &Linear,
        pool: &Pool,
        buffers: &Buffers,
        parameters: &Parameters,
        precision: Precision,
    ) -> Self {
        let whole = linear.laid_out(pool, buffers, parameters, precision, Way::Forward);
        Self {
            columns: 0..linear.d_out,
            weight: Weight::Product(whole),
        }
    }
}

impl Weight {
    fn product_mut(&mut self) -> Option<&mut PackedRight> {
        match self {
            Self::Product(packed) => Some(packed),
            _ => None,
        }
    }

    /// As B [I,O], unless they are quantised.
    pub(crate) fn operand(&self, pool: &Pool) -> Option<&PackedRight> {
        match self {
            Self::Product(packed) => Some(packed),
            Self::Quantised(_) => None,
            Self::Stored(stored) => Some(stored.operand(pool)),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Product(packed) => packed.bytes(),
            Self::Quantised(packed) => packed.size(),
            Self::Stored(stored) => {
                let numbers = stored.matrices.iter().map(|m| m.rows * m.cols);
                2 * numbers.sum::<usize>()
            }
        }
    }
}

/// The first matrix in its file that is not all numbers. All were just read, or, in `bf16`, will be at once: they come into
/// memory here, and looking costs little more.
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
