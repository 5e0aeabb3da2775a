//! Decoders from GGUF files: those of the golden models, models in blocks, and files that cannot be computed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, process};

use glassformer_kernels::product::Precision;
use glassformer_model::{BlockSite, Keep, KvCache, Mode, Model, Pass, Site, families};
use glassformer_tensor::{Buffers, Pool};
use glassformer_weights::gguf::{self, Metadata, Value};
use glassformer_weights::{GgufFile, NewTensor, TensorSource};

use crate::cache::in_chunks;
use crate::support::{
    Recorder, distance, golden, golden_model, golden_tensors, ids, logits, squared_error,
};

/// Golden models that are there as GGUF too.
const TWINS: [&str; 5] = [
    "llama-tiny",
    "llama-biased",
    "mistral-tiny",
    "qwen2-tiny",
    "qwen3-tiny",
];

/// Models in blocks of many types, with logits for what the blocks mean.
const BLOCKS: [&str; 3] = ["llama-blocks", "qwen2-blocks", "qwen3-blocks"];

/// Bar for logits in f32: largest absolute difference …
const ABSOLUTE: f64 = 1e-4;

/// … and Σ (ours − theirs)² / Σ theirs².
const SQUARED: f64 = 1e-9;

/// The latter for a product that reads blocks as they are, and activations rounded to 8 bits; …
const QUANTISED: f64 = 5e-4;

/// … for the logits behind the seven to thirteen of them that a model here has, one after the other; …
const QUANTISED_LOGITS: f64 = 1e-3;

/// … where products are in bf16.
const ROUNDED: f64 = 1e-4;

fn file(name: &str) -> GgufFile {
    GgufFile::open(&golden(name, "model.gguf")).unwrap()
}

/// The golden text and its logits as transformers computes them.
fn golden_logits(name: &str) -> (Vec<u32>, Vec<f32>) {
    let golden = golden_tensors(name, "sites.safetensors");
    let (_, logits) = golden.load_f32("logits").unwrap();
    (ids(&golden, "tokens").1, logits)
}

fn packed(file: &GgufFile, precision: Precision) -> Model {
    let mut model = families::open_gguf(file, Keep::InFile).unwrap();
    model.pack(&Pool::single(), precision);
    model
}

/// The same parameters under the same names, and the same logits; and the config made from the metadata describes the
/// checkpoint of Hugging Face.
#[test]
fn twins_of_the_golden_models() {
    for name in TWINS {
        let (file, pool) = (file(name), Pool::new(2));
        let (tokens, expected) = golden_logits(name);
        let (twin, model) = (
            families::open_gguf(&file, Keep::InMemory).unwrap(),
            golden_model(name),
        );
        assert_eq!(twin.network.family(), model.network.family(), "{name}");
        assert_eq!(twin.dimensions(), model.dimensions(), "{name}");
        assert_eq!(
            twin.parameters.layout(),
            model.parameters.layout(),
            "{name}"
        );
        assert_eq!(twin.parameters.arena(), model.parameters.arena(), "{name}");
        let config = twin.network.config_json();
        let weights = golden_tensors(name, "model.safetensors");
        let described = families::load(&config, &weights, name).unwrap();
        for (what, model, bar) in [
            ("in memory", &twin, SQUARED),
            ("in its file", &packed(&file, Precision::F32), SQUARED),
            (
                "in its file, bf16",
                &packed(&file, Precision::Bf16),
                ROUNDED,
            ),
            ("as its config says", &described, SQUARED),
        ] {
            let actual = logits(model, &pool, 1, &tokens);
            let (most, near) = (
                distance(&actual, &expected),
                squared_error(&actual, &expected),
            );
            println!("{name}, {what}: {most:.1e}, squared {near:.1e}");
            assert!(near <= bar, "{name}, {what}: logits differ by {near:e}");
            assert!(
                bar > SQUARED || most <= ABSOLUTE,
                "{name}, {what}: {most:e}"
            );
        }
    }
}

/// What the blocks mean, as numbers in memory; and products with the blocks themselves.
#[test]
fn models_in_blocks() {
    for name in BLOCKS {
        let (file, pool) = (file(name), Pool::new(2));
        let (tokens, expected) = golden_logits(name);
        let meant = families::open_gguf(&file, Keep::InMemory).unwrap();
        let logits_meant = logits(&meant, &pool, 1, &tokens);
        let most = distance(&logits_meant, &expected);
        println!("{name}, in memory: {most:.1e}");
        assert!(most <= ABSOLUTE, "{name}: logits differ by {most:e}");
        assert!(squared_error(&logits_meant, &expected) <= SQUARED, "{name}");
        let sites_meant = sites(&meant, &tokens);
        for precision in [Precision::F32, Precision::Bf16] {
            let model = packed(&file, precision);
            // The first products read the same numbers in both: they show what one product costs.
            let recorded = sites(&model, &tokens);
            for site in [BlockSite::Q, BlockSite::K, BlockSite::V] {
                let site = Site::block(0, site);
                let near = squared_error(&recorded[&site].1, &sites_meant[&site].1);
                println!("{name}, {precision:?}, {site}: squared {near:.1e}");
                assert!(near <= QUANTISED, "{name}: {site} differs by {near:e}");
            }
            let whole = logits(&model, &pool, 1, &tokens);
            let mut cache = KvCache::new(&model.dimensions());
            let cached = in_chunks(&model, &pool, &mut cache, &tokens, &mut || 5);
            for (what, actual) in [("whole", whole), ("cached", cached)] {
                let near = squared_error(&actual, &logits_meant);
                println!("{name}, {precision:?}, {what}: squared {near:.1e}");
                assert!(near > 0.0, "{name}: nothing was rounded");
                assert!(
                    near <= QUANTISED_LOGITS,
                    "{name}, {precision:?}, {what}: logits differ by {near:e}"
                );
            }
        }
    }
}

