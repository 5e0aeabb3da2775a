//! Adapters: the layer against finite differences; whole models against PEFT (`parity/adapters.py`); on quantised weights,
//! with dropout, run again, merged; and adapters that do not fit.

use std::sync::Arc;

use glassformer_kernels::dropout::Mask;
use glassformer_kernels::product::Precision;
use glassformer_model::block::{Adapted, Linear, LowRank, Storage};
use glassformer_model::{Adapter, Init, Keep, Layout, LoraConfig, Model, Tape, Targets, families};
use glassformer_tensor::Pool;
use glassformer_weights::{DataType, GgufFile, NewTensor, TensorFile, safetensors};

use crate::layer_check::{Subject, random_parameters};
use crate::support::{
    distance, golden, golden_model, golden_model_kept, golden_tensors, ids, logits,
    loss_and_gradient, norm, normals, random_ids, squared_error, taped_loss_and_gradient,
};

/// Adapters that PEFT made, and the models that they are of.
const GOLDEN: [(&str, &str); 4] = [
    ("llama-lora", "llama-tiny"),
    ("qwen3-lora", "qwen3-tiny"),
    ("gpt2-lora", "gpt2-tiny"),
    ("bert-lora", "bert-tiny"),
];

/// Bars as in `parity.rs`.
const ABSOLUTE: f64 = 1e-4;
const RELATIVE: f64 = 1e-3;
/// Two more roundings for each layer than without an adapter.
const ROUNDED: f64 = 3e-4;

fn config(name: &str) -> LoraConfig {
    let text = std::fs::read_to_string(golden(name, "adapter_config.json")).unwrap();
    LoraConfig::from_json(&text).unwrap()
}

fn adapter(name: &str, model: &Model) -> Adapter {
    let file = golden_tensors(name, "adapter_model.safetensors");
    Adapter::load(model, config(name), &file).unwrap()
}

fn adapted(name: &str, mut model: Model) -> Model {
    model.adapt(adapter(name, &model));
    model
}

/// W and b stand in the same layout here, so that their gradients are compared too.
#[test]
fn the_layer() {
    for (n, d_in, d_out) in [(1, 3, 5), (7, 5, 11), (67, 7, 13)] {
        for (storage, shape) in [
            (Storage::InOut, [d_in, d_out]),
            (Storage::OutIn, [d_out, d_in]),
        ] {
            for dropout in [None, Some(Mask::new(5, 0.3))] {
                let mut layout = Layout::default();
                let linear = Linear {
                    weight: layout.add("W", &shape, Init::Zeros),
                    bias: Some(layout.add("b", &[d_out], Init::Zeros)),
                    d_in,
                    d_out,
                    storage,
                };
                // Two parts with a gap between them, and one alone over all.
                for columns in [vec![(0, 2, 3), (3, d_out - 3, 1)], vec![(0, d_out, 2)]] {
                    let mut layout = layout.clone();
                    let mut part = |(first, width, rank): (usize, usize, usize)| LowRank {
                        a: low(&mut layout, d_in, rank),
                        b: low(&mut layout, rank, width),
                        first,
                        scale: 0.4,
                    };
                    let parts: Arc<[LowRank]> = columns.iter().map(|&c| part(c)).collect();
                    let layer = Adapted {
                        linear,
                        parts,
                        dropout,
                    };
                    let parameters = random_parameters(layout, 1);
                    let what = format!("{n}×{d_in}→{d_out}, {storage:?}, parts {columns:?}");
                    let input = |seed, width| (vec![n, width], normals(seed, n * width));
                    Subject {
                        layer: layer.clone(),
                        parameters: parameters.clone(),
                        inputs: [input(2, d_in)],
                    }
                    .check(&what);
                    Subject {
                        layer,
                        parameters,
                        inputs: [input(2, d_in), input(3, d_out)],
                    }
                    .check(&format!("{what}, onto a residual"));
                }
            }
        }
    }
}

fn low(layout: &mut Layout, d_in: usize, d_out: usize) -> Linear {
    Linear {
        weight: layout.add("low", &[d_out, d_in], Init::Zeros),
        bias: None,
        d_in,
        d_out,
        storage: Storage::OutIn,
    }
}

