//! Models written as other files hold them and read again: the same bits where the type allows, else within its error.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use glassformer_kernels::quantised::blocks::Kind;
use glassformer_model::block::mlp::Activation;
use glassformer_model::export::{Mix, Role};
use glassformer_model::families::{self, DecoderConfig, gpt2};
use glassformer_model::{Dimensions, Keep, Model};
use glassformer_tensor::Pool;
use glassformer_weights::gguf::{self, Metadata, Value};
use glassformer_weights::{
    DataType, FloatType, GgufFile, Llama2cFile, NamedTensor, TensorFile, TensorSource, safetensors,
};

use crate::support::{
    GOLDEN, golden, golden_model, golden_model_kept, golden_tensors, squared_error,
};

/// Golden models that llama.cpp can hold, and as what.
pub(crate) const HELD: [&str; 6] = [
    "gpt2-tiny",
    "llama-tiny",
    "llama-biased",
    "mistral-tiny",
    "qwen2-tiny",
    "qwen3-tiny",
];

/// A file that is written by `write` and read back.
fn bytes_of(write: impl FnOnce(&Path)) -> Vec<u8> {
    /// Tests run at the same time.
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("glassformer-export-{}-{count}", std::process::id());
    let path = std::env::temp_dir().join(name);
    write(&path);
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    bytes
}

/// The model as a GGUF file of this mix.
pub(crate) fn as_gguf(model: &Model, mix: Mix) -> GgufFile {
    let form = model.network.gguf().unwrap();
    let mut metadata = Metadata::new("export".as_ref());
    metadata.insert(
        "general.architecture",
        Value::String(form.architecture.to_owned()),
    );
    for (key, value) in &form.metadata {
        metadata.insert(key.as_str(), value.clone());
    }
    let tensors = model.as_gguf(&form);
    let role = Role {
        n_layers: model.dimensions().n_layers,
        tied: !tensors.iter().any(|tensor| tensor.name == "output.weight"),
    };
    let tensors = tensors.into_iter().map(|tensor| {
        let data_type = mix.choose(role, &tensor.name, &tensor.shape, tensor.stored);
        tensor.into_tensor(data_type)
    });
    let tensors = tensors.collect();
    let bytes = bytes_of(|path| gguf::write(path, &metadata, tensors, &Pool::single()).unwrap());
    GgufFile::from_vec(bytes, "export.gguf").unwrap()
}

/// The model as a safetensors file in Hugging Face's names.
fn as_hugging_face(model: &Model) -> TensorFile {
    let tensors = model.as_hugging_face().into_iter();
    let tensors = tensors
        .map(|tensor| tensor.into_tensor(DataType::F32))
        .collect();
    let bytes = bytes_of(|path| {
        safetensors::write(path, tensors, &BTreeMap::new(), &Pool::single()).unwrap();
    });
    TensorFile::from_vec(bytes, "export.safetensors").unwrap()
}

/// Llama 3's factors, which need not be rounded in the same order.
const FACTORS: &str = "rope_freqs.weight";

fn assert_same_tensors(what: &str, ours: &dyn TensorSource, theirs: &dyn TensorSource) {
    assert_eq!(ours.names(), theirs.names(), "{what}");
    for name in ours.names() {
        let (one, other) = (ours.load_f32(&name), theirs.load_f32(&name));
        let (one, other) = (one.unwrap(), other.unwrap());
        if name == FACTORS {
            assert!(squared_error(&one.1, &other.1) < 1e-12, "{what}: {name}");
            continue;
        }
        assert_eq!(one, other, "{what}: {name}");
    }
}

#[test]
fn folders_hold_what_the_golden_models_hold() {
    for name in GOLDEN.into_iter().chain(["bert-tiny", "roberta-odd"]) {
        let golden = golden_tensors(name, "model.safetensors");
        for keep in [Keep::InMemory, Keep::InFile] {
            let model = golden_model_kept(name, keep);
            assert_same_tensors(name, &as_hugging_face(&model), &golden);
        }
    }
}

#[test]
fn gguf_and_back_changes_no_bit() {
    for name in HELD {
        let model = golden_model_kept(name, Keep::InFile);
        let file = as_gguf(&model, Mix::Kept);
        let golden = golden_tensors(name, "model.safetensors");
        for keep in [Keep::InMemory, Keep::InFile] {
            let back = families::open_gguf(&file, keep).unwrap();
            assert_eq!(back.network.family(), model.network.family(), "{name}");
            assert_eq!(back.dimensions(), model.dimensions(), "{name}");
            assert_same_tensors(name, &as_hugging_face(&back), &golden);
            assert_same_tensors(name, &as_gguf(&back, Mix::Kept), &file);
        }
    }
}

