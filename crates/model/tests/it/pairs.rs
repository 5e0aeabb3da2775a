//! Encoder–decoders: every site, logit and gradient as transformers computes them (`parity/README.md`).

use glassformer_kernels::product::Precision;
use glassformer_model::loss::{self, IGNORED, Objective};
use glassformer_model::{Gradients, Hook, Keep, Lengths, Mode, Model, Pass, Site, Stack, Tape};
use glassformer_tensor::{Buffers, Pool};
use glassformer_weights::TensorFile;

use crate::support::{
    Recorder, distance, golden_model, golden_model_kept, golden_tensors, ids, norm, squared_error,
};

pub(crate) const PAIRS: [&str; 6] = [
    "marian-tiny",
    "marian-apart",
    "bart-tiny",
    "mbart-odd",
    "t5-tiny",
    "t5-gated",
];

/// Bar for sites, logits and losses: largest absolute difference.
const ABSOLUTE: f64 = 1e-4;

/// Bar for gradients: difference relative to the gradient, both in length and in the largest element …
const RELATIVE: f64 = 1e-3;

/// … but for the keys' biases, whose true gradient is 0.
const NOTHING: f64 = 1e-6;

/// Several pairs, one behind the other.
pub(crate) struct Batch {
    pub(crate) sources: Lengths,
    pub(crate) targets: Lengths,
    pub(crate) x: Vec<u32>,
    pub(crate) t: Vec<u32>,
    /// What should follow each id of the targets.
    pub(crate) y: Vec<u32>,
}

impl Batch {
    pub(crate) fn golden(file: &TensorFile) -> Self {
        let lengths = |name| Lengths::of(ids(file, name).1.iter().map(|&n| n as usize));
        let (_, labels) = file.load_f32("y").unwrap();
        let label = |&label: &f32| if label < 0.0 { IGNORED } else { label as u32 };
        Self {
            sources: lengths("source_lengths"),
            targets: lengths("target_lengths"),
            x: ids(file, "x").1,
            t: ids(file, "t").1,
            y: labels.iter().map(label).collect(),
        }
    }

    /// A pass over it.
    pub(crate) fn pass<'a>(
        &self,
        model: &'a Model,
        pool: &'a Pool,
        buffers: &'a Buffers,
        mode: Mode<'a>,
    ) -> Pass<'a> {
        let pass = Pass::over(model.run(pool, buffers), self.targets.clone(), mode);
        pass.with_source(&self.x, self.sources.clone())
    }

    pub(crate) fn logits(&self, model: &Model, pool: &Pool) -> Vec<f32> {
        let buffers = Buffers::new();
        let mut pass = self.pass(model, pool, &buffers, Mode::Inference);
        model.logits(&mut pass, &self.t).tensor().data().to_vec()
    }

    /// Mean loss of what is asked, and its gradient.
    pub(crate) fn learn(
        &self,
        model: &Model,
        pool: &Pool,
        tape: &mut Tape,
        [dropout, smoothing]: [f32; 2],
        hook: Option<&mut dyn Hook>,
    ) -> (f64, Gradients) {
        let buffers = Buffers::new();
        let mode = Mode::Training {
            tape,
            dropout,
            key: 77,
        };
        let mut pass = self.pass(model, pool, &buffers, mode);
        if let Some(hook) = hook {
            pass = pass.with_hook(hook);
        }
        let mut gradients = Gradients::zeros(model.parameters.trained().layout());
        let last = model.network.residual(&mut pass, &self.t);
        let normed = model.head().normed(&mut pass, &last);
        let objective = Objective {
            weight: 1.0,
            smoothing,
        };
        let (run, linear) = (pass.run(), &model.head().linear);
        let (x, y) = (normed.tensor(), &self.y);
        let (sum, d_normed) = loss::learn(run, linear, x, y, objective, &mut gradients);
        pass.backward(&normed, d_normed, &mut gradients);
        (sum / loss::asked(y) as f64, gradients)
    }
}

