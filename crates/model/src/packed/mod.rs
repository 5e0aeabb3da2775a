//! Weights laid out for products beforehand: once for a model that is only run, anew with each step for one that is trained.

mod stored;

use std::collections::BTreeMap;
use std::ops::Range;

use glassformer_kernels::product::Precision;
use glassformer_kernels::quantised::packed::Packed;
use glassformer_tensor::ops::product::{BothOperands, PackedRight};
use glassformer_tensor::{Buffers, Pool};

pub(crate) use self::stored::{StoredFloats, values};
use crate::block::{Linear, Storage, Way};
use crate::{ParamId, Parameters};

/// Rows after which the first weights of a model are laid out: these took about as long from the file as laying out takes.
const PATIENCE: usize = 16;
/// Layers whose weights are laid out one after the other for the same token, so that none takes much longer than its neighbours.
const AT_A_TOKEN: usize = 4;

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
                stored::parts(pool, &buffers, precision, &matrices, patience)
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
            Self::Stored(stored) => stored.bytes(),
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
