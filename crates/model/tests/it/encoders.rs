//! Encoders: every site, vector, logit and gradient as transformers computes them (`parity/README.md`), from Hugging
//! Face's files, older ones and GGUF.

use std::collections::BTreeMap;
use std::sync::Arc;

use glassformer_kernels::product::Precision;
use glassformer_model::families;
use glassformer_model::{Keep, Lengths, Mode, Model, Pass, Tape};
use glassformer_tensor::{Buffers, Pool};
use glassformer_weights::{FloatType, GgufFile, NamedTensor, TensorFile, safetensors};

use crate::agreement::{assert_gradients, assert_sites};
use crate::support::{
    Recorder, distance, golden, golden_model, golden_tensors, ids, masked_loss_and_gradient,
    squared_error,
};

const ENCODERS: [&str; 2] = ["bert-tiny", "roberta-odd"];

/// Bar for sites, vectors, logits and losses: largest absolute difference.
const ABSOLUTE: f64 = 1e-4;

/// Several sequences, one behind the other, as `masked.safetensors` has them.
pub(crate) struct Batch {
    pub(crate) lengths: Lengths,
    pub(crate) x: Vec<u32>,
    pub(crate) types: Vec<u32>,
    /// Rows that are asked about, and what should be there.
    pub(crate) asked: Vec<(u32, u32)>,
}

impl Batch {
    fn golden(file: &TensorFile) -> Self {
        let (_, labels) = file.load_f32("y").unwrap();
        let asked = (0..).zip(labels).filter(|&(_, label)| label >= 0.0);
        Self {
            lengths: Lengths::of(ids(file, "lengths").1.iter().map(|&n| n as usize)),
            x: ids(file, "x").1,
            types: ids(file, "token_types").1,
            asked: asked.map(|(row, label)| (row, label as u32)).collect(),
        }
    }
}

/// What `f` makes of one pass over a batch.
fn run(model: &Model, pool: &Pool, batch: &Batch, wants_logits: bool) -> Vec<f32> {
    let buffers = Buffers::new();
    let lengths = batch.lengths.clone();
    let mut pass = Pass::over(model.run(pool, &buffers), lengths, Mode::Inference)
        .with_token_types(&batch.types);
    let out = if wants_logits {
        model.logits(&mut pass, &batch.x)
    } else {
        model.vectors(&mut pass, &batch.x)
    };
    out.tensor().data().to_vec()
}

/// Stops at the first site that differs: the stage that is wrong, not one that inherits it.
#[test]
fn every_site() {
    for name in ENCODERS {
        let model = golden_model(name);
        assert!(model.network.is_encoder());
        let golden = golden_tensors(name, "sites.safetensors");
        let [tokens, types] = ["tokens", "token_types"].map(|name| ids(&golden, name).1);
        let (pool, buffers, mut recorder) = (Pool::single(), Buffers::new(), Recorder::default());
        let run = model.run(&pool, &buffers);
        let mut pass = Pass::new(run, 1, tokens.len(), Mode::Inference)
            .with_token_types(&types)
            .with_hook(&mut recorder);
        model.logits(&mut pass, &tokens);
        let sites = model.network.sites();
        assert_eq!(golden.names().len(), sites.len(), "the same sites");
        assert_sites(name, &recorder, &golden, sites, ABSOLUTE);
    }
}

/// In f32, the sequences of different lengths without padding.
#[test]
fn vectors_logits_loss_and_every_gradient() {
    for name in ENCODERS {
        let (model, golden) = (
            golden_model(name),
            golden_tensors(name, "masked.safetensors"),
        );
        let batch = Batch::golden(&golden);
        for threads in [1, 2] {
            let pool = Pool::new(threads);
            let mut off = Vec::new();
            for (what, wants_logits) in [("vectors", false), ("logits", true)] {
                let (_, expected) = golden.load_f32(what).unwrap();
                let actual = run(&model, &pool, &batch, wants_logits);
                let errors = [
                    distance(&actual, &expected),
                    squared_error(&actual, &expected),
                ];
                assert!(
                    errors[0] <= ABSOLUTE && errors[1] <= 1e-9,
                    "{name}: {what} differ by {errors:?}"
                );
                off.push(errors);
            }
            let (loss, gradients) = masked_loss_and_gradient(&model, &pool, &batch, 0.0);
            let expected = f64::from(golden.load_f32("loss").unwrap().1[0]);
            assert!(
                (loss - expected).abs() <= ABSOLUTE,
                "{name}: loss {loss}, expected {expected}"
            );
            assert_gradients(name, &model, &golden, &gradients, Some("key.bias"), &[]);
            println!("{name}: vectors and logits {off:?}");
        }
    }
}