/// Those that the package `gguf` wrote, tensor for tensor, and the keys that llama.cpp reads.
#[test]
fn gguf_is_as_llama_cpp_has_it() {
    for name in [
        "llama-biased",
        "mistral-tiny",
        "qwen2-tiny",
        "qwen3-tiny",
        "llama-tiny",
    ] {
        let ours = as_gguf(&golden_model(name), Mix::Kept);
        let theirs = GgufFile::open(&golden(name, "model.gguf")).unwrap();
        assert_same_tensors(name, &ours, &theirs);
        for (key, value) in theirs.metadata().iter() {
            if !key.starts_with("general.") && !key.starts_with("tokenizer.") {
                assert_eq!(ours.metadata().get(key), Some(value), "{name}: {key}");
            }
        }
    }
    let ours = as_gguf(&golden_model("bert-tiny"), Mix::Kept);
    let theirs = GgufFile::open(&golden("bert-tiny", "model.gguf")).unwrap();
    assert_same_tensors("bert-tiny", &ours, &theirs);
}

#[test]
fn what_llama_cpp_would_compute_otherwise_is_refused() {
    for (name, expected) in [
        ("gpt2-relu-odd", "activation_function \"relu\""),
        ("qwen3-window", "attention_bias = true"),
        ("roberta-odd", "hidden_act \"relu\""),
    ] {
        let refused = golden_model(name).network.gguf().err().expect(name);
        assert!(refused.contains(expected), "{name}: {refused}");
    }
}

#[test]
fn blocks_are_taken_over_as_they_are() {
    for name in ["llama-blocks", "qwen2-blocks", "qwen3-blocks"] {
        let file = GgufFile::open(&golden(name, "model.gguf")).unwrap();
        let model = families::open_gguf(&file, Keep::InFile).unwrap();
        let again = as_gguf(&model, Mix::Kept);
        assert_eq!(again.names(), file.names());
        for tensor in file.names() {
            assert_eq!(again.info(&tensor), file.info(&tensor), "{name}: {tensor}");
            assert_eq!(
                again.bytes(&tensor).unwrap(),
                file.bytes(&tensor).unwrap(),
                "{tensor}"
            );
        }
    }
}

/// A Llama whose rows are whole blocks of every type.
pub(crate) fn whole_blocks() -> Model {
    let config = DecoderConfig {
        model_type: "llama".to_owned(),
        vocab_size: 64,
        hidden_size: 256,
        intermediate_size: 512,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        num_key_value_heads: Some(2),
        max_position_embeddings: 32,
        ..DecoderConfig::default()
    };
    families::new_decoder(&config, 7, &Pool::single()).unwrap()
}

#[test]
fn each_type_keeps_numbers_within_its_error() {
    let model = whole_blocks();
    let exact = as_gguf(&model, Mix::Kept);
    // Σ (x − y)² / Σ x² of normal numbers.
    for (data_type, bar) in [
        (DataType::F32, 0.0),
        (DataType::F16, 1e-7),
        (DataType::Bf16, 5e-6),
        (DataType::Block(Kind::Q8_0), 5e-5),
        (DataType::Block(Kind::Q6_K), 5e-4),
        (DataType::Block(Kind::Q4_K), 8e-3),
        (DataType::Block(Kind::Q4_0), 1.2e-2),
    ] {
        let file = as_gguf(&model, Mix::Mostly(data_type));
        for name in file.names() {
            let (shape, ours) = exact.load_f32(&name).unwrap();
            let (_, written) = file.load_f32(&name).unwrap();
            let error = squared_error(&written, &ours);
            let bar = if shape.len() < 2 { 0.0 } else { bar };
            assert!(error <= bar, "{name} as {data_type}: {error:e}");
        }
        let back = families::open_gguf(&file, Keep::InFile).unwrap();
        assert_eq!(back.dimensions(), model.dimensions());
    }
}

