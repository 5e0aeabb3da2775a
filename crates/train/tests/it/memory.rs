//! What a run says that it needs, and what it takes; what a step allocates once it has run.

use glassformer_kernels::product::Precision;
use glassformer_model::{Gradients, Mode, Model, Pass, families::gpt2};
use glassformer_tensor::{Buffers, Pool};
use glassformer_train::memory::Needs;
use glassformer_train::{Compute, Optimizer, Options, gradient};

const VOCAB: usize = 61;

fn options(
    precision: Compute,
    dropout: f32,
    [layers, d_model, n_ctx, batch]: [usize; 4],
) -> Options {
    Options {
        n_layers: layers,
        n_heads: 4,
        d_model,
        n_ctx,
        batch_size: batch,
        dropout,
        precision,
        ..Options::preset("nano").unwrap()
    }
}

/// A model and all that a step works with.
struct Work {
    options: Options,
    model: Model,
    gradients: Gradients,
    optimizer: Optimizer,
    buffers: Buffers,
    pool: Pool,
    tokens: Vec<u32>,
}

impl Work {
    fn new(options: Options, vocab: usize, threads: usize) -> Self {
        let mut model = gpt2::new(&options.config(vocab), 7);
        model.precision = options.precision.into();
        let n = options.batch_size * options.n_ctx;
        Self {
            gradients: Gradients::zeros(model.parameters.layout()),
            optimizer: Optimizer::new(model.parameters.arena().len()),
            buffers: Buffers::new(),
            pool: Pool::new(threads),
            tokens: (0..n).map(|i| (i * i % vocab) as u32).collect(),
            options,
            model,
        }
    }

    fn step(&mut self) {
        let (batch, n_ctx) = (self.options.batch_size, self.options.n_ctx);
        let mode = Mode::Training {
            dropout: self.options.dropout,
            key: self.optimizer.step,
        };
        let pass = Pass::new(
            self.model.run(&self.pool, &self.buffers),
            batch,
            n_ctx,
            mode,
        );
        gradient(
            &self.model,
            pass,
            [&self.tokens, &self.tokens],
            1,
            &mut self.gradients,
        );
        let parameters = &mut self.model.parameters;
        self.optimizer.step(
            &self.pool,
            parameters,
            &mut self.gradients,
            &self.options,
            1e-3,
        );
    }
}

#[test]
fn the_estimate_is_near_what_is_taken() {
    for (shape, vocab) in [
        ([2, 64, 64, 8], VOCAB),
        ([4, 128, 64, 4], VOCAB),
        ([3, 96, 128, 2], 5_000),
    ] {
        for (precision, dropout) in [
            (Compute::F32, 0.0),
            (Compute::Bf16, 0.0),
            (Compute::Bf16, 0.1),
        ] {
            let options = options(precision, dropout, shape);
            let mut work = Work::new(options, vocab, 2);
            work.step();
            let needs = Needs::of(&work.options, &work.model.dimensions());
            let arenas = 16 * work.model.parameters.arena().len() as u64;
            assert_eq!(needs.arenas, arenas, "{shape:?}");
            let ratio = needs.work as f64 / work.buffers.bytes() as f64;
            let told =
                format!("{shape:?} {precision:?} dropout {dropout}: {ratio:.2} of what was taken");
            assert!((0.9..1.35).contains(&ratio), "{told}");
        }
    }
}

#[test]
fn what_cannot_fit_is_refused() {
    let options = options(Compute::F32, 0.0, [2, 64, 64, 8]);
    let needs = Needs::of(&options, &options.dimensions(VOCAB));
    assert!(needs.check(None).is_ok() && needs.check(Some(needs.total())).is_ok());
    let error = needs
        .check(Some(needs.total() - 1))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("--batch-size") && !error.contains('\n'),
        "{error}"
    );
    let huge = Options {
        n_layers: 1 << 24,
        d_model: 1 << 24,
        ..options
    };
    let needs = Needs::of(&huge, &huge.dimensions(1 << 24));
    assert_eq!(needs.total(), u64::MAX);
}

#[test]
fn a_step_takes_no_memory_once_it_has_run() {
    let mut work = Work::new(options(Compute::Bf16, 0.1, [3, 64, 64, 4]), VOCAB, 1);
    work.step();
    work.step();
    let before = work.buffers.bytes();
    let seen = allocation_counter::measure(|| work.step());
    assert_eq!(work.buffers.bytes(), before, "no new buffer");
    // What is left is the tape: boxes for its calls, lists of a few values.
    assert!(seen.bytes_max < 64 << 10, "{seen:?}");
    assert!(seen.count_total < 1_000, "{seen:?}");
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    for precision in [Compute::F32, Compute::Bf16] {
        let results = [1, 2, 3].map(|threads| {
            let mut work = Work::new(options(precision, 0.1, [2, 96, 64, 5]), VOCAB, threads);
            (0..3).for_each(|_| work.step());
            work.model.parameters.arena().to_vec()
        });
        assert!(results[0].iter().all(|x| x.is_finite()));
        assert!(
            results[0] == results[1] && results[0] == results[2],
            "{precision:?}"
        );
    }
}

#[test]
fn bf16_learns_as_f32_does() {
    let losses = [Precision::F32, Precision::Bf16].map(|precision| {
        let mut work = Work::new(options(Compute::F32, 0.0, [2, 64, 64, 8]), VOCAB, 2);
        work.model.precision = precision;
        (0..40).for_each(|_| work.step());
        let (batch, n_ctx) = (work.options.batch_size, work.options.n_ctx);
        let run = work.model.run(&work.pool, &work.buffers);
        let pass = Pass::new(
            run,
            batch,
            n_ctx,
            Mode::Training {
                dropout: 0.0,
                key: 0,
            },
        );
        let tokens: [&[u32]; 2] = [&work.tokens, &work.tokens];
        gradient(&work.model, pass, tokens, 1, &mut work.gradients) / work.tokens.len() as f64
    });
    assert!(losses[0] < 2.0, "it learned: {losses:?}");
    assert!((losses[0] - losses[1]).abs() < 0.05, "{losses:?}");
}
