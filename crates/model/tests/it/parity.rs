//! Ring 3: every site, logit and gradient as PyTorch and transformers compute them (`parity/README.md`).

use glassformer_model::{Mode, Pass, Site, families};
use glassformer_tensor::{Buffers, Pool};

use crate::support::{
    GOLDEN, Recorder, distance, golden, golden_model, golden_tensors, ids, logits,
    loss_and_gradient, norm,
};

/// Models of the other decoders' families with golden files.
const DECODERS: [&str; 5] = [
    "llama-tiny",
    "llama-biased",
    "mistral-tiny",
    "qwen2-tiny",
    "qwen3-tiny",
];

/// Bar for sites, logits and losses: largest absolute difference.
const ABSOLUTE: f64 = 1e-4;

/// Bar for gradients: difference relative to the gradient, both in length and in the largest element.
const RELATIVE: f64 = 1e-3;

/// Stops at the first site that differs: the stage that is wrong, not one that inherits it.
#[test]
fn every_site() {
    for name in GOLDEN.into_iter().chain(DECODERS) {
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
        let mut sites = Site::all(model.dimensions().n_layers);
        // Models that turn queries and keys add no positions.
        sites.retain(|&site| site != Site::PosEmbed || recorder.sites.contains_key(&site));
        assert_eq!(
            golden.names().len(),
            sites.len(),
            "{name}: the golden file holds every site"
        );
        let mut worst = (0.0, Site::Tokens);
        for site in sites {
            let (shape, expected) = golden.load_f32(&site.to_string()).unwrap();
            let (actual_shape, actual) = &recorder.sites[&site];
            assert_eq!(actual_shape, &shape, "{name}: shape of {site}");
            let difference = distance(actual, &expected);
            assert!(
                difference <= ABSOLUTE,
                "{name}: {site} is the first site that differs, by {difference:e}"
            );
            if difference > worst.0 {
                worst = (difference, site);
            }
        }
        println!(
            "{name}: sites differ by at most {:.1e} ({})",
            worst.0, worst.1
        );
    }
}

/// Rather than another model's numbers: Qwen's windows are those of some layers alone.
#[test]
fn windows_in_some_layers_are_refused() {
    let config = std::fs::read_to_string(golden("qwen3-window", "config.json")).unwrap();
    let weights = golden_tensors("qwen3-window", "model.safetensors");
    let refused = families::load(&config, &weights, "a model").err().unwrap();
    assert!(
        refused.to_string().contains("use_sliding_window"),
        "{refused}"
    );
}

#[test]
fn logits_loss_and_every_gradient() {
    for name in GOLDEN.into_iter().chain(DECODERS) {
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
            let difference = distance(&logits(&model, &pool, batch, &x[..size]), &expected);
            assert!(
                difference <= ABSOLUTE,
                "{name}: logits differ by {difference:e}"
            );

            let (loss, gradients) =
                loss_and_gradient(&model, &pool, batch, [&x[..size], &y[..size]], 0.0);
            let expected = f64::from(golden.load_f32("loss").unwrap().1[0]);
            assert!(
                (loss - expected).abs() <= ABSOLUTE,
                "{name}: loss {loss}, expected {expected}"
            );
            println!(
                "{name}: logits {difference:.1e}, loss {:.1e}",
                (loss - expected).abs()
            );

            let mut worst = (0.0f64, "");
            for spec in model.parameters.layout().specs() {
                let (shape, expected) = golden.load_f32(&format!("grad.{}", spec.name)).unwrap();
                assert_eq!(shape, spec.shape);
                let actual = gradients.get(spec.id);
                let length = norm(expected.iter().copied());
                let off = norm(actual.iter().zip(&expected).map(|(a, b)| a - b)) / length;
                let largest = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
                let most = distance(actual, &expected) / f64::from(largest);
                let parameter = &spec.name;
                assert!(
                    off <= RELATIVE && most <= RELATIVE,
                    "{name}: d {parameter} is off by {off:e}, {most:e}"
                );
                if off.max(most) > worst.0 {
                    worst = (off.max(most), parameter);
                }
            }
            println!(
                "{name}: gradients differ by at most {:.1e} ({})",
                worst.0, worst.1
            );
        }
    }
}

#[test]
fn parameters_are_called_as_in_the_checkpoint() {
    for name in GOLDEN {
        let (model, file) = (
            golden_model(name),
            golden_tensors(name, "model.safetensors"),
        );
        let mut names: Vec<&str> = model
            .parameters
            .layout()
            .specs()
            .iter()
            .map(|spec| spec.name.as_str())
            .collect();
        names.sort_unstable();
        assert_eq!(names, file.names());
        for spec in model.parameters.layout().specs() {
            let (shape, values) = file.load_f32(&spec.name).unwrap();
            assert_eq!(
                (&shape, values.as_slice()),
                (&spec.shape, model.parameters.get(spec.id))
            );
        }
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