/// In memory, in the file, packed, merged: always the logits that PEFT computes.
#[test]
fn logits_as_peft_computes_them() {
    for (name, base) in GOLDEN {
        let expected = golden_tensors(name, "expected.safetensors");
        let (shape, x) = ids(&expected, "x");
        let (_, right) = expected.load_f32("logits").unwrap();
        let plain = logits(&golden_model(base), &Pool::single(), shape[0], &x);
        assert!(
            squared_error(&plain, &right) > 1e-2,
            "{name} changes little"
        );
        let pool = Pool::new(2);
        let packed = |precision| {
            let mut model = adapted(name, golden_model_kept(base, Keep::InFile));
            model.pack(&pool, precision);
            model
        };
        let mut merged = adapted(name, golden_model(base));
        merged.merge(&pool).unwrap();
        assert!(merged.parameters.adapter().is_none());
        for (what, model, bar) in [
            ("in memory", adapted(name, golden_model(base)), 1e-9),
            ("in its file", packed(Precision::F32), 1e-9),
            ("in bf16", packed(Precision::Bf16), ROUNDED),
            ("merged", merged, 1e-9),
        ] {
            let found = logits(&model, &pool, shape[0], &x);
            let off = squared_error(&found, &right);
            println!("{name}, {what}: squared {off:.1e}");
            assert!(off <= bar, "{name}, {what}: logits are off by {off:e}");
        }
    }
}

#[test]
fn loss_and_gradients_as_peft_computes_them() {
    for (name, base) in GOLDEN.into_iter().filter(|(name, _)| *name != "bert-lora") {
        let expected = golden_tensors(name, "expected.safetensors");
        let (shape, x) = ids(&expected, "x");
        let (_, y) = ids(&expected, "y");
        let right = f64::from(expected.load_f32("loss").unwrap().1[0]);
        let pool = Pool::new(2);
        for (keep, frozen) in [
            (Keep::InMemory, false),
            (Keep::InMemory, true),
            (Keep::InFile, true),
        ] {
            let mut model = adapted(name, golden_model_kept(base, keep));
            if frozen {
                model.pack_frozen(&pool, Precision::F32);
            }
            let (loss, gradients) = loss_and_gradient(&model, &pool, shape[0], [&x, &y], 0.0);
            assert!(
                (loss - right).abs() <= ABSOLUTE,
                "{name}: {loss}, not {right}"
            );
            let trained = model.parameters.trained();
            for spec in trained.layout().specs() {
                let (shape, right) = expected.load_f32(&format!("grad.{}", spec.name)).unwrap();
                assert_eq!(shape, spec.shape);
                let found = gradients.get(spec.id);
                let off = norm(found.iter().zip(&right).map(|(a, b)| a - b))
                    / norm(right.iter().copied());
                assert!(off <= RELATIVE, "{name}: d {} is off by {off:e}", spec.name);
            }
            assert_eq!(
                trained.layout().specs().len(),
                expected.names().len() - 4,
                "{name}: every tensor of PEFT's"
            );
        }
    }
}

/// The forward pass rounds activations to 8 bits, so losses and gradients come near those of the numbers that the blocks
/// mean; and what is added changes both.
#[test]
fn gradients_through_quantised_weights() {
    for base in ["llama-blocks", "qwen3-blocks"] {
        let file = GgufFile::open(&golden(base, "model.gguf")).unwrap();
        let pool = Pool::new(2);
        let config = LoraConfig::new(4, 8.0, 0.0, Targets::AllLinear);
        let model = |keep| {
            let mut model = families::open_gguf(&file, keep).unwrap();
            model.adapt(Adapter::new(&model, config.clone(), 3, &pool).unwrap());
            let trained = model.parameters.trained_mut().arena_mut();
            let noise = normals(4, trained.len());
            trained
                .iter_mut()
                .zip(noise)
                .for_each(|(x, n)| *x += 0.05 * n);
            model
        };
        let meant = model(Keep::InMemory);
        let mut blocks = model(Keep::InFile);
        let vocab = meant.dimensions().vocab;
        let (x, y) = (random_ids(1, 24, vocab), random_ids(2, 24, vocab));
        let (right, expected) = loss_and_gradient(&meant, &pool, 2, [&x, &y], 0.0);
        for (precision, bar) in [(Precision::F32, 2e-2), (Precision::Bf16, 2e-2)] {
            blocks.pack_frozen(&pool, precision);
            let (loss, found) = loss_and_gradient(&blocks, &pool, 2, [&x, &y], 0.0);
            let off = squared_error(found.arena(), expected.arena());
            println!("{base}: loss {loss} for {right}, gradients squared {off:.1e}");
            assert!((loss - right).abs() < 2e-2, "{base}: {loss}, not {right}");
            assert!(off <= bar, "{base}: gradients are off by {off:e}");
        }
    }
}