/// Rounded operands, weights packed beforehand or not; gradients stay near those in f32.
#[test]
fn in_bf16() {
    for name in ENCODERS {
        let (mut model, golden) = (
            golden_model(name),
            golden_tensors(name, "masked.safetensors"),
        );
        let (batch, pool) = (Batch::golden(&golden), Pool::new(2));
        let exact = masked_loss_and_gradient(&model, &pool, &batch, 0.0).1;
        model.precision = Precision::Bf16;
        let near = masked_loss_and_gradient(&model, &pool, &batch, 0.0).1;
        let of_gradients = squared_error(near.arena(), exact.arena());
        // RoBERTa's odd model has ReLU, some of whose neurons rounding pushes across the kink.
        let bar = if name == "bert-tiny" { 1e-3 } else { 1e-2 };
        assert!(
            of_gradients <= bar,
            "{name}: gradients, error {of_gradients:e}"
        );
        for packs in [false, true] {
            if packs {
                model.pack(&pool, Precision::Bf16);
            }
            for (what, wants_logits) in [("vectors", false), ("logits", true)] {
                let (_, expected) = golden.load_f32(what).unwrap();
                let near = squared_error(&run(&model, &pool, &batch, wants_logits), &expected);
                assert!(near > 0.0 && near <= 1e-4, "{name}: {what}, error {near:e}");
                println!(
                    "{name}: NMSE of {what} {near:.1e}, packed {packs}, gradients {of_gradients:.1e}"
                );
            }
        }
    }
}

/// The same numbers from llama.cpp's files, in memory or laid out from the file.
#[test]
fn from_gguf() {
    for name in ENCODERS {
        let file = GgufFile::open(&golden(name, "model.gguf")).unwrap();
        // Such files say nothing of the activation, which is GELU in all models that are written so.
        let config = config(name).replace("relu", "gelu");
        let weights = golden_tensors(name, "model.safetensors");
        let expected = families::load(&config, &weights, name).unwrap();
        let (golden, pool) = (golden_tensors(name, "masked.safetensors"), Pool::new(2));
        let batch = Batch::golden(&golden);
        let vectors = run(&expected, &pool, &batch, false);
        for keep in [Keep::InMemory, Keep::InFile] {
            let mut model = families::open_gguf(&file, keep).unwrap();
            assert!(model.network.is_encoder() && model.network.unembed().is_none());
            assert_eq!(model.dimensions(), expected.dimensions());
            if keep == Keep::InFile {
                model.pack(&pool, Precision::F32);
            }
            assert_eq!(
                run(&model, &pool, &batch, false),
                vectors,
                "{name}, {keep:?}"
            );
        }
    }
}

/// The golden model's tensors under other names, as a file.
fn renamed(name: &str, rename: &dyn Fn(&str) -> Option<String>) -> TensorFile {
    let file = golden_tensors(name, "model.safetensors");
    let tensors: Vec<_> = file
        .names()
        .iter()
        .filter_map(|old| {
            let (shape, data) = file.load_f32(old).unwrap();
            Some((rename(old)?, shape, data))
        })
        .collect();
    let named = tensors.iter().map(|(name, shape, data)| NamedTensor {
        name: name.clone(),
        shape: shape.clone(),
        data,
    });
    let named: Vec<_> = named.collect();
    let bytes = safetensors::to_bytes(&named, FloatType::F32, &BTreeMap::new()).unwrap();
    TensorFile::from_vec(bytes, "renamed").unwrap()
}

fn config(name: &str) -> String {
    std::fs::read_to_string(golden(name, "config.json")).unwrap()
}

