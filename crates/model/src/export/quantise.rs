//! Which tensor of a GGUF file gets which type, as llama.cpp's `llama-quantize` chooses.
//!
//! | tensor | type |
//! |---|---|
//! | vectors (norms, biases), positions, token types | F32 |
//! | what becomes logits: `output`, or `token_embd` where that is the same | Q6_K; Q8_0 among Q8_0 |
//! | of Q4_K, in some blocks: values and the MLP's last matrix | Q6_K |
//! | the other matrices | the one asked for |
//!
//! Rows that are no whole blocks fall back: Q4_K to Q5_0, Q6_K to Q8_0, and blocks of 32 to F16.

use glassformer_kernels::quantised::blocks::Kind;
use glassformer_weights::DataType;

/// What a model is to be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Each matrix as it is kept now.
    Kept,
    /// All matrices in floats of this type, or mostly in these blocks.
    Mostly(DataType),
}

/// What must be known of a model for choosing.
#[derive(Clone, Copy, Debug)]
pub struct Role {
    /// Number of blocks.
    pub n_layers: usize,
    /// Whether `token_embd` becomes logits too.
    pub tied: bool,
}

const Q4_K: DataType = DataType::Block(Kind::Q4_K);
const Q5_0: DataType = DataType::Block(Kind::Q5_0);
const Q6_K: DataType = DataType::Block(Kind::Q6_K);
const Q8_0: DataType = DataType::Block(Kind::Q8_0);

impl Mix {
    /// The type of the tensor `name` of `shape`, which is `stored` now.
    pub fn choose(self, role: Role, name: &str, shape: &[usize], stored: DataType) -> DataType {
        if shape.len() < 2 || is_table(name) {
            return DataType::F32;
        }
        match self {
            Self::Kept => stored,
            Self::Mostly(wanted) => fitting(aim(wanted, role, name), row(shape)),
        }
    }

    /// Whether a matrix gets another type than it would if its rows were whole blocks.
    pub fn falls_back(self, role: Role, name: &str, shape: &[usize]) -> bool {
        match self {
            Self::Kept => false,
            Self::Mostly(wanted) => {
                let aim = aim(wanted, role, name);
                shape.len() == 2 && fitting(aim, row(shape)) != aim && !is_table(name)
            }
        }
    }
}

fn is_table(name: &str) -> bool {
    name == "position_embd.weight" || name == "token_types.weight"
}

fn row(shape: &[usize]) -> usize {
    shape.last().copied().unwrap_or(1)
}

/// The type of a matrix, if its rows are whole blocks of it.
fn aim(wanted: DataType, role: Role, name: &str) -> DataType {
    match wanted {
        DataType::Block(_) if is_unembedding(role, name) && wanted != Q8_0 => Q6_K,
        Q4_K if needs_more_bits(role, name) => Q6_K,
        other => other,
    }
}

fn is_unembedding(role: Role, name: &str) -> bool {
    name == "output.weight" || (role.tied && name == "token_embd.weight")
}

/// The matrices at which Q4_K_M spends more: `attn_v` (or the q·k·v of GPT-2) and `ffn_down` of the first and last eighth of
/// the blocks, and of every third between.
fn needs_more_bits(role: Role, name: &str) -> bool {
    let in_block = name
        .strip_prefix("blk.")
        .and_then(|rest| rest.split_once('.'));
    let Some((layer, part)) = in_block else {
        return false;
    };
    match (part, layer.parse::<usize>()) {
        ("attn_qkv.weight", _) => true,
        ("attn_v.weight" | "ffn_down.weight", Ok(layer)) => {
            let eighth = role.n_layers / 8;
            layer < eighth || layer >= 7 * role.n_layers / 8 || (layer - eighth) % 3 == 2
        }
        _ => false,
    }
}

/// The type, or the one that takes its place where `row` numbers are no whole blocks of it.
fn fitting(data_type: DataType, row: usize) -> DataType {
    if data_type.byte_len(row).is_some() {
        return data_type;
    }
    match data_type {
        Q4_K => fitting(Q5_0, row),
        Q6_K => fitting(Q8_0, row),
        _ => DataType::F16,
    }
}