#[test]
fn types_are_chosen_as_llama_quantize_does() {
    let block = |kind| Mix::Mostly(DataType::Block(kind));
    let role = Role {
        n_layers: 16,
        tied: false,
    };
    let chosen = |mix: Mix, name: &str, row: usize| {
        mix.choose(role, name, &[8, row], DataType::F32).to_string()
    };
    assert_eq!(chosen(block(Kind::Q4_0), "output.weight", 256), "Q6_K");
    assert_eq!(chosen(block(Kind::Q8_0), "output.weight", 256), "Q8_0");
    assert_eq!(chosen(block(Kind::Q4_0), "token_embd.weight", 256), "Q4_0");
    assert_eq!(
        chosen(block(Kind::Q4_0), "position_embd.weight", 256),
        "F32"
    );
    // Rows that are no whole blocks.
    assert_eq!(chosen(block(Kind::Q4_K), "blk.3.attn_q.weight", 96), "Q5_0");
    assert_eq!(chosen(block(Kind::Q6_K), "blk.3.attn_q.weight", 96), "Q8_0");
    assert_eq!(chosen(block(Kind::Q4_0), "blk.3.attn_q.weight", 33), "F16");
    // The first and last eighth, and every third between.
    let more: Vec<usize> = (0..16)
        .filter(|layer| {
            chosen(
                block(Kind::Q4_K),
                &format!("blk.{layer}.ffn_down.weight"),
                256,
            ) == "Q6_K"
        })
        .collect();
    assert_eq!(more, [0, 1, 4, 7, 10, 13, 14, 15]);
    assert_eq!(
        chosen(block(Kind::Q4_K), "blk.4.ffn_up.weight", 256),
        "Q4_K"
    );
    let vector = block(Kind::Q4_0).choose(role, "blk.0.attn_norm.weight", &[256], DataType::F32);
    assert_eq!(vector, DataType::F32);
    let tied = Role { tied: true, ..role };
    let table = block(Kind::Q4_K).choose(tied, "token_embd.weight", &[8, 256], DataType::F32);
    assert_eq!(table.to_string(), "Q6_K");
}

/// What llama2.c's `export.py` writes, of a model whose queries and keys are in pairs in its GGUF form already.
fn llama2c(model: &Model) -> Vec<u8> {
    let sizes = model.dimensions();
    let (gguf, v) = (as_gguf(model, Mix::Kept), sizes.vocab as i32);
    let header = [
        sizes.d_model,
        sizes.d_ff,
        sizes.n_layers,
        sizes.n_heads,
        sizes.n_kv_heads,
    ];
    let mut header: Vec<i32> = header.map(|n| n as i32).to_vec();
    header.extend([-v, sizes.n_ctx as i32]);
    let mut bytes: Vec<u8> = header.into_iter().flat_map(i32::to_le_bytes).collect();
    let mut put = |name: &str| {
        let (_, values) = gguf.load_f32(name).unwrap();
        bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    };
    put("token_embd.weight");
    let parts = [
        "attn_norm",
        "attn_q",
        "attn_k",
        "attn_v",
        "attn_output",
        "ffn_norm",
        "ffn_gate",
        "ffn_down",
        "ffn_up",
    ];
    for part in parts {
        for layer in 0..sizes.n_layers {
            put(&format!("blk.{layer}.{part}.weight"));
        }
    }
    put("output_norm.weight");
    bytes.resize(bytes.len() + 4 * sizes.n_ctx * sizes.d_head, 0);
    let (_, head) = gguf.load_f32("output.weight").unwrap();
    bytes.extend(head.iter().flat_map(|x| x.to_le_bytes()));
    bytes
}

#[test]
fn a_model_of_llama2c_is_a_llama() {
    let model = whole_blocks();
    let file = Llama2cFile::from_vec(llama2c(&model), "model.bin").unwrap();
    let back = families::open_llama2c(&file, Keep::InMemory).unwrap();
    assert_eq!(back.dimensions(), model.dimensions());
    assert_eq!(back.parameters.layout(), model.parameters.layout());
    assert_eq!(back.parameters.arena(), model.parameters.arena());
    let kept = families::open_llama2c(&file, Keep::InFile).unwrap();
    assert_same_tensors(
        "in its file",
        &as_hugging_face(&kept),
        &as_hugging_face(&model),
    );
}

/// A checkpoint of nanoGPT: its matrices [out, in], its names behind `prefix`, without biases if it has none.
fn nanogpt(model: &Model, prefix: &str, biased: bool) -> TensorFile {
    let file = as_hugging_face(model);
    let mut tensors = Vec::new();
    for name in file.names() {
        let (mut shape, mut values) = file.load_f32(&name).unwrap();
        if name.contains(".c_") && shape.len() == 2 {
            let (rows, cols) = (shape[0], shape[1]);
            let turned = (0..cols).flat_map(|c| (0..rows).map(move |r| r * cols + c));
            values = turned.map(|at| values[at]).collect();
            shape = vec![cols, rows];
        }
        if biased || name.strip_suffix(".bias").is_none() {
            tensors.push((format!("{prefix}{name}"), shape, values));
        }
    }
    let (_, head) = file.load_f32("transformer.wte.weight").unwrap();
    let shape = file.shape("transformer.wte.weight").unwrap();
    tensors.push((format!("{prefix}lm_head.weight"), shape, head));
    file_of(&tensors, "nanogpt.safetensors")
}

