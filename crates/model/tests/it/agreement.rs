//! How tests compare a model with the golden files of the reference implementation.

use glassformer_model::{Gradients, Model, Site};
use glassformer_weights::TensorFile;

use crate::support::{Recorder, distance, golden_tensors, norm};

/// Bar for gradients: difference relative to the gradient, both in length and in the largest element …
const RELATIVE: f64 = 1e-3;

/// … but for the keys' biases, whose true gradient is 0.
const NOTHING: f64 = 1e-6;

/// What was recorded of these sites, in their order, differs from the golden file by at most `bar`. Stops at the first one
/// that differs: the stage that is wrong, not one that inherits it.
pub(crate) fn assert_sites(
    name: &str,
    recorder: &Recorder,
    golden: &TensorFile,
    sites: impl IntoIterator<Item = Site>,
    bar: f64,
) {
    let mut worst = (0.0, Site::Tokens);
    for site in sites {
        let (shape, expected) = golden.load_f32(&site.to_string()).unwrap();
        let (actual_shape, actual) = &recorder.sites[&site];
        assert_eq!(actual_shape, &shape, "{name}: shape of {site}");
        let difference = distance(actual, &expected);
        assert!(
            difference <= bar,
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

/// All gradients are those of the golden file; those of parameters whose names end in `nothing` are 0 there and nearly so
/// here. Parameters for which the reference has none are named in `untrained`.
pub(crate) fn assert_gradients(
    name: &str,
    model: &Model,
    golden: &TensorFile,
    gradients: &Gradients,
    nothing: Option<&str>,
    untrained: &[&str],
) {
    let mut worst = (0.0f64, "");
    for spec in model.parameters.layout().specs() {
        let parameter = spec.name.as_str();
        if untrained.contains(&parameter) {
            continue;
        }
        let (shape, expected) = golden.load_f32(&format!("grad.{parameter}")).unwrap();
        assert_eq!(shape, spec.shape);
        let actual = gradients.get(spec.id);
        if nothing.is_some_and(|end| parameter.ends_with(end)) {
            assert!(distance(actual, &expected) <= NOTHING, "{parameter}");
            continue;
        }
        let length = norm(expected.iter().copied());
        let off = norm(actual.iter().zip(&expected).map(|(a, b)| a - b)) / length;
        let largest = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        let most = distance(actual, &expected) / f64::from(largest);
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

/// Names, shapes and values of all parameters are those of the checkpoint.
pub(crate) fn assert_as_in_checkpoint(name: &str, model: &Model) {
    let file = golden_tensors(name, "model.safetensors");
    let specs = model.parameters.layout().specs();
    let mut names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, file.names(), "{name}");
    for spec in specs {
        let (shape, values) = file.load_f32(&spec.name).unwrap();
        let own = (&spec.shape, model.parameters.get(spec.id));
        assert_eq!((&shape, values.as_slice()), own);
    }
}
