//! Models to look into.

use std::path::PathBuf;

use glassformer_kernels::random;
use glassformer_model::families;
use glassformer_model::{BlockSite, Mode, Model, Pass, Site};
use glassformer_tensor::{Buffers, Pool};
use glassformer_trace::{Edit, Recording, Selection, record};
use glassformer_weights::TensorFile;

/// GELU with 3 blocks and 3 heads; ReLU with 2 blocks and 2 heads. Every parameter is random.
pub(crate) const GOLDEN: [&str; 2] = ["gpt2-tiny", "gpt2-relu-odd"];

/// Length of the texts: odd, and shorter than either context.
pub(crate) const T: usize = 13;

pub(crate) fn model(name: &str) -> Model {
    let path = |file: &str| -> PathBuf {
        [
            env!("CARGO_MANIFEST_DIR"),
            "../../parity/golden",
            name,
            file,
        ]
        .iter()
        .collect()
    };
    let config = std::fs::read_to_string(path("config.json")).unwrap();
    families::load(
        &config,
        &TensorFile::open(&path("model.safetensors")).unwrap(),
        name,
    )
    .unwrap()
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
