//! What one text teaches: gradients by sites against finite differences, steps against the optimiser and its equations.

use std::path::Path;

use glassformer_model::{
    Gradients, Hook, Mode, Model, Pass, Run, Site, Tape, View, ViewMut, WeightName, families, loss,
};
use glassformer_tensor::{Buffers, Pool};
use glassformer_train::lesson::{self, SiteGradient};
use glassformer_train::{Optimizer, Options, gradient};
use glassformer_weights::TensorFile;

/// Learned positions, LayerNorm; rotations, gates, shared keys, norms of heads.
const MODELS: [&str; 3] = ["gpt2-tiny", "llama-tiny", "qwen3-tiny"];

fn golden(name: &str) -> (Model, Vec<u32>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../parity/golden")
        .join(name);
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let weights = TensorFile::open(&folder.join("model.safetensors")).unwrap();
    let model = families::load(&config, &weights, name).unwrap();
    let vocab = model.dimensions().vocab;
    (
        model,
        (0..9).map(|i| (i * i * 5 + 3) % vocab as u32).collect(),
    )
}

/// Adds `size` times a direction to the value of a site.
struct Push<'a> {
    site: Site,
    direction: &'a [f32],
    size: f32,
}

impl Hook for Push<'_> {
    fn wants(&self, _site: Site) -> bool {
        false
    }

    fn edits(&self, site: Site) -> bool {
        site == self.site
    }

    fn record(&mut self, _site: Site, _value: View<'_>) {}

    fn edit(&mut self, _site: Site, mut value: ViewMut<'_>) {
        let mut direction = self.direction.iter();
        for x in value.rows().flatten() {
            *x += self.size * direction.next().expect("as many as the site has");
        }
        assert!(direction.next().is_none());
    }
}

/// The mean loss, with a push.
fn pushed(model: &Model, ids: &[u32], mut push: Push<'_>) -> f64 {
    let (pool, buffers, n) = (Pool::single(), Buffers::new(), ids.len() - 1);
    let run = Run::new(&model.parameters, &pool, &buffers);
    let mut pass = Pass::new(run, 1, n, Mode::Inference).with_hook(&mut push);
    let last = model.network.residual(&mut pass, &ids[..n]);
    let normed = model.head().normed(&mut pass, &last);
    loss::sum(run, &model.head().linear, normed.tensor(), &ids[1..]) / n as f64
}

fn slope(model: &Model, ids: &[u32], site: Site, direction: &[f32]) -> f64 {
    let size = 1e-2;
    let at = |size| {
        let push = Push {
            site,
            direction,
            size,
        };
        pushed(model, ids, push)
    };
    (at(size) - at(-size)) / (2.0 * f64::from(size))
}

fn along(gradient: &SiteGradient, direction: &[f32]) -> f64 {
    let products = gradient.data.iter().zip(direction);
    products.map(|(g, d)| f64::from(*g) * f64::from(*d)).sum()
}

#[test]
fn gradients_of_sites_are_those_of_finite_differences() {
    for name in MODELS {
        let (model, ids) = golden(name);
        let learned = lesson::learn(&model, &Pool::single(), &ids, &lesson::is_differentiated);
        let told: Vec<Site> = learned.sites.iter().map(|site| site.site).collect();
        let expected = model.network.sites().into_iter();
        let expected: Vec<Site> = expected.filter(|&s| lesson::is_differentiated(s)).collect();
        assert_eq!(told, expected, "{name}: in the order of the pass");
        for gradient in &learned.sites {
            let norm = along(gradient, &gradient.data).sqrt();
            assert!(norm > 0.0, "{name}, {}", gradient.site);
            let steepest: Vec<f32> = gradient.data.iter().map(|g| g / norm as f32).collect();
            let sides = (0..steepest.len()).map(|i| if i * 7 % 5 < 2 { 0.2 } else { -0.1 });
            for direction in [steepest, sides.collect()] {
                let (expected, told) = (
                    slope(&model, &ids, gradient.site, &direction),
                    along(gradient, &direction),
                );
                assert!(
                    (expected - told).abs() < 2e-3 * (1.0 + norm),
                    "{name}, {}: {told}, by differences {expected}",
                    gradient.site
                );
            }
        }
    }
}

#[test]
fn losses_are_those_of_the_logits() {
    for name in MODELS {
        let (model, ids) = golden(name);
        let (pool, buffers) = (Pool::single(), Buffers::new());
        let run = Run::new(&model.parameters, &pool, &buffers);
        let mut pass = Pass::new(run, 1, ids.len(), Mode::Inference);
        let logits = model.logits(&mut pass, &ids);
        let learned = lesson::learn(&model, &pool, &ids, &|_| false);
        assert_eq!(learned.losses.len(), ids.len() - 1);
        for (t, &told) in learned.losses.iter().enumerate() {
            let row = logits.tensor().row(t);
            let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
            let expected = sum.ln() - f64::from(row[ids[t + 1] as usize]);
            assert!((f64::from(told) - expected).abs() < 1e-4, "{name}, {t}");
        }
    }
}