#[test]
fn a_checkpoint_of_nanogpt_is_a_gpt2() {
    let sizes = Dimensions {
        n_layers: 2,
        n_heads: 3,
        n_kv_heads: 3,
        d_model: 33,
        d_head: 11,
        d_ff: 132,
        n_ctx: 19,
        vocab: 53,
    };
    let config = gpt2::Config::new(&sizes, Activation::Gelu);
    let model = gpt2::new(&config, 3, &Pool::single());
    let expected = as_hugging_face(&model);
    for (prefix, biased) in [("", true), ("_orig_mod.", true), ("", false)] {
        let file = nanogpt(&model, prefix, biased);
        assert!(families::is_nanogpt(&file));
        for keep in [Keep::InMemory, Keep::InFile] {
            let back = families::open_nanogpt(Arc::new(file.clone()), 3, keep).unwrap();
            assert_eq!(back.dimensions(), sizes);
            assert_eq!(back.network.activation(), Activation::Gelu);
            // Fresh biases are 0, as absent ones count.
            assert_same_tensors(prefix, &as_hugging_face(&back), &expected);
        }
    }
    assert!(
        !families::is_nanogpt(&expected),
        "Hugging Face's are [in, out]"
    );
    let file = Arc::new(nanogpt(&model, "", true));
    let refused = families::open_nanogpt(file, 5, Keep::InFile).err().unwrap();
    assert!(
        refused.to_string().contains("n_head = 5 does not divide"),
        "{refused}"
    );
}

#[test]
fn gpt2_with_an_unembedding_of_its_own() {
    let config = gpt2::Config {
        vocab_size: 11,
        n_positions: 7,
        n_embd: 6,
        n_layer: 1,
        n_head: 2,
        tie_word_embeddings: false,
        ..gpt2::Config::default()
    };
    let model = gpt2::new(&config, 5, &Pool::single());
    let file = as_gguf(&model, Mix::Kept);
    assert!(file.info("output.weight").is_some());
    let back = families::open_gguf(&file, Keep::InMemory).unwrap();
    assert_eq!(back.parameters.arena(), model.parameters.arena());
}

#[test]
fn weights_that_are_no_numbers_are_met() {
    let model = whole_blocks();
    let (pool, bad) = (Pool::single(), "model.layers.1.mlp.down_proj.weight");
    let file = as_hugging_face(&model);
    let config = model.network.config_json();
    let spoilt = |name: &str, value: f32| {
        let tensors: Vec<_> = file
            .names()
            .into_iter()
            .map(|tensor| {
                let (shape, mut values) = file.load_f32(&tensor).unwrap();
                if tensor == name {
                    values[5] = value;
                }
                (tensor, shape, values)
            })
            .collect();
        Arc::new(file_of(&tensors, "spoilt"))
    };
    let open = |source, keep| families::open(&config, source, keep, "spoilt").unwrap();
    for (name, value) in [
        (bad, f32::NAN),
        ("model.embed_tokens.weight", f32::INFINITY),
    ] {
        let read = open(spoilt(name, value), Keep::InMemory);
        assert_eq!(read.not_finite(), Some(name));
        let mut kept = open(spoilt(name, value), Keep::InFile);
        assert_eq!(kept.not_finite(), None, "not yet looked at");
        kept.pack(&pool, kept.precision);
        assert_eq!(kept.not_finite(), Some(name));
    }
    let vector = open(spoilt("model.norm.weight", f32::NAN), Keep::InFile);
    assert_eq!(vector.not_finite(), Some("model.norm.weight"));
    let mut whole = open(spoilt("none", 0.0), Keep::InFile);
    whole.pack(&pool, whole.precision);
    assert_eq!(whole.not_finite(), None);
}

/// Tensors as a file: name, shape and values of each.
fn file_of(tensors: &[(String, Vec<usize>, Vec<f32>)], name: &str) -> TensorFile {
    let tensors: Vec<NamedTensor<'_>> = tensors
        .iter()
        .map(|(name, shape, data)| NamedTensor {
            name: name.clone(),
            shape: shape.clone(),
            data,
        })
        .collect();
    let bytes = safetensors::to_bytes(&tensors, FloatType::F32, &BTreeMap::new()).unwrap();
    TensorFile::from_vec(bytes, name).unwrap()
}
