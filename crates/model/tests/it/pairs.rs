//! Encoder–decoders: every site, logit and gradient as transformers computes them (`parity/README.md`).

use glassformer_kernels::product::Precision;
use glassformer_model::loss::{self, IGNORED, Objective};
use glassformer_model::{Gradients, Hook, Keep, Lengths, Mode, Model, Pass, Stack, Tape};
use glassformer_tensor::{Buffers, Pool};
use glassformer_weights::TensorFile;

use crate::agreement::{assert_as_in_checkpoint, assert_gradients, assert_sites};
use crate::support::{
    Recorder, distance, golden_model, golden_model_kept, golden_tensors, ids, squared_error,
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
        let pair = model.network.pair().unwrap();
        for &site in &sites {
            let told = match site.alone().0 {
                Some(Stack::Encoder) => site.shape(&pair.encoder(), source.len()),
                _ => site.shape_across(&model.dimensions(), [target.len(), source.len()]),
            };
            let (shape, _) = &recorder.sites[&site];
            assert_eq!(&told, shape, "{name}: {site} as it is told");
        }
        assert_sites(name, &recorder, &golden, sites, ABSOLUTE);
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
            assert_gradients(
                name,
                &model,
                &golden,
                &gradients,
                Some("k_proj.bias"),
                &["final_logits_bias"],
            );
            println!("{name}: logits {errors:?}");
        }
    }
}

#[test]
fn parameters_are_called_as_in_the_checkpoint() {
    for name in PAIRS {
        assert_as_in_checkpoint(name, &golden_model(name));
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
