//! What one text teaches a model: the loss at each position, the gradient back through the network, steps of AdamW.
//!
//! With ids `[T]` there are N = T − 1 targets: position t is asked for token t + 1. lossₜ = −ln pₜ[idₜ₊₁], loss = Σ lossₜ / N, and
//! gradients are those of this mean. The model stays as it is: steps are taken on a copy of its parameters, by the run's own
//! [`Optimizer`].

use glassformer_model::{
    BlockSite, Gradients, Hook, Mode, Model, Parameters, Pass, Run, Site, Tape, View, ViewMut,
    WeightName, WeightView, loss,
};
use glassformer_tensor::{Buffers, Pool};

use crate::optimizer::clipping;
use crate::{Optimizer, Options, gradient};

/// The gradient with respect to the value of a site.
#[derive(Clone, Debug)]
pub struct SiteGradient {
    /// Which value.
    pub site: Site,
    /// As the site's, of the N positions that have a target.
    pub shape: Vec<usize>,
    /// Row-major.
    pub data: Vec<f32>,
}

/// What one text teaches a model as it stands.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// Of each position that has a target (nats): [N].
    pub losses: Vec<f32>,
    /// With respect to the sites that were asked for, in the order of the pass.
    pub sites: Vec<SiteGradient>,
    /// With respect to all parameters.
    pub gradients: Gradients,
}

/// The gradient with respect to one named parameter, in little.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightGradient {
    /// Which parameter.
    pub name: WeightName,
    /// [rows, cols]; a vector has one row.
    pub shape: [usize; 2],
    /// √Σg².
    pub norm: f64,
    /// Where |g| is largest.
    pub largest: [usize; 2],
    /// g there.
    pub value: f32,
}

/// One number of the model in one step of AdamW.
///
/// gₛ = scale·g; m ← β₁m + (1−β₁)gₛ; v ← β₂v + (1−β₂)gₛ²; m̂ = m/(1−β₁ᵗ); v̂ = v/(1−β₂ᵗ); decay = lr·λ·θ; update = lr·m̂/(√v̂ + ε);
/// θ ← θ − decay − update (Loshchilov & Hutter 2019, algorithm 2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// θ before.
    pub before: f32,
    /// g, before clipping.
    pub gradient: f32,
    /// m and v before the step.
    pub moments_before: [f32; 2],
    /// m and v after it.
    pub moments: [f32; 2],
    /// m̂ and v̂.
    pub corrected: [f64; 2],
    /// What weight decay takes away.
    pub decay: f64,
    /// What is taken away for the gradient.
    pub update: f64,
    /// θ after.
    pub after: f32,
}

/// One step over the whole text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Mean loss before it.
    pub loss: f64,
    /// Of all gradients together, before clipping.
    pub grad_norm: f64,
    /// What clipping multiplies all gradients by.
    pub scale: f32,
    /// The number that is watched.
    pub change: Change,
}

/// Steps one after the other, over one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps {
    /// In their order.
    pub steps: Vec<Step>,
    /// Of each position, after the last step: [N].
    pub losses: Vec<f32>,
}

/// Keeps gradients of sites.
struct Keeper<'a> {
    wanted: &'a dyn Fn(Site) -> bool,
    kept: Vec<SiteGradient>,
}

