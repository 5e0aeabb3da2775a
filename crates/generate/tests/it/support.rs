//! Models to generate with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use glassformer_generate::{Generation, Sampling, Work};
use glassformer_kernels::random;
use glassformer_model::block::mlp::Activation;
use glassformer_model::families::{self, DecoderConfig, gpt2};
use glassformer_model::{Dimensions, Keep, Model};
use glassformer_tensor::Pool;
use glassformer_weights::{DataType, TensorFile, safetensors};

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

/// A Llama of one block whose weights stay in a file of bf16.
pub(crate) fn model_in_bf16(n_ctx: usize) -> Model {
    let config = DecoderConfig {
        model_type: "llama".to_owned(),
        vocab_size: 37,
        hidden_size: 16,
        intermediate_size: 32,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        num_key_value_heads: Some(1),
        max_position_embeddings: n_ctx,
        ..DecoderConfig::default()
    };
    let pool = Pool::single();
    let model = families::new_decoder(&config, 5, &pool).unwrap();
    let tensors = model.as_hugging_face().into_iter();
    let tensors = tensors.map(|tensor| tensor.into_tensor(DataType::Bf16));
    let path = std::env::temp_dir().join(format!("glassformer-bf16-{}", std::process::id()));
    safetensors::write(&path, tensors.collect(), &BTreeMap::new(), &pool).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let file = Arc::new(TensorFile::from_vec(bytes, "bf16").unwrap());
    families::open(&model.network.config_json(), file, Keep::InFile, "bf16").unwrap()
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
