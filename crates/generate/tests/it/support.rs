//! Models to generate with.

use std::path::PathBuf;

use glassformer_generate::{Generation, Sampling, Work};
use glassformer_kernels::random;
use glassformer_model::block::mlp::Activation;
use glassformer_model::families::{self, gpt2};
use glassformer_model::{Dimensions, Model};
use glassformer_tensor::Pool;
use glassformer_weights::TensorFile;

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

pub(crate) fn golden_model(model: &str) -> Model {
    let config = std::fs::read_to_string(golden(model, "config.json")).unwrap();
    let weights = TensorFile::open(&golden(model, "model.safetensors")).unwrap();
    families::load(&config, &weights, model).unwrap()
}

/// 2 blocks, 2 heads of 7; parameters large enough that the text matters for what comes next.
pub(crate) fn random_model(n_ctx: usize, seed: u64) -> Model {
    let dimensions = Dimensions {
        n_layers: 2,
        n_heads: 2,
        n_kv_heads: 2,
        d_model: 14,
        d_head: 7,
        d_ff: 31,
        n_ctx,
        vocab: 37,
    };
    let mut model = gpt2::new(
        &gpt2::Config::new(&dimensions, Activation::GeluTanh),
        seed,
        &Pool::single(),
    );
    for (i, x) in model.parameters.arena_mut().iter_mut().enumerate() {
        *x += 0.3 * random::normal(seed, i as u64) as f32;
    }
    model
}

/// The next `n` ids.
pub(crate) fn generate(
    model: &Model,
    prompt: &[u32],
    sampling: Sampling,
    work: Work,
    n: usize,
) -> Vec<u32> {
    let pool = Pool::single();
    let mut generation = Generation::new(model, &pool, prompt, sampling, work);
    (0..n).map(|_| generation.step().id).collect()
}