/// Stops at the first site that differs: the stage that is wrong, not one that inherits it.
#[test]
fn every_site() {
    for name in PAIRS {
        let model = golden_model(name);
        let golden = golden_tensors(name, "sites.safetensors");
        let [source, target] =
            ["encoder", "decoder"].map(|stack| ids(&golden, &format!("{stack}.tokens")).1);
        let (pool, buffers, mut recorder) = (Pool::single(), Buffers::new(), Recorder::default());
        let run = model.run(&pool, &buffers);
        let of = |ids: &[u32]| Lengths::of([ids.len()]);
        let mut pass = Pass::over(run, of(&target), Mode::Inference)
            .with_source(&source, of(&source))
            .with_hook(&mut recorder);
        model.logits(&mut pass, &target);
        let sites = model.network.sites();
        assert_eq!(
            recorder.sites.len(),
            sites.len(),
            "{name}: what it says it shows"
        );
        assert_eq!(golden.names().len(), sites.len(), "{name}: the same sites");
        let mut worst = (0.0, Site::Tokens);
        for site in sites {
            let (shape, expected) = golden.load_f32(&site.to_string()).unwrap();
            let (actual_shape, actual) = &recorder.sites[&site];
            assert_eq!(actual_shape, &shape, "{name}: shape of {site}");
            let pair = model.network.pair().unwrap();
            let told = match site.alone().0 {
                Some(Stack::Encoder) => site.shape(&pair.encoder(), source.len()),
                _ => site.shape_across(&model.dimensions(), [target.len(), source.len()]),
            };
            assert_eq!(told, shape, "{name}: {site} as it is told");
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

/// In f32, pairs of different lengths without padding, with label smoothing.
#[test]
fn logits_loss_and_every_gradient() {
    for name in PAIRS {
        let (model, golden) = (
            golden_model(name),
            golden_tensors(name, "pairs.safetensors"),
        );
        let batch = Batch::golden(&golden);
        for threads in [1, 2] {
            let pool = Pool::new(threads);
            let (_, expected) = golden.load_f32("logits").unwrap();
            let actual = batch.logits(&model, &pool);
            let errors = [
                distance(&actual, &expected),
                squared_error(&actual, &expected),
            ];
            assert!(
                errors[0] <= ABSOLUTE && errors[1] <= 1e-9,
                "{name}: logits differ by {errors:?}"
            );
            let mut tape = Tape::default();
            let of = |name: &str| f64::from(golden.load_f32(name).unwrap().1[0]);
            let (plain, _) = batch.learn(&model, &pool, &mut tape, [0.0, 0.0], None);
            let (loss, gradients) = batch.learn(&model, &pool, &mut tape, [0.0, 0.1], None);
            for (loss, expected) in [(plain, of("plain_loss")), (loss, of("loss"))] {
                assert!(
                    (loss - expected).abs() <= ABSOLUTE,
                    "{name}: loss {loss}, expected {expected}"
                );
            }
            let mut worst = (0.0f64, "");
            for spec in model.parameters.layout().specs() {
                if spec.name == "final_logits_bias" {
                    // transformers does not train it.
                    continue;
                }
                let (shape, expected) = golden.load_f32(&format!("grad.{}", spec.name)).unwrap();
                assert_eq!(shape, spec.shape);
                let actual = gradients.get(spec.id);
                if spec.name.ends_with("k_proj.bias") {
                    assert!(distance(actual, &expected) <= NOTHING, "{}", spec.name);
                    continue;
                }
                let length = norm(expected.iter().copied());
                let largest = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
                let off = norm(actual.iter().zip(&expected).map(|(a, b)| a - b)) / length;
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
                "{name}: logits {errors:?}, gradients at most {:.1e} ({})",
                worst.0, worst.1
            );
        }
    }
}

#[test]
fn parameters_are_called_as_in_the_checkpoint() {
    for name in PAIRS {
        let (model, file) = (
            golden_model(name),
            golden_tensors(name, "model.safetensors"),
        );
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
}

/// Rounded operands, weights packed beforehand or laid out from the file; gradients stay near those in f32.
#[test]
fn in_bf16_and_from_the_file() {
    for name in PAIRS {
        let golden = golden_tensors(name, "pairs.safetensors");
        let (batch, pool) = (Batch::golden(&golden), Pool::new(2));
        let (_, expected) = golden.load_f32("logits").unwrap();
        let mut model = golden_model(name);
        let mut tape = Tape::default();
        let exact = batch.learn(&model, &pool, &mut tape, [0.0, 0.1], None).1;
        model.precision = Precision::Bf16;
        let near = batch.learn(&model, &pool, &mut tape, [0.0, 0.1], None).1;
        let of_gradients = squared_error(near.arena(), exact.arena());
        assert!(
            of_gradients <= 1e-2,
            "{name}: gradients, error {of_gradients:e}"
        );
        for keep in [Keep::InMemory, Keep::InFile] {
            for precision in [Precision::F32, Precision::Bf16] {
                let mut model = golden_model_kept(name, keep);
                model.pack(&pool, precision);
                let near = squared_error(&batch.logits(&model, &pool), &expected);
                let bar = if precision == Precision::F32 {
                    1e-9
                } else {
                    1e-4
                };
                assert!(
                    near <= bar,
                    "{name}: {keep:?}, {precision:?}, error {near:e}"
                );
            }
        }
    }
}