/// A step along the gradient lowers the loss of a model in blocks; nothing but the adapter has a gradient.
#[test]
fn a_fresh_adapter_changes_nothing_and_learns() {
    let file = GgufFile::open(&golden("llama-blocks", "model.gguf")).unwrap();
    let pool = Pool::new(2);
    let open = || {
        let mut model = families::open_gguf(&file, Keep::InFile).unwrap();
        model.pack_frozen(&pool, Precision::F32);
        model
    };
    let plain = open();
    let vocab = plain.dimensions().vocab;
    let (x, y) = (random_ids(1, 24, vocab), random_ids(2, 24, vocab));
    let mut model = open();
    let config = LoraConfig::new(4, 8.0, 0.0, Targets::parse("q_proj,v_proj"));
    model.adapt(Adapter::new(&model, config, 3, &pool).unwrap());
    model.pack_frozen(&pool, Precision::F32);
    assert_eq!(logits(&model, &pool, 2, &x), logits(&plain, &pool, 2, &x));
    let (before, gradients) = loss_and_gradient(&model, &pool, 2, [&x, &y], 0.0);
    let length = norm(gradients.arena().iter().copied());
    assert_eq!(
        gradients.arena().len(),
        model.parameters.trained().layout().len()
    );
    let step = (0.1 / length) as f32;
    let arena = model.parameters.trained_mut().arena_mut();
    arena
        .iter_mut()
        .zip(gradients.arena())
        .for_each(|(x, g)| *x -= step * g);
    let (after, _) = loss_and_gradient(&model, &pool, 2, [&x, &y], 0.0);
    assert!(after < before - 0.05 * length, "{before} became {after}");
}

/// Masks are the same when a block is run again, and others for another key.
#[test]
fn recomputing_gives_the_same_bits() {
    let pool = Pool::new(2);
    let mut model = adapted("llama-lora", golden_model("llama-tiny"));
    let mut config = config("llama-lora");
    config.dropout = 0.4;
    let file = golden_tensors("llama-lora", "adapter_model.safetensors");
    model.adapt(Adapter::load(&model, config, &file).unwrap());
    let (x, y) = (random_ids(1, 22, 61), random_ids(2, 22, 61));
    let run = |recomputes| {
        let mut tape = Tape::new(recomputes);
        let text = [x.as_slice(), y.as_slice()];
        let (loss, gradients) =
            taped_loss_and_gradient(&model, &pool, &mut tape, 2, text, 0.0, None);
        (loss.to_bits(), gradients.arena().to_vec())
    };
    assert!(run(false) == run(true), "the same bits");
    let model = adapted("llama-lora", golden_model("llama-tiny"));
    let (loss, _) = loss_and_gradient(&model, &pool, 2, [&x, &y], 0.0);
    assert_ne!(loss.to_bits(), run(false).0, "dropout does something");
}

/// A value that is dropped in a merge would show as a gap.
#[test]
fn merging_needs_a_model_in_memory() {
    let mut model = adapted("llama-lora", golden_model_kept("llama-tiny", Keep::InFile));
    let error = model.merge(&Pool::single()).unwrap_err().to_string();
    assert!(error.contains("in memory"), "{error}");
    let mut plain = golden_model("llama-tiny");
    let was = plain.parameters.arena().to_vec();
    plain.merge(&Pool::single()).unwrap();
    assert!(
        distance(plain.parameters.arena(), &was) == 0.0,
        "nothing to merge"
    );
}

