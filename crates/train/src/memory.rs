//! What a run will take of the machine's memory, before it takes it.
//!
//! With P parameters, L blocks, N = B·T rows, w bytes per number of an operand (4 in f32, 2 in bf16):
//!
//! | what | bytes |
//! |---|---|
//! | parameters, gradients, two moments | 16·P |
//! | kept of each block for the backward pass | 2·4·N·D + w·N·(6·D + F) |
//! | … and with dropout | + 4·4·N·D |
//! | with `--recompute`: kept of one block only; of each of the L its input | + L·4·N·D |
//! | operands of weights, forward and backward: in bf16 of all blocks, else and with `--recompute` of one; of W_U | w·2·(L·(4·D² + 2·D·F) + V·D), columns in whole panels |
//! | operands of one block's products beside them | w·N·(8·D + 3·F) + 4·N·D |
//! | loss: a chunk of logits, gradients of a group of them | w·2·G·V + 4·C·V |
//!
//! An adapter with A parameters on a model that stays as it is, whose linear layers are I → O (q·k·v, out, the first and the last
//! of the MLP):
//!
//! | what | bytes |
//! |---|---|
//! | parameters, gradients, two moments | 16·A |
//! | kept of each block for the backward pass | N·(16·D + (4 + w)·O_qkv + w·I_out + 4·O_first + (4 + w)·I_down) |
//! | weights of each linear layer of one block for dx: decoded unless they are in memory, and as operand | (4 + w)·I·O |
//! | of the largest of them: what goes in as codes, rounded, its gradient; what comes out: its gradient, rounded, what is added | N·((9 + w)·I + (8 + w)·O) |
//! | … and with dropout of the adapter | + 8·N·I |
//! | loss: W_Uᵀ likewise, a chunk of logits, gradients of a group of them | (4 + w)·V·D + w·G·V + 4·C·V |
//!
//! A translator with S tokens of sources and T of targets in a batch, S + T at most as many as the options say: all parameters
//! likewise; of each encoder block what is kept of S rows, of each decoder block twice as much of T. It is told as if all rows
//! were targets, which is too much by a third or so.
//!
//! G ≤ 1,024 rows of a group, C of a chunk (`glassformer_model::loss`). Evaluation reuses what training took.

use glassformer_kernels::product::RIGHT;
use glassformer_model::{Dimensions, Model, PackedWeights, loss};

use crate::{Options, TrainError};

/// Bytes that a run needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Parameters, gradients, moments.
    pub arenas: u64,
    /// Activations, and operands of products.
    pub work: u64,
    /// Weights that stay as they are, in memory already.
    pub frozen: u64,
}

impl Needs {
    /// Of a run with these options on a model of these sizes.
    pub fn of(options: &Options, dimensions: &Dimensions) -> Self {
        // Sizes come from a user: their products need more than 64 bits before they are found too large.
        let size = |n: usize| n as u128;
        let (d, f, v) = (
            size(dimensions.d_model),
            size(dimensions.d_ff),
            size(dimensions.vocab),
        );
        let layers = size(dimensions.n_layers);
        let n = size(options.batch_size) * size(options.n_ctx);
        let w = size(options.precision.bytes());
        let matrices = 4 * d * d + 2 * d * f;
        let parameters =
            v * d + size(dimensions.n_ctx) * d + layers * (matrices + 9 * d + f) + 2 * d;
        let dropped = if options.dropout > 0.0 { 16 * n * d } else { 0 };
        let kept = 8 * n * d + w * n * (6 * d + f) + dropped;
        let kept = if options.recompute {
            kept + layers * 4 * n * d
        } else {
            layers * kept
        };
        let both_ways = |i: u128, o: u128| {
            let panels = |n: u128| n.next_multiple_of(size(RIGHT));
            w * (i * panels(o) + o * panels(i))
        };
        let of_block = [(d, 3 * d), (d, d), (d, f), (f, d)].map(|(i, o)| both_ways(i, o));
        let blocks = if options.keeps_operands() { layers } else { 1 };
        let operands = blocks * of_block.iter().sum::<u128>() + both_ways(d, v);
        let block = w * n * (8 * d + 3 * f) + 4 * n * d;
        let (group, chunk) = loss::rows_at_a_time(dimensions.vocab);
        let (group, chunk) = (n.min(size(group)), n.min(size(chunk)));
        let loss = w * 2 * group * v + 4 * chunk * v;
        let bytes = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
        Self {
            arenas: bytes(16 * parameters),
            work: bytes(kept + operands + block + loss),
            frozen: 0,
        }
    }

