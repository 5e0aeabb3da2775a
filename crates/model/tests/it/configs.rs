//! Configs that anybody may have written: a model or a refusal in one line, and no memory for what is not in the file.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use glassformer_kernels::random;
use glassformer_model::{Keep, families};
use glassformer_weights::{FloatType, TensorFile, safetensors};

use crate::pairs::PAIRS;
use crate::support::{GOLDEN, golden};

/// A file of weights that has no tensor.
fn nothing() -> Arc<TensorFile> {
    let bytes = safetensors::to_bytes(&[], FloatType::F32, &BTreeMap::new()).unwrap();
    Arc::new(TensorFile::from_vec(bytes, "nothing.safetensors").unwrap())
}

/// What is said of a config without weights.
fn refusal(config: &str) -> String {
    let refused = families::open(config, nothing(), Keep::InMemory, "some model");
    let line = refused.err().expect(config).to_string();
    assert!(!line.contains('\n'), "{line}");
    line
}

fn config(name: &str) -> String {
    fs::read_to_string(golden(name, "config.json")).unwrap()
}

#[test]
fn sizes_beyond_any_machine_are_refused_before_memory_is_taken() {
    for (name, key, told) in [
        ("gpt2-tiny", "n_embd", "n_embd = 1099511627776"),
        ("gpt2-tiny", "n_layer", "n_layer = 1099511627776"),
        ("llama-tiny", "vocab_size", "vocab_size = 1099511627776"),
        (
            "qwen2-tiny",
            "intermediate_size",
            "intermediate_size = 1099511627776",
        ),
        (
            "mistral-tiny",
            "max_position_embeddings",
            "max_position_embeddings = 1099511627776",
        ),
        ("bert-tiny", "hidden_size", "hidden_size = 1099511627776"),
        (
            "marian-apart",
            "decoder_vocab_size",
            "decoder_vocab_size = 1099511627776",
        ),
        (
            "bart-tiny",
            "decoder_layers",
            "decoder_layers = 1099511627776",
        ),
        ("t5-tiny", "d_kv", "d_kv = 1099511627776"),
        (
            "t5-tiny",
            "num_decoder_layers",
            "num_decoder_layers = 1099511627776",
        ),
        (
            "t5-gated",
            "relative_attention_num_buckets",
            "1099511627776 buckets",
        ),
    ] {
        let mut json: serde_json::Value = serde_json::from_str(&config(name)).unwrap();
        json[key] = (1u64 << 40).into();
        let line = refusal(&json.to_string());
        assert!(line.contains(told), "{name}: {line}");
    }
    // Within bounds, and still terabytes: the file does not have them.
    let mut json: serde_json::Value = serde_json::from_str(&config("llama-tiny")).unwrap();
    json["vocab_size"] = (1u64 << 24).into();
    json["intermediate_size"] = (1u64 << 24).into();
    assert!(refusal(&json.to_string()).contains("no tensor"));
}

/// A short run of what the fuzz target `config_json` does.
#[test]
fn damaged_configs_are_refused_in_one_line() {
    for (number, name) in GOLDEN
        .into_iter()
        .chain(["bert-tiny", "roberta-odd"])
        .chain(PAIRS)
        .enumerate()
    {
        let whole = config(name).into_bytes();
        refusal(&config(name));
        for round in 0..200u64 {
            let key = random::derive(number as u64, round);
            let draw = |n: u64, below: usize| random::bits(key, n) as usize % below;
            let mut bytes = whole.clone();
            for change in 0..=draw(0, 3) as u64 {
                let at = draw(1 + 3 * change, bytes.len());
                match draw(2 + 3 * change, 3) {
                    0 => bytes[at] = b"0123456789-.e\"[]{},"[draw(3 + 3 * change, 19)],
                    1 => bytes.truncate(at.max(1)),
                    _ => bytes.insert(at, b'9'),
                }
            }
            refusal(&String::from_utf8_lossy(&bytes));
        }
    }
}