/// Every site of a pass over the text.
fn sites(model: &Model, tokens: &[u32]) -> BTreeMap<Site, (Vec<usize>, Vec<f32>)> {
    let (pool, buffers, mut recorder) = (Pool::single(), Buffers::new(), Recorder::default());
    let run = model.run(&pool, &buffers);
    let mut pass = Pass::new(run, 1, tokens.len(), Mode::Inference).with_hook(&mut recorder);
    model.logits(&mut pass, tokens);
    recorder.sites
}

fn original_metadata() -> Metadata {
    let mut metadata = Metadata::new("changed".as_ref());
    for (key, value) in file("llama-tiny").metadata().iter() {
        metadata.insert(key, value.clone());
    }
    metadata
}

/// `llama-tiny` with one value of its metadata changed, and without the tensors whose names begin like this.
fn changed(key: &str, value: Value, without: &str) -> GgufFile {
    let mut metadata = original_metadata();
    metadata.insert(key, value);
    written(&metadata, without)
}

/// `llama-tiny` with other metadata.
fn written(metadata: &Metadata, without: &str) -> GgufFile {
    /// Tests run at the same time.
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let original = file("llama-tiny");
    let names = original.names();
    let kept = names
        .iter()
        .filter(|name| without.is_empty() || !name.starts_with(without));
    let tensors = kept.map(|name| {
        let data_type = original.info(name).unwrap().data_type;
        NewTensor::copy(&original, name, name.as_str(), data_type).unwrap()
    });
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("glassformer-{}-{count}.gguf", process::id());
    let path = std::env::temp_dir().join(name);
    gguf::write(&path, metadata, tensors.collect(), &Pool::single()).unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    GgufFile::from_vec(bytes, "changed.gguf").unwrap()
}

#[test]
fn what_cannot_be_computed_is_refused() {
    for (key, value, without, expected) in [
        (
            "general.architecture",
            Value::String("gemma".into()),
            "",
            "\"gemma\"",
        ),
        (
            "llama.attention.value_length",
            Value::U32(12),
            "",
            "llama.attention.value_length = 12",
        ),
        (
            "llama.rope.dimension_count",
            Value::U32(8),
            "",
            "llama.rope.dimension_count = 8",
        ),
        (
            "llama.expert_count",
            Value::U32(8),
            "",
            "llama.expert_count = 8",
        ),
        (
            "llama.block_count",
            Value::U32(1 << 30),
            "",
            "num_hidden_layers = 1073741824",
        ),
        ("llama.block_count", Value::U32(3), "", "no tensor blk.2."),
        (
            "llama.attention.head_count_kv",
            Value::U32(3),
            "",
            "does not divide",
        ),
        (
            "llama.embedding_length",
            Value::U32(30),
            "",
            "token_embd.weight has shape",
        ),
        (
            "llama.rope.scaling.type",
            Value::String("yarn".into()),
            "rope_freqs",
            "\"yarn\"",
        ),
        (
            "llama.context_length",
            Value::String("many".into()),
            "",
            "llama.context_length",
        ),
        (
            "llama.vocab_size",
            Value::U32(61),
            "token_embd",
            "vocab_size = 0",
        ),
        (
            "llama.vocab_size",
            Value::U32(61),
            "blk.1.ffn_up",
            "no tensor blk.1.ffn_up.weight",
        ),
    ] {
        let refused = families::open_gguf(&changed(key, value, without), Keep::InMemory);
        let refused = refused.err().expect(key).to_string();
        assert!(refused.contains(expected), "{key}: {refused}");
        assert!(refused.contains("changed"), "{key}: {refused}");
        assert!(!refused.contains('\n'), "{refused}");
    }
}

/// Llama 3's factors of single frequencies are needed, and one for all is applied beside them.
#[test]
fn factors_of_frequencies() {
    let (tokens, expected) = golden_logits("llama-tiny");
    let pool = Pool::single();
    let from = |key: &str, value: Value, without: &str| {
        let file = changed(key, value, without);
        let model = families::open_gguf(&file, Keep::InMemory).unwrap();
        logits(&model, &pool, 1, &tokens)
    };
    let base = Value::F32(500.0);
    let plain = from("llama.rope.freq_base", base, "rope_freqs");
    assert!(
        distance(&plain, &expected) > 0.1,
        "the factors change nothing"
    );

    let (_, factors) = file("llama-tiny").load_f32("rope_freqs.weight").unwrap();
    let twice: Vec<f32> = factors.iter().map(|factor| 2.0 * factor).collect();
    let config = fs::read_to_string(golden("llama-tiny", "config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["rope_parameters"] = serde_json::json!({
        "rope_type": "longrope",
        "rope_theta": 500.0,
        "short_factor": twice,
        "long_factor": twice,
        "attention_factor": 1.0,
    });
    let weights = golden_tensors("llama-tiny", "model.safetensors");
    let model = families::load(&config.to_string(), &weights, "twice").unwrap();
    let expected = logits(&model, &pool, 1, &tokens);
    let mut metadata = original_metadata();
    metadata.insert("llama.rope.scaling.factor", Value::F32(2.0));
    metadata.insert(
        "llama.rope.scaling.type",
        Value::String("linear".to_owned()),
    );
    let twin = families::open_gguf(&written(&metadata, ""), Keep::InMemory).unwrap();
    assert!(distance(&logits(&twin, &pool, 1, &tokens), &expected) <= ABSOLUTE);
}