/// Files without the prefix, without a head, with a pooler, with the names of norms as first written.
#[test]
fn from_files_of_every_age() {
    let pool = Pool::single();
    for name in ENCODERS {
        let (expected, golden) = (
            golden_model(name),
            golden_tensors(name, "masked.safetensors"),
        );
        let batch = Batch::golden(&golden);
        let bare = |old: &str| {
            let is_head = old.starts_with("cls.") || old.starts_with("lm_head.");
            let (_, rest) = old.split_once('.')?;
            (!is_head).then(|| rest.to_owned())
        };
        let old = |name: &str| {
            let new = name.replace("LayerNorm.weight", "LayerNorm.gamma");
            let new = new.replace("LayerNorm.bias", "LayerNorm.beta");
            Some(new.replace("predictions.bias", "predictions.decoder.bias"))
        };
        let load = |file: &TensorFile| families::load(&config(name), file, "test").unwrap();
        let without = load(&renamed(name, &bare));
        assert!(without.network.unembed().is_none());
        assert!(
            without.parameters.layout().specs()[0]
                .name
                .starts_with("embeddings.")
        );
        let vectors = run(&expected, &pool, &batch, false);
        assert_eq!(run(&without, &pool, &batch, false), vectors, "{name}");
        let older = load(&renamed(name, &old));
        let logits = run(&expected, &pool, &batch, true);
        assert_eq!(run(&older, &pool, &batch, true), logits, "{name}");
    }
}

/// XLM-RoBERTa is RoBERTa under another name.
#[test]
fn kin_load_as_what_they_are() {
    let renamed = config("roberta-odd").replace("\"roberta\"", "\"xlm-roberta\"");
    let file = golden_tensors("roberta-odd", "model.safetensors");
    let model = families::load(&renamed, &file, "test").unwrap();
    assert_eq!(model.network.family(), "xlm-roberta");
    let golden = golden_tensors("roberta-odd", "masked.safetensors");
    let batch = Batch::golden(&golden);
    assert_eq!(
        run(&model, &Pool::single(), &batch, true),
        run(&golden_model("roberta-odd"), &Pool::single(), &batch, true)
    );
}

/// What is written can be read again: config and names.
#[test]
fn parameters_and_config_go_round() {
    for name in ENCODERS {
        let (model, file) = (
            golden_model(name),
            golden_tensors(name, "model.safetensors"),
        );
        let specs = model.parameters.layout().specs();
        let mut names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, file.names());
        let again = families::open(
            &model.network.config_json(),
            Arc::new(file),
            Keep::InMemory,
            "test",
        );
        assert_eq!(again.unwrap().parameters.arena(), model.parameters.arena());
    }
}

#[test]
fn what_cannot_be_computed_is_refused_in_one_line() {
    let file = golden_tensors("bert-tiny", "model.safetensors");
    for (old, new, says) in [
        ("\"hidden_size\": 33", "\"hidden_size\": 34", "hidden_size"),
        (
            "\"hidden_act\": \"gelu\"",
            "\"hidden_act\": \"mish\"",
            "mish",
        ),
        (
            "\"is_decoder\": false",
            "\"is_decoder\": true",
            "is_decoder",
        ),
        ("\"vocab_size\": 101", "\"vocab_size\": 102", "[102, 33]"),
        (
            "\"layer_norm_eps\": 1e-12",
            "\"layer_norm_eps\": 0",
            "layer_norm_eps",
        ),
        (
            "\"num_hidden_layers\": 3",
            "\"num_hidden_layers\": 4",
            "encoder.layer.3.attention.self.query.weight",
        ),
    ] {
        let text = config("bert-tiny");
        assert!(text.contains(old), "{old}");
        let error = families::load(&text.replace(old, new), &file, "a model").err();
        let message = error.expect(new).to_string();
        assert!(
            message.contains(says) && !message.contains('\n'),
            "{message}"
        );
    }
    let message = golden_model("bert-tiny").check_continues("a model");
    let message = message.unwrap_err().to_string();
    assert!(message.contains("a model is an encoder (bert)") && !message.contains('\n'));
    assert!(golden_model("gpt2-tiny").check_continues("a model").is_ok());
}

/// Blocks that are run again in the backward pass give the same gradients, bit for bit.
#[test]
fn recomputing_changes_no_gradient() {
    let golden = golden_tensors("bert-tiny", "masked.safetensors");
    let (batch, pool) = (Batch::golden(&golden), Pool::new(2));
    let model = golden_model("bert-tiny");
    let of = |tape: &mut Tape| {
        crate::support::taped_masked_loss_and_gradient(&model, &pool, tape, &batch, 0.2, None).1
    };
    assert!(of(&mut Tape::default()).arena() == of(&mut Tape::new(true)).arena());
}
