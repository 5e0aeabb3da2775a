//! Models to test with, and comparison.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use glassformer_kernels::random;
use glassformer_model::block::mlp::Activation;
use glassformer_model::families::{self, gpt2};
use glassformer_model::unembed::PickRows;
use glassformer_model::{
    Dimensions, Gradients, Hook, Keep, Mode, Model, Pass, Site, Tape, View, ViewMut, loss,
};
use glassformer_tensor::{Buffers, Ids, Pool};
use glassformer_weights::TensorFile;

use crate::encoders::Batch;

/// The decoders that PyTorch has computed.
pub(crate) const GOLDEN: [&str; 8] = [
    "gpt2-tiny",
    "gpt2-relu-odd",
    "llama-tiny",
    "llama-biased",
    "mistral-tiny",
    "qwen2-tiny",
    "qwen3-tiny",
    "qwen3-window",
];

pub(crate) fn golden(model: &str, file: &str) -> PathBuf {
    [
        env!("CARGO_MANIFEST_DIR"),
        "../../parity/golden",
        model,
        file,
    ]
    .iter()
    .collect()
}

pub(crate) fn golden_tensors(model: &str, file: &str) -> TensorFile {
    TensorFile::open(&golden(model, file)).unwrap()
}

pub(crate) fn golden_model(model: &str) -> Model {
    golden_model_kept(model, Keep::InMemory)
}

pub(crate) fn golden_model_kept(model: &str, keep: Keep) -> Model {
    let config = std::fs::read_to_string(golden(model, "config.json")).unwrap();
    let weights = Arc::new(golden_tensors(model, "model.safetensors"));
    families::open(&config, weights, keep, model).unwrap()
}

/// A file's tensor of ids, with its shape.
pub(crate) fn ids(file: &TensorFile, name: &str) -> (Vec<usize>, Vec<u32>) {
    let (shape, data) = file.load_f32(name).unwrap();
    (shape, data.iter().map(|&id| id as u32).collect())
}

/// `n` normally distributed numbers that depend on the seed.
pub(crate) fn normals(seed: u64, n: usize) -> Vec<f32> {
    (0..n as u64)
        .map(|i| random::normal(seed, i) as f32)
        .collect()
}

pub(crate) fn random_ids(seed: u64, n: usize, vocab: usize) -> Vec<u32> {
    (0..n as u64)
        .map(|i| (random::bits(seed, i) % vocab as u64) as u32)
        .collect()
}

/// 2 blocks, 3 heads of 5, everything odd; every parameter has a value that matters.
pub(crate) fn odd_model(activation: Activation, seed: u64) -> Model {
    model_of_heads(5, activation, seed)
}

/// 2 blocks, 3 heads of `d_head`.
pub(crate) fn model_of_heads(d_head: usize, activation: Activation, seed: u64) -> Model {
    let dimensions = Dimensions {
        n_layers: 2,
        n_heads: 3,
        n_kv_heads: 3,
        d_model: 3 * d_head,
        d_head,
        d_ff: 23,
        n_ctx: 29,
        vocab: 31,
    };
    let mut model = gpt2::new(
        &gpt2::Config::new(&dimensions, activation),
        seed,
        &Pool::single(),
    );
    let noise = normals(seed, model.parameters.arena().len());
    for (x, noise) in model.parameters.arena_mut().iter_mut().zip(noise) {
        *x += 0.25 * noise;
    }
    model
}

/// Mean loss over `[x, y]` of `batch` sequences in a training pass, and its gradient.
pub(crate) fn loss_and_gradient(
    model: &Model,
    pool: &Pool,
    batch: usize,
    text: [&[u32]; 2],
    dropout: f32,
) -> (f64, Gradients) {
    watched_loss_and_gradient(model, pool, batch, text, dropout, None)
}

/// As [`loss_and_gradient`], with a hook.
pub(crate) fn watched_loss_and_gradient(
    model: &Model,
    pool: &Pool,
    batch: usize,
    text: [&[u32]; 2],
    dropout: f32,
    hook: Option<&mut dyn Hook>,
) -> (f64, Gradients) {
    let mut tape = Tape::default();
    taped_loss_and_gradient(model, pool, &mut tape, batch, text, dropout, hook)
}