impl Hook for Keeper<'_> {
    fn wants(&self, _site: Site) -> bool {
        false
    }

    fn edits(&self, _site: Site) -> bool {
        false
    }

    fn record(&mut self, _site: Site, _value: View<'_>) {}

    fn edit(&mut self, _site: Site, _value: ViewMut<'_>) {}

    fn wants_gradient(&self, site: Site) -> bool {
        (self.wanted)(site)
    }

    fn gradient(&mut self, site: Site, gradient: View<'_>) {
        self.kept.push(SiteGradient {
            site,
            shape: gradient.shape.clone(),
            data: gradient.to_vec(),
        });
    }
}

/// Whether a lesson can tell the gradient with respect to this site: a value with a row for each position, on the way from the
/// embedding to the logits, which the loss makes and forgets in chunks.
pub fn is_differentiated(site: Site) -> bool {
    use BlockSite::{Pattern, Scores};
    match site {
        Site::Embed | Site::PosEmbed | Site::LnFinal => true,
        Site::Block { site, .. } => !matches!(site, Scores | Pattern),
        _ => false,
    }
}

/// The losses of the text `ids [T]`, and the gradients of their mean with respect to all parameters and to the sites that are
/// `wanted`.
///
/// # Panics
/// With fewer than 2 ids, when the network is a bare encoder, or when parameters stay in their file.
pub fn learn(model: &Model, pool: &Pool, ids: &[u32], wanted: &dyn Fn(Site) -> bool) -> Lesson {
    let buffers = Buffers::new();
    let run = Run::new(&model.parameters, pool, &buffers);
    let mut gradients = Gradients::zeros(model.parameters.layout());
    let mut keeper = Keeper {
        wanted,
        kept: Vec::new(),
    };
    backward(model, run, ids, Some(&mut keeper), &mut gradients);
    // The pass goes backwards, and so come the gradients.
    keeper.kept.reverse();
    Lesson {
        losses: losses(model, run, ids),
        sites: keeper.kept,
        gradients,
    }
}

/// The gradient of each named parameter of `model`, in the order of the way through it. A table that both embeds and
/// unembeds is named once.
pub fn by_weight(model: &Model, gradients: &Gradients) -> Vec<WeightGradient> {
    let network = &model.network;
    let tied = network
        .unembed()
        .is_some_and(|head| head.is_tied_to(network.weight(WeightName::Embed)));
    WeightName::all(network.dimensions().n_layers)
        .filter(|&name| !(tied && name == WeightName::Unembed))
        .filter_map(|name| Some(in_little(name, network.weight(name)?, gradients)))
        .collect()
}

fn in_little(name: WeightName, view: WeightView, gradients: &Gradients) -> WeightGradient {
    let values = gradients.get(view.param);
    let (mut squares, mut largest, mut value) = (0.0, [0, 0], 0.0f32);
    for r in 0..view.rows {
        for c in 0..view.cols {
            let g = values[view.place(r, c)];
            squares += f64::from(g) * f64::from(g);
            if g.abs() > value.abs() {
                (largest, value) = ([r, c], g);
            }
        }
    }
    WeightGradient {
        name,
        shape: [view.rows, view.cols],
        norm: squares.sqrt(),
        largest,
        value,
    }
}

/// `count` steps over the text `ids [T]`, with the optimiser of `options` and a constant learning rate. Watched is the element
/// `at` of the parameter at `view`. Panics as [`learn`], and where there is no such element.
pub fn steps(
    model: &Model,
    pool: &Pool,
    ids: &[u32],
    (view, [r, c]): (WeightView, [usize; 2]),
    options: &Options,
    count: usize,
) -> Steps {
    assert!(r < view.rows && c < view.cols, "({r}, {c}) of {view:?}");
    let place = view.param.offset() + view.place(r, c);
    let decays = decay_at(&model.parameters, place, options);
    let mut parameters = model.parameters.clone();
    let mut gradients = Gradients::zeros(parameters.layout());
    let mut optimizer = Optimizer::new(parameters.layout().len());
    let (buffers, mut steps) = (Buffers::new(), Vec::new());
    for _ in 0..count {
        let run = Run::new(&parameters, pool, &buffers);
        let loss = backward(model, run, ids, None, &mut gradients);
        let gradient = gradients.arena()[place];
        let [before, m, v] = [
            &parameters.arena()[place],
            &optimizer.m[place],
            &optimizer.v[place],
        ]
        .map(|number| *number);
        let rate = options.learning_rate;
        let grad_norm = optimizer.step(pool, &mut parameters, &mut gradients, options, rate);
        let change = Change {
            moments_before: [m, v],
            moments: [optimizer.m[place], optimizer.v[place]],
            after: parameters.arena()[place],
            ..Change::of(before, gradient)
        };
        steps.push(Step {
            loss,
            grad_norm,
            scale: clipping(grad_norm, options.clip),
            change: change.explained(options, decays, optimizer.step),
        });
    }
    let run = Run::new(&parameters, pool, &buffers);
    Steps {
        steps,
        losses: losses(model, run, ids),
    }
}

/// λ of the element at `place` of the arena.
fn decay_at(parameters: &Parameters, place: usize, options: &Options) -> f64 {
    let group = parameters
        .decay_groups()
        .find(|(range, _)| range.contains(&place));
    let decays = group.is_some_and(|(_, decays)| decays);
    if decays {
        f64::from(options.weight_decay)
    } else {
        0.0
    }
}

impl Change {
    fn of(before: f32, gradient: f32) -> Self {
        Self {
            before,
            gradient,
            moments_before: [0.0; 2],
            moments: [0.0; 2],
            corrected: [0.0; 2],
            decay: 0.0,
            update: 0.0,
            after: before,
        }
    }

    /// With the terms of step number `step`, from 1, made from the moments as the optimiser has them.
    fn explained(self, options: &Options, weight_decay: f64, step: u64) -> Self {
        let power = step as i32;
        let [m, v] = self.moments.map(f64::from);
        let m_hat = m / (1.0 - f64::from(options.beta1).powi(power));
        let v_hat = v / (1.0 - f64::from(options.beta2).powi(power));
        let rate = options.learning_rate;
        Self {
            corrected: [m_hat, v_hat],
            decay: rate * weight_decay * f64::from(self.before),
            update: rate * m_hat / (v_hat.sqrt() + f64::from(options.eps)),
            ..self
        }
    }
}

/// Forward and backward: the mean loss.
fn backward<'a>(
    model: &'a Model,
    run: Run<'a>,
    ids: &[u32],
    keeper: Option<&'a mut Keeper<'_>>,
    gradients: &mut Gradients,
) -> f64 {
    let mut tape = Tape::new(false);
    let (x, y) = split(ids);
    let mode = Mode::Training {
        tape: &mut tape,
        dropout: 0.0,
        key: 0,
    };
    let mut pass = Pass::new(run, 1, x.len(), mode);
    if let Some(keeper) = keeper {
        pass = pass.with_hook(keeper);
    }
    gradient(model, pass, [x, y], 1, gradients) / x.len() as f64
}

/// The loss at each position that has a target.
fn losses(model: &Model, run: Run<'_>, ids: &[u32]) -> Vec<f32> {
    let (x, y) = split(ids);
    let mut pass = Pass::new(run, 1, x.len(), Mode::Inference);
    let last = model.network.residual(&mut pass, x);
    let head = model.head();
    let normed = head.normed(&mut pass, &last);
    loss::each(run, &head.linear, normed.tensor(), y)
        .data()
        .to_vec()
}

/// What is read, and what follows each of it.
fn split(ids: &[u32]) -> (&[u32], &[u32]) {
    assert!(ids.len() > 1, "a token and the one that follows it");
    (&ids[..ids.len() - 1], &ids[1..])
}