/// As a trainer would take them: the same numbers, step for step, and the model as it was.
#[test]
fn steps_are_those_of_the_optimiser() {
    let options = Options {
        learning_rate: 1e-2,
        ..Options::preset("nano").unwrap()
    };
    for name in MODELS {
        let (model, ids) = golden(name);
        let (pool, buffers) = (Pool::single(), Buffers::new());
        let before = model.parameters.arena().to_vec();
        let watched: WeightName = "blocks.0.attn.W_V".parse().unwrap();
        let view = model.network.weight(watched).unwrap();
        let told = lesson::steps(&model, &pool, &ids, (view, [1, 2]), &options, 4);
        assert_eq!(model.parameters.arena(), before, "{name}");

        let mut parameters = model.parameters.clone();
        let mut gradients = Gradients::zeros(parameters.layout());
        let mut optimizer = Optimizer::new(before.len());
        for step in &told.steps {
            let mut tape = Tape::new(false);
            let mode = Mode::Training {
                tape: &mut tape,
                dropout: 0.0,
                key: 0,
            };
            let run = Run::new(&parameters, &pool, &buffers);
            let n = ids.len() - 1;
            let pass = Pass::new(run, 1, n, mode);
            let loss = gradient(&model, pass, [&ids[..n], &ids[1..]], 1, &mut gradients) / n as f64;
            assert!((loss - step.loss).abs() < 1e-6, "{name}");
            let place = view.place(1, 2);
            assert_eq!(gradients.get(view.param)[place], step.change.gradient);
            assert_eq!(parameters.get(view.param)[place], step.change.before);
            let norm = optimizer.step(&pool, &mut parameters, &mut gradients, &options, 1e-2);
            assert_eq!(norm, step.grad_norm);
            assert_eq!(parameters.get(view.param)[place], step.change.after);
        }
        let losses: Vec<f64> = told.steps.iter().map(|step| step.loss).collect();
        assert!(
            losses.windows(2).all(|pair| pair[1] < pair[0]),
            "{name}: {losses:?}"
        );
        let after = told.losses.iter().sum::<f32>() / told.losses.len() as f32;
        assert!(f64::from(after) < losses[3], "{name}");
    }
}

/// What is told of the watched number is the equation, in f64.
#[test]
fn a_step_is_its_equation() {
    let options = Options {
        learning_rate: 1e-2,
        clip: 0.05,
        ..Options::preset("nano").unwrap()
    };
    let (model, ids) = golden("gpt2-tiny");
    // A matrix decays, a bias does not.
    for (name, decays) in [("blocks.1.mlp.W_down", true), ("blocks.0.attn.b_O", false)] {
        let view = model.network.weight(name.parse().unwrap()).unwrap();
        let pool = Pool::single();
        let told = lesson::steps(&model, &pool, &ids, (view, [0, 3]), &options, 3);
        let (mut m, mut v) = (0.0f64, 0.0f64);
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-5 * a.abs().max(b.abs()) + 1e-12;
        for (t, step) in (1..).zip(&told.steps) {
            let change = step.change;
            assert!(step.scale < 1.0, "the gradient is clipped");
            assert!(
                near(f64::from(step.scale) * step.grad_norm, options.clip),
                "{step:?}"
            );
            let g = f64::from(change.gradient) * f64::from(step.scale);
            let [b1, b2] = [options.beta1, options.beta2].map(f64::from);
            (m, v) = (b1 * m + (1.0 - b1) * g, b2 * v + (1.0 - b2) * g * g);
            let hats = [m / (1.0 - b1.powi(t)), v / (1.0 - b2.powi(t))];
            let before = f64::from(change.before);
            let decay = if decays {
                1e-2 * f64::from(options.weight_decay) * before
            } else {
                0.0
            };
            let update = 1e-2 * hats[0] / (hats[1].sqrt() + f64::from(options.eps));
            let expected = [m, v, hats[0], hats[1], decay, update];
            let [m_told, v_told] = change.moments.map(f64::from);
            let [m_hat, v_hat] = change.corrected;
            let all = [m_told, v_told, m_hat, v_hat, change.decay, change.update];
            for (told, expected) in all.into_iter().zip(expected) {
                assert!(
                    near(told, expected),
                    "{name}, step {t}: {told}, expected {expected}"
                );
            }
            let after = before - decay - update;
            assert!(
                (f64::from(change.after) - after).abs() < 1e-6,
                "{name}, step {t}"
            );
        }
    }
}

#[test]
fn every_parameter_is_named_with_its_gradient() {
    for name in MODELS {
        let (model, ids) = golden(name);
        let learned = lesson::learn(&model, &Pool::single(), &ids, &|_| false);
        let weights = lesson::by_weight(&model, &learned.gradients);
        let squares: f64 = weights.iter().map(|weight| weight.norm * weight.norm).sum();
        let arena = learned.gradients.arena().iter();
        let all: f64 = arena.map(|g| f64::from(*g) * f64::from(*g)).sum();
        assert!(
            (squares - all).abs() < 1e-6 * all,
            "{name}: none is left out, none counted twice"
        );
        for weight in &weights {
            let view = model.network.weight(weight.name).unwrap();
            let [r, c] = weight.largest;
            let value = learned.gradients.get(view.param)[view.place(r, c)];
            assert_eq!(value, weight.value, "{name}, {}", weight.name);
            let cells = (weight.shape[0] * weight.shape[1]) as f64;
            let largest = f64::from(value.abs());
            assert!(largest <= weight.norm * (1.0 + 1e-6));
            assert!(
                largest >= weight.norm / cells.sqrt() * (1.0 - 1e-6),
                "{name}, {}",
                weight.name
            );
        }
    }
}