    /// Of a run that trains the adapter of `model`, whose other weights are packed.
    pub fn of_adapter(options: &Options, model: &Model) -> Self {
        let (dimensions, linears) = (model.dimensions(), model.network.linears());
        let size = |n: usize| n as u128;
        let [n, d] = [options.batch_size * options.n_ctx, dimensions.d_model].map(size);
        let w = size(options.precision.bytes());
        let sizes = |i: usize| {
            linears
                .get(i)
                .map_or([0, 0], |l| [l.d_in, l.d_out].map(size))
        };
        let [[_, qkv], [heads, _], [_, first], [down, _]] = [0, 1, 2, 3].map(sizes);
        let kept = n * (16 * d + (4 + w) * qkv + w * heads + 4 * first + (4 + w) * down);
        let layers = size(dimensions.n_layers);
        let kept = if options.recompute {
            kept + layers * 4 * n * d
        } else {
            layers * kept
        };
        let decoded = if model.parameters.are_in_memory() {
            0
        } else {
            4
        };
        let is_dropped = options.lora.as_ref().is_some_and(|lora| lora.dropout > 0.0);
        let read = 9 + w + if is_dropped { 8 } else { 0 };
        let weights = [0, 1, 2, 3].map(sizes).map(|[i, o]| (decoded + w) * i * o);
        let rows = [0, 1, 2, 3]
            .map(sizes)
            .map(|[i, o]| n * (read * i + (8 + w) * o));
        let block = weights.iter().sum::<u128>() + rows.into_iter().max().unwrap_or(0);
        let v = size(dimensions.vocab);
        let (group, chunk) = loss::rows_at_a_time(dimensions.vocab);
        let (group, chunk) = (n.min(size(group)), n.min(size(chunk)));
        let loss = (decoded + w) * v * d + w * group * v + 4 * chunk * v;
        let bytes = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
        let packed = model.packed.as_ref().map_or(0, PackedWeights::bytes);
        let trained = model.parameters.trained().layout().len();
        Self {
            arenas: bytes(16 * size(trained)),
            work: bytes(kept + block + loss),
            frozen: bytes(size(packed) + 4 * size(model.parameters.in_memory())),
        }
    }

    /// Of a run that trains a translator of so many parameters which writes `vocab` tokens: an upper bound.
    pub fn of_pairs(options: &Options, parameters: usize, vocab: usize) -> Self {
        let rows = options.translation.as_ref().map_or(0, |t| t.batch_tokens);
        let as_one = Options {
            batch_size: rows,
            n_ctx: 1,
            ..options.clone()
        };
        // A decoder's block has as much again in its cross-attention as in its other half.
        let decoder = Dimensions {
            n_layers: 2 * options.n_layers,
            ..options.dimensions(vocab)
        };
        let arenas = (parameters as u64).saturating_mul(16);
        Self {
            arenas,
            ..Self::of(&as_one, &decoder)
        }
    }

    /// All that is still to be taken.
    pub fn total(&self) -> u64 {
        self.arenas.saturating_add(self.work)
    }
}

/// Fails when a run needs more than is `available`, and says if recomputing activations would make it fit.
pub fn check(
    options: &Options,
    dimensions: &Dimensions,
    available: Option<u64>,
) -> Result<(), TrainError> {
    refuse(options, available, |options| {
        Needs::of(options, dimensions).total()
    })
}

/// As [`check`], for a run that trains the adapter of `model`.
pub fn check_adapter(
    options: &Options,
    model: &Model,
    available: Option<u64>,
) -> Result<(), TrainError> {
    refuse(options, available, |options| {
        Needs::of_adapter(options, model).total()
    })
}

/// As [`check`], for a run that trains a translator of so many parameters which writes `vocab` tokens.
pub(crate) fn check_pairs(
    options: &Options,
    parameters: usize,
    vocab: usize,
    available: Option<u64>,
) -> Result<(), TrainError> {
    refuse(options, available, |options| {
        Needs::of_pairs(options, parameters, vocab).total()
    })
}

fn refuse(
    options: &Options,
    available: Option<u64>,
    needs: impl Fn(&Options) -> u64,
) -> Result<(), TrainError> {
    let most = needs(options);
    let Some(available) = available.filter(|&available| most > available) else {
        return Ok(());
    };
    let recomputing = Options {
        recompute: true,
        ..options.clone()
    };
    let less = needs(&recomputing);
    let hint = if !options.recompute && less <= available {
        format!("with --recompute it needs {}; or ", gigabytes(less))
    } else {
        String::new()
    };
    Err(TrainError::Memory {
        needs: gigabytes(most),
        available: gigabytes(available),
        hint,
    })
}

/// Bytes as people read them.
pub fn gigabytes(bytes: u64) -> String {
    let bytes = bytes as f64;
    if bytes >= 1e9 {
        format!("{:.1} GB", bytes / 1e9)
    } else {
        format!("{:.0} MB", (bytes / 1e6).max(1.0))
    }
}

/// Bytes that this process may still take, where the system tells (Linux): what is free or can be freed, or what the
/// control group leaves if that is less.
pub fn available() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let free = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let free: u64 = free.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    let number =
        |path: &str| -> Option<u64> { std::fs::read_to_string(path).ok()?.trim().parse().ok() };
    let group = number("/sys/fs/cgroup/memory.max").zip(number("/sys/fs/cgroup/memory.current"));
    let left = group.map(|(most, now)| most.saturating_sub(now));
    Some((free * 1024).min(left.unwrap_or(u64::MAX)))
}
