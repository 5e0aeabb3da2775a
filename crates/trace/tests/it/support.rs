//! Models to look into.

use std::path::PathBuf;

use glassformer_kernels::product::Precision;
use glassformer_kernels::random;
use glassformer_model::families;
use glassformer_model::{BlockSite, Keep, Mode, Model, Pass, Site};
use glassformer_tensor::{Buffers, Pool};
use glassformer_trace::{Edit, Recording, Selection, record};
use glassformer_weights::{GgufFile, TensorFile};

/// GELU with 3 blocks and 3 heads; ReLU with 2 blocks and 2 heads. Every parameter is random.
pub(crate) const GOLDEN: [&str; 2] = ["gpt2-tiny", "gpt2-relu-odd"];

/// Decoders that turn queries and keys: grouped heads, gated MLPs, biases or none, norms of heads, windows.
pub(crate) const TURNING: [&str; 6] = [
    "llama-tiny",
    "llama-biased",
    "mistral-tiny",
    "qwen2-tiny",
    "qwen3-tiny",
    "qwen3-window",
];

/// Norms behind each part, token types or none, a head that fills gaps; every position sees all.
pub(crate) const ENCODERS: [&str; 2] = ["bert-tiny", "roberta-odd"];

/// Models in blocks of a GGUF file.
pub(crate) const BLOCKS: [&str; 3] = ["llama-blocks", "qwen2-blocks", "qwen3-blocks"];

/// One of each family and more.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    GOLDEN.into_iter().chain(TURNING).chain(ENCODERS)
}

/// Length of the texts: odd, and shorter than either context.
pub(crate) const T: usize = 13;

fn path(name: &str, file: &str) -> PathBuf {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../parity/golden");
    [golden, name, file].iter().collect()
}

pub(crate) fn model(name: &str) -> Model {
    let config = std::fs::read_to_string(path(name, "config.json")).unwrap();
    let weights = TensorFile::open(&path(name, "model.safetensors")).unwrap();
    families::load(&config, &weights, name).unwrap()
}

/// A model in blocks: all its numbers in f32, or multiplied as they stand in the file.
pub(crate) fn model_in_blocks(name: &str, keep: Keep) -> Model {
    let file = GgufFile::open(&path(name, "model.gguf")).unwrap();
    let mut model = families::open_gguf(&file, keep).unwrap();
    if keep == Keep::InFile {
        model.pack(&Pool::single(), Precision::F32);
    }
    model
}

/// A text of [`T`] ids, some of which come twice.
pub(crate) fn text(model: &Model, seed: u64) -> Vec<u32> {
    let vocab = model.dimensions().vocab as u64;
    (0..T as u64)
        .map(|i| (random::bits(seed, i % 11) % vocab) as u32)
        .collect()
}

/// Everything, with edits.
pub(crate) fn recorded(model: &Model, ids: &[u32], edits: &[Edit]) -> Recording {
    record(model, &Pool::single(), ids, &Selection::everything(), edits)
}

/// The logits that the model gives when nobody looks.
pub(crate) fn plain_logits(model: &Model, ids: &[u32]) -> Vec<f32> {
    let (pool, buffers) = (Pool::single(), Buffers::new());
    let mut pass = Pass::new(model.run(&pool, &buffers), 1, ids.len(), Mode::Inference);
    model.logits(&mut pass, ids).tensor().data().to_vec()
}

pub(crate) fn values(recording: &Recording, site: Site) -> &[f32] {
    &recording.get(site).unwrap().data
}

pub(crate) fn block(layer: usize, site: BlockSite) -> Site {
    Site::block(layer, site)
}

/// Largest |a − b|; equal infinities count as equal, NaN as ∞.
pub(crate) fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let one = |(&a, &b): (&f32, &f32)| {
        let difference = if a == b {
            0.0
        } else {
            (f64::from(a) - f64::from(b)).abs()
        };
        if difference.is_nan() {
            f64::INFINITY
        } else {
            difference
        }
    };
    a.iter().zip(b).map(one).fold(0.0, f64::max)
}

/// Fails where a recorded value is not what `expected` says, within f32's rounding of a few hundred terms.
#[track_caller]
pub(crate) fn assert_close(what: &str, actual: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(actual.len(), expected.len(), "length of {what}");
    let mut worst = 0.0f64;
    for (i, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
        let actual = f64::from(actual);
        if actual != expected {
            let off = (actual - expected).abs() / (1.0 + expected.abs());
            assert!(off <= 1e-5, "{what}[{i}] is {actual}, expected {expected}");
            worst = worst.max(off);
        }
    }
    worst
}
