//! Ring 3: every site, logit and gradient as PyTorch and transformers compute them (`parity/README.md`).

use std::collections::BTreeSet;

use glassformer_kernels::product::Precision;
use glassformer_model::{Keep, KvCache, Mode, Model, Pass, Site};
use glassformer_tensor::{Buffers, Pool};

use crate::agreement::{assert_as_in_checkpoint, assert_gradients, assert_sites};
use crate::cache::in_chunks;
use crate::support::{
    GOLDEN, Recorder, distance, golden_model, golden_model_kept, golden_tensors, ids, logits,
    loss_and_gradient, squared_error,
};

/// Bar for sites, logits and losses: largest absolute difference.
const ABSOLUTE: f64 = 1e-4;

/// Bar for logits in f32: Σ (ours − theirs)² / Σ theirs² …
const SQUARED: f64 = 1e-9;

/// … and where products are in bf16.
const ROUNDED: f64 = 1e-4;

/// Stops at the first site that differs: the stage that is wrong, not one that inherits it.
#[test]
fn every_site() {
    for name in GOLDEN {
        let (model, golden) = (
            golden_model(name),
            golden_tensors(name, "sites.safetensors"),
        );
        let (_, tokens) = ids(&golden, "tokens");
        let (pool, buffers) = (Pool::single(), Buffers::new());
        let mut recorder = Recorder::default();
        let run = model.run(&pool, &buffers);
        let mut pass = Pass::new(run, 1, tokens.len(), Mode::Inference).with_hook(&mut recorder);
        model.logits(&mut pass, &tokens);
        let recorded: BTreeSet<String> = recorder.sites.keys().map(Site::to_string).collect();
        let expected = golden.names().into_iter().collect();
        assert_eq!(recorded, expected, "{name}: the same sites");
        assert_sites(
            name,
            &recorder,
            &golden,
            recorder.sites.keys().copied(),
            ABSOLUTE,
        );
    }
}

#[test]
fn logits_loss_and_every_gradient() {
    for name in GOLDEN {
        let (model, golden) = (
            golden_model(name),
            golden_tensors(name, "train.safetensors"),
        );
        let (shape, x) = ids(&golden, "x");
        let (_, y) = ids(&golden, "y");
        let (batch, size) = (shape[1], shape[1] * shape[2]);
        for threads in [1, 2] {
            let pool = Pool::new(threads);
            let (_, expected) = golden.load_f32("logits").unwrap();
            let actual = logits(&model, &pool, batch, &x[..size]);
            let (difference, squared) = (
                distance(&actual, &expected),
                squared_error(&actual, &expected),
            );
            assert!(
                difference <= ABSOLUTE && squared <= SQUARED,
                "{name}: logits differ by {difference:e}, squared {squared:e}"
            );

            let (loss, gradients) =
                loss_and_gradient(&model, &pool, batch, [&x[..size], &y[..size]], 0.0);
            let expected = f64::from(golden.load_f32("loss").unwrap().1[0]);
            assert!(
                (loss - expected).abs() <= ABSOLUTE,
                "{name}: loss {loss}, expected {expected}"
            );
            println!(
                "{name}: logits {difference:.1e}, squared {squared:.1e}, loss {:.1e}",
                (loss - expected).abs()
            );

            assert_gradients(name, &model, &golden, &gradients, None, &[]);
        }
    }
}

#[test]
fn parameters_are_called_as_in_the_checkpoint() {
    for name in GOLDEN {
        let model = golden_model(name);
        assert_as_in_checkpoint(name, &model);
        let ends: usize = model
            .parameters
            .layout()
            .specs()
            .iter()
            .map(|s| s.shape.iter().product::<usize>())
            .sum();
        assert_eq!(
            ends,
            model.parameters.arena().len(),
            "the arena has no gaps"
        );
    }
}

/// The golden text of `sites.safetensors` and its logits.
fn golden_logits(name: &str) -> (Vec<u32>, Vec<f32>) {
    let golden = golden_tensors(name, "sites.safetensors");
    let (_, logits) = golden.load_f32("logits").unwrap();
    (ids(&golden, "tokens").1, logits)
}

/// Every position by itself, and some together, against the keys and values of those before.
#[test]
fn cached_logits() {
    for name in GOLDEN {
        let (model, pool) = (golden_model(name), Pool::new(2));
        let (tokens, expected) = golden_logits(name);
        for most in [1, 3, 8] {
            let mut cache = KvCache::new(&model.dimensions());
            let cached = in_chunks(&model, &pool, &mut cache, &tokens, &mut || most);
            let difference = distance(&cached, &expected);
            println!("{name}, {most} at a time: {difference:.1e}");
            assert!(
                difference <= ABSOLUTE,
                "{name}: logits of {most} positions at a time differ by {difference:e}"
            );
        }
    }
}

/// In bf16, and with matrices that stay in their file.
#[test]
fn logits_in_other_forms() {
    for name in GOLDEN {
        let (tokens, expected) = golden_logits(name);
        let compare = |what: &str, model: &Model, bar: f64| {
            let near = squared_error(&logits(model, &Pool::new(2), 1, &tokens), &expected);
            println!("{name}, {what}: squared {near:.1e}");
            assert!(near <= bar, "{name}, {what}: logits differ by {near:e}");
        };
        let mut model = golden_model(name);
        model.precision = Precision::Bf16;
        compare("bf16", &model, ROUNDED);

        let mut kept = golden_model_kept(name, Keep::InFile);
        assert!(!kept.parameters.are_in_memory());
        kept.pack(&Pool::single(), Precision::F32);
        compare("in its file", &kept, SQUARED);
        kept.pack(&Pool::single(), Precision::Bf16);
        compare("in its file, bf16", &kept, ROUNDED);
    }
}
