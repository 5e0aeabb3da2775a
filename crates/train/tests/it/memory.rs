//! What a run says that it needs, and what it takes; what a step allocates once it has run.

use glassformer_kernels::product::Precision;
use glassformer_model::{Gradients, Mode, Model, PackedWeights, Pass, Tape, families::gpt2};
use glassformer_tensor::{Buffers, Pool};
use glassformer_train::memory::{self, Needs};
use glassformer_train::{Compute, Optimizer, Options, Workspace, gradient, setup};

use crate::runs::{self, Place};

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
    tape: Tape,
    buffers: Buffers,
    pool: Pool,
    tokens: Vec<u32>,
}

impl Work {
    fn new(options: Options, vocab: usize, threads: usize) -> Self {
        let mut model = gpt2::new(&options.config(vocab), 7, &Pool::single());
        let pool = Pool::new(threads);
        setup::prepare(&mut model, &options, &pool);
        let n = options.batch_size * options.n_ctx;
        Self {
            gradients: Gradients::zeros(model.parameters.layout()),
            optimizer: Optimizer::new(model.parameters.arena().len()),
            tape: Tape::new(options.recompute),
            buffers: Buffers::new(),
            pool,
            tokens: (0..n).map(|i| (i * i % vocab) as u32).collect(),
            options,
            model,
        }
    }