#[test]
fn adapters_that_do_not_fit_are_refused_in_one_line() {
    let model = golden_model("llama-tiny");
    let file = golden_tensors("llama-lora", "adapter_model.safetensors");
    let refusal = |model: &Model, config, file: &TensorFile| {
        Adapter::load(model, config, file).unwrap_err().to_string()
    };
    let mut other = config("llama-lora");
    other.rank = 5;
    for (error, parts) in [
        (
            refusal(&model, other, &file),
            &["lora_A", "[5, 28]", "[3, 28]"][..],
        ),
        (
            refusal(&golden_model("gpt2-tiny"), config("llama-lora"), &file),
            &["up_proj", "transformer.h.0.attn.c_attn"],
        ),
        (
            refusal(&golden_model("qwen2-tiny"), config("llama-lora"), &file),
            &["[3, 28]", "[3, 36]"],
        ),
        (
            refusal(
                &model,
                config("llama-lora"),
                &golden_tensors("llama-tiny", "model.safetensors"),
            ),
            &["no A or B"],
        ),
        (
            refusal(&model, config("llama-lora"), &one_alone()),
            &["lora_B", "missing"],
        ),
        (
            Adapter::new(
                &model,
                LoraConfig::new(2, 2.0, 0.0, Targets::parse("q_proj,wq")),
                0,
                &Pool::single(),
            )
            .unwrap_err()
            .to_string(),
            &["\"wq\"", "down_proj", "q_proj", "all-linear"],
        ),
        (
            Adapter::new(
                &model,
                LoraConfig::new(2, 2.0, 0.0, Targets::parse("lm_head")),
                0,
                &Pool::single(),
            )
            .unwrap_err()
            .to_string(),
            &["lm_head"],
        ),
    ] {
        assert!(!error.contains('\n'), "{error}");
        for part in parts {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
    }
}

/// An A without its B.
fn one_alone() -> TensorFile {
    let name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
    let values = vec![0.5; 3 * 28];
    let path = std::env::temp_dir().join(format!(
        "glassformer-one-alone-{}.safetensors",
        std::process::id()
    ));
    let tensors = vec![NewTensor::from_slice(
        name,
        &[3, 28],
        DataType::F32,
        &values,
    )];
    safetensors::write(
        &path,
        tensors,
        &std::collections::BTreeMap::default(),
        &Pool::single(),
    )
    .unwrap();
    let file = TensorFile::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}

#[test]
fn configs_that_ask_for_more_than_lora_are_refused() {
    let plain = r#""peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": "all-linear""#;
    let read = |more: &str| LoraConfig::from_json(&format!("{{{plain}{more}}}"));
    assert_eq!(read("").unwrap().rank, 4);
    assert_eq!(
        read(r#", "bias": "none", "use_dora": false, "modules_to_save": null"#)
            .unwrap()
            .alpha,
        8.0
    );
    for (more, part) in [
        (r#", "use_dora": true"#, "use_dora"),
        (r#", "bias": "all""#, "bias"),
        (r#", "modules_to_save": ["lm_head"]"#, "modules_to_save"),
        (r#", "init_lora_weights": "pissa""#, "init_lora_weights"),
        (r#", "r": -1"#, "adapter_config.json"),
    ] {
        let error = read(more).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains('\n'), "{error}");
    }
    for (text, part) in [
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "peft_type"),
        (r#"{"peft_type": "IA3"}"#, "IA3"),
        (r#"{"peft_type": "LORA"}"#, "`r`"),
    ] {
        let error = LoraConfig::from_json(text).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains('\n'), "{error}");
    }
    let odd = format!(r#"{{{plain}, "rank_pattern": {{"layers.[01].q_proj": 2}}}}"#);
    let odd = LoraConfig::from_json(&odd).unwrap();
    let file = golden_tensors("llama-lora", "adapter_model.safetensors");
    let error = Adapter::load(&golden_model("llama-tiny"), odd, &file)
        .unwrap_err()
        .to_string();
    assert!(error.contains("layers.[01].q_proj"), "{error}");
}

/// What is written is read back the same.
#[test]
fn configs_are_read_as_they_are_written() {
    for (name, base) in GOLDEN {
        let read = adapter(name, &golden_model(base)).config;
        assert_eq!(
            LoraConfig::from_json(&read.to_json()).unwrap(),
            read,
            "{name}"
        );
    }
}