/// As [`watched_loss_and_gradient`], with a tape.
pub(crate) fn taped_loss_and_gradient(
    model: &Model,
    pool: &Pool,
    tape: &mut Tape,
    batch: usize,
    [x, y]: [&[u32]; 2],
    dropout: f32,
    hook: Option<&mut dyn Hook>,
) -> (f64, Gradients) {
    let buffers = Buffers::new();
    let run = model.run(pool, &buffers);
    let mut gradients = Gradients::zeros(model.parameters.trained().layout());
    let mode = Mode::Training {
        tape,
        dropout,
        key: 77,
    };
    let mut pass = Pass::new(run, batch, x.len() / batch, mode);
    if let Some(hook) = hook {
        pass = pass.with_hook(hook);
    }
    let last = model.network.residual(&mut pass, x);
    let normed = model.head().normed(&mut pass, &last);
    let linear = &model.head().linear;
    let (sum, d_normed) =
        loss::sum_and_gradient(run, linear, normed.tensor(), y, 1.0, &mut gradients);
    pass.backward(&normed, d_normed, &mut gradients);
    (sum / y.len() as f64, gradients)
}

/// Mean loss of the rows that are asked about in a training pass over `batch`, and its gradient.
pub(crate) fn masked_loss_and_gradient(
    model: &Model,
    pool: &Pool,
    batch: &Batch,
    dropout: f32,
) -> (f64, Gradients) {
    taped_masked_loss_and_gradient(model, pool, &mut Tape::default(), batch, dropout, None)
}

/// As [`masked_loss_and_gradient`], with a tape and a hook.
pub(crate) fn taped_masked_loss_and_gradient(
    model: &Model,
    pool: &Pool,
    tape: &mut Tape,
    batch: &Batch,
    dropout: f32,
    hook: Option<&mut dyn Hook>,
) -> (f64, Gradients) {
    let buffers = Buffers::new();
    let run = model.run(pool, &buffers);
    let mut gradients = Gradients::zeros(model.parameters.trained().layout());
    let mode = Mode::Training {
        tape,
        dropout,
        key: 77,
    };
    let mut pass = Pass::over(run, batch.lengths.clone(), mode).with_token_types(&batch.types);
    if let Some(hook) = hook {
        pass = pass.with_hook(hook);
    }
    let last = model.network.residual(&mut pass, &batch.x);
    let rows = PickRows(Ids::new(&buffers, batch.asked.iter().map(|&(row, _)| row)));
    let picked = pass.apply(rows, [&last]);
    let normed = model.head().normed(&mut pass, &picked);
    let targets: Vec<u32> = batch.asked.iter().map(|&(_, target)| target).collect();
    let linear = &model.head().linear;
    let (sum, d_normed) =
        loss::sum_and_gradient(run, linear, normed.tensor(), &targets, 1.0, &mut gradients);
    pass.backward(&normed, d_normed, &mut gradients);
    (sum / targets.len() as f64, gradients)
}

/// All logits of one inference pass.
pub(crate) fn logits(model: &Model, pool: &Pool, batch: usize, ids: &[u32]) -> Vec<f32> {
    let buffers = Buffers::new();
    let mut pass = Pass::new(
        model.run(pool, &buffers),
        batch,
        ids.len() / batch,
        Mode::Inference,
    );
    model.logits(&mut pass, ids).tensor().data().to_vec()
}

/// Keeps every value.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) sites: BTreeMap<Site, (Vec<usize>, Vec<f32>)>,
}

impl Hook for Recorder {
    fn wants(&self, _site: Site) -> bool {
        true
    }

    fn edits(&self, _site: Site) -> bool {
        false
    }

    fn record(&mut self, site: Site, value: View<'_>) {
        self.sites
            .insert(site, (value.shape.clone(), value.to_vec()));
    }

    fn edit(&mut self, _site: Site, _value: ViewMut<'_>) {
        unreachable!("nothing is edited")
    }
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

/// Σ (a − b)² / Σ b²: the normalised squared error of `a`.
pub(crate) fn squared_error(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    (norm(a.iter().zip(b).map(|(a, b)| a - b)) / norm(b.iter().copied())).powi(2)
}

/// √Σ x².
pub(crate) fn norm(x: impl IntoIterator<Item = f32>) -> f64 {
    x.into_iter()
        .map(|x| f64::from(x).powi(2))
        .sum::<f64>()
        .sqrt()
}