    fn step(&mut self) {
        let (batch, n_ctx) = (self.options.batch_size, self.options.n_ctx);
        let mode = Mode::Training {
            tape: &mut self.tape,
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
        self.optimizer.step(
            &self.pool,
            &mut self.model,
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
        for (precision, dropout, recompute) in [
            (Compute::F32, 0.0, false),
            (Compute::Bf16, 0.0, false),
            (Compute::Bf16, 0.1, false),
            (Compute::F32, 0.1, true),
            (Compute::Bf16, 0.0, true),
            (Compute::Bf16, 0.1, true),
        ] {
            let options = Options {
                recompute,
                ..options(precision, dropout, shape)
            };
            let mut work = Work::new(options, vocab, 2);
            work.step();
            let needs = Needs::of(&work.options, &work.model.dimensions());
            let arenas = 16 * work.model.parameters.arena().len() as u64;
            assert_eq!(needs.arenas, arenas, "{shape:?}");
            let operands = work.model.packed.as_ref();
            let operands = operands.map_or(0, PackedWeights::bytes_in_training);
            let taken = operands + work.buffers.bytes();
            let ratio = needs.work as f64 / taken as f64;
            let told = format!(
                "{shape:?} {precision:?} dropout {dropout} recompute {recompute}: {ratio:.2} of what was taken"
            );
            assert!((0.9..1.35).contains(&ratio), "{told}");
        }
    }
}

#[test]
fn what_cannot_fit_is_refused() {
    let options = options(Compute::F32, 0.0, [8, 64, 64, 8]);
    let dimensions = options.dimensions(VOCAB);
    let recomputing = Options {
        recompute: true,
        ..options.clone()
    };
    let most = Needs::of(&options, &dimensions).total();
    let least = Needs::of(&recomputing, &dimensions).total();
    assert!(least < most);
    let check = |options, available| memory::check(options, &dimensions, available);
    assert!(check(&options, None).is_ok() && check(&options, Some(most)).is_ok());
    assert!(check(&recomputing, Some(least)).is_ok());
    let refused = |options, available| {
        let error = check(options, Some(available)).unwrap_err().to_string();
        assert!(
            error.contains("--batch-size") && !error.contains('\n'),
            "{error}"
        );
        error
    };
    // Recomputing is proposed where it would make the run fit, and says what it would need.
    for available in [most - 1, least] {
        let error = refused(&options, available);
        let proposed = format!("with --recompute it needs {}", memory::gigabytes(least));
        assert!(error.contains(&proposed), "{error}");
    }
    for error in [
        refused(&options, least - 1),
        refused(&recomputing, least - 1),
    ] {
        assert!(!error.contains("--recompute"), "{error}");
    }
    let huge = Options {
        n_layers: 1 << 24,
        d_model: 1 << 24,
        ..options
    };
    let needs = Needs::of(&huge, &huge.dimensions(1 << 24));
    assert_eq!(needs.total(), u64::MAX);
}

/// Every way that a step can go: precision, dropout, recomputing.
fn ways() -> impl Iterator<Item = (Compute, f32, bool)> {
    [Compute::F32, Compute::Bf16].into_iter().flat_map(|p| {
        [0.0, 0.1]
            .into_iter()
            .flat_map(move |dropout| [false, true].map(|recompute| (p, dropout, recompute)))
    })
}

#[test]
fn a_step_allocates_nothing_once_it_has_run() {
    for (precision, dropout, recompute) in ways() {
        let options = Options {
            recompute,
            ..options(precision, dropout, [3, 64, 64, 4])
        };
        let mut work = Work::new(options, VOCAB, 1);
        work.step();
        let before = work.buffers.bytes();
        let seen = allocation_counter::measure(|| work.step());
        let what = format!("{precision:?}, dropout {dropout}, recompute {recompute}");
        assert_eq!(work.buffers.bytes(), before, "{what}: no new buffer");
        assert_eq!(seen.count_total, 0, "{what}: {seen:?}");
    }
}

/// The loop's own step: with its batches, accumulation, schedule and optimiser.
#[test]
fn a_step_of_the_loop_allocates_nothing_once_it_has_run() {
    for recompute in [false, true] {
        let place = Place::new();
        let options = Options {
            accumulate: 2,
            dropout: 0.1,
            recompute,
            ..runs::options()
        };
        let mut trainer = place.start("run", options);
        let (pool, mut workspace) = (Pool::single(), Workspace::of(&trainer));
        trainer.step(&pool, &mut workspace).unwrap();
        let seen = allocation_counter::measure(|| {
            trainer.step(&pool, &mut workspace).unwrap();
        });
        assert_eq!(seen.count_total, 0, "recompute {recompute}: {seen:?}");
    }
}

/// Parameters after three steps.
fn after_three_steps(options: &Options, threads: usize) -> Vec<f32> {
    let mut work = Work::new(options.clone(), VOCAB, threads);
    (0..3).for_each(|_| work.step());
    work.model.parameters.arena().to_vec()
}

#[test]
fn recomputing_changes_no_bit() {
    for (precision, dropout, recompute) in ways() {
        if recompute {
            continue;
        }
        let options = options(precision, dropout, [3, 96, 64, 5]);
        let recomputing = Options {
            recompute: true,
            ..options.clone()
        };
        for threads in [1, 2, 3] {
            let kept = after_three_steps(&options, threads);
            let again = after_three_steps(&recomputing, threads);
            assert!(kept.iter().all(|x| x.is_finite()));
            let differ = kept
                .iter()
                .zip(&again)
                .filter(|(a, b)| a.to_bits() != b.to_bits());
            assert_eq!(
                differ.count(),
                0,
                "{precision:?}, dropout {dropout}, {threads} threads"
            );
        }
    }
}

/// Each block more costs its input instead of all its activations.
#[test]
fn recomputing_keeps_only_the_inputs_of_blocks() {
    let taken = |layers, dropout, recompute| {
        let options = Options {
            recompute,
            ..options(Compute::Bf16, dropout, [layers, 64, 64, 8])
        };
        let mut work = Work::new(options, VOCAB, 2);
        work.step();
        work.buffers.bytes()
    };
    let residual = 4 * 64 * 64 * 8;
    for dropout in [0.0, 0.1] {
        let each =
            |recompute| (taken(9, dropout, recompute) - taken(3, dropout, recompute)) as f64 / 6.0;
        assert_eq!(each(true), f64::from(residual), "dropout {dropout}");
        assert!(
            each(false) > 7.0 * f64::from(residual),
            "dropout {dropout}: {} is little",
            each(false)
        );
        let (kept, again) = (taken(9, dropout, false), taken(9, dropout, true));
        assert!(2 * again < kept, "dropout {dropout}: {again} of {kept}");
    }
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
                tape: &mut work.tape,
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
