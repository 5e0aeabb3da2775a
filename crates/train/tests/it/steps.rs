//! One step of training: what is averaged, what diverges, and going on from a model that exists.

use glassformer_model::{Mode, Pass};
use glassformer_tensor::{Buffers, Pool};
use glassformer_train::checkpoint::Checkpoints;
use glassformer_train::{Options, Outcome, StepReport, TrainError, Trainer, Workspace, setup};

use crate::runs::{Place, assert_same, options, run};

fn steps(trainer: &mut Trainer, n: usize) -> Vec<StepReport> {
    let (pool, mut workspace) = (Pool::single(), Workspace::of(trainer));
    (0..n)
        .map(|_| trainer.step(&pool, &mut workspace).unwrap())
        .collect()
}

/// Mean loss of windows `x, y [B,T]` from plain logits, in `f64`.
fn naive_loss(trainer: &Trainer, n_ctx: usize, [x, y]: [&[u32]; 2]) -> f64 {
    let (pool, buffers) = (Pool::single(), Buffers::new());
    let mut total = 0.0;
    for (x, y) in x.chunks(n_ctx).zip(y.chunks(n_ctx)) {
        let mut pass = Pass::new(
            trainer.model.run(&pool, &buffers),
            1,
            n_ctx,
            Mode::Inference,
        );
        let logits = trainer.model.logits(&mut pass, x);
        for (t, &target) in y.iter().enumerate() {
            let row: Vec<f64> = logits
                .tensor()
                .row(t)
                .iter()
                .map(|&x| f64::from(x))
                .collect();
            total += row.iter().map(|x| x.exp()).sum::<f64>().ln() - row[target as usize];
        }
    }
    total / x.len() as f64
}

#[test]
fn the_loss_of_a_step_is_that_of_its_batch() {
    let place = Place::new();
    let mut trainer = place.start("run", options());
    let mut batch = trainer.material.room();
    for step in 0..3 {
        trainer.material.train(step, &mut batch);
        let expected = naive_loss(&trainer, 7, batch.tokens());
        let report = steps(&mut trainer, 1)[0];
        assert!(
            (report.loss - expected).abs() < 1e-5,
            "step {step}: {}, expected {expected}",
            report.loss
        );
    }
    // The validation loss, over all its windows.
    let (mut total, mut count) = (0.0, 0);
    for index in 0..trainer.material.validation_len() {
        trainer.material.validation(index, &mut batch);
        let tokens = batch.read();
        total += naive_loss(&trainer, 7, batch.tokens()) * tokens as f64;
        count += tokens;
    }
    let actual = trainer.evaluate(&Pool::single(), &Buffers::new());
    assert!((actual - total / f64::from(count as u32)).abs() < 1e-5);
}

/// Two batches of 2 windows are the same windows as one of 4: the same losses, norms and parameters.
#[test]
fn accumulated_batches_are_one_batch() {
    let place = Place::new();
    let mut once = place.start(
        "once",
        Options {
            batch_size: 4,
            ..options()
        },
    );
    let mut twice = place.start(
        "twice",
        Options {
            batch_size: 2,
            accumulate: 2,
            ..options()
        },
    );
    for (a, b) in steps(&mut once, 12).into_iter().zip(steps(&mut twice, 12)) {
        assert!(
            (a.loss - b.loss).abs() < 1e-4 && (a.grad_norm - b.grad_norm).abs() < 1e-3,
            "{a:?}, {b:?}"
        );
    }
}

#[test]
fn a_run_that_diverges_is_told_and_leaves_a_sound_checkpoint() {
    for learning_rate in [1e6, 1e30] {
        let place = Place::new();
        let options = Options {
            learning_rate,
            clip: 0.0,
            warmup: 0,
            eval_every: 1,
            sample_tokens: 0,
            ..options()
        };
        let mut trainer = place.start("run", options);
        let folder = place.path("run");
        let error = run(&mut trainer, &folder, u64::MAX).unwrap_err();
        assert!(
            matches!(error, TrainError::Diverged { step: 1.., .. }),
            "{error}"
        );
        assert!(
            error.to_string().contains("--resume") && !error.to_string().contains('\n'),
            "{error}"
        );
        // "Go back with --resume and a lower --learning-rate" must be possible.
        let lower = |options: &mut Options| {
            options.learning_rate = 1e-3;
            options.steps = 3;
        };
        let mut ready = setup::resume(&folder, lower, None, &Pool::single(), &|_| ()).unwrap();
        assert!(
            ready
                .trainer
                .model
                .parameters
                .arena()
                .iter()
                .all(|x| x.is_finite()),
            "rate {learning_rate}"
        );
        // At the smaller rate some steps went by before numbers overflowed: their checkpoints are numbers, no more.
        if learning_rate > 1e6 {
            assert_eq!(ready.trainer.progress.step, 0);
            assert_eq!(
                run(&mut ready.trainer, &folder, u64::MAX).unwrap(),
                Outcome::Finished
            );
        }
    }
}

/// Fine-tuning: the sizes are the model's, the windows are the options', and the beginning is a checkpoint.
#[test]
fn goes_on_from_a_model_that_exists() {
    let place = Place::new();
    let given = place.undisturbed("given", options());
    let parameters = given.model.parameters.arena().to_vec();
    // A shorter context than the model's, in batches that the model's context does not divide.
    let tuned = Options {
        n_ctx: 5,
        batch_size: 3,
        d_model: 96,
        n_layers: 9,
        steps: 12,
        ..options()
    };
    let init = |trainer: &Trainer| {
        let path = Checkpoints::of(&place.path("given")).path(trainer.progress.step);
        let text = std::fs::read_to_string(path.join("config.json")).unwrap();
        let weights =
            glassformer_weights::TensorFile::open(&path.join("model.safetensors")).unwrap();
        let model = glassformer_model::families::load(&text, &weights, "given").unwrap();
        Some((model, trainer.tokenizers.source.clone()))
    };
    let start = |name: &str| {
        let request = place.request(tuned.clone());
        let ready = setup::start(
            &place.path(name),
            request,
            init(&given),
            &Pool::single(),
            &|_| (),
        );
        ready.unwrap().trainer
    };
    let mut trainer = start("tuned");
    assert_eq!(trainer.model.parameters.arena(), parameters);
    let Options {
        n_layers,
        n_heads,
        d_model,
        d_ff,
        n_ctx,
        ..
    } = trainer.options;
    assert_eq!(
        (n_layers, n_heads, d_model, d_ff, n_ctx),
        (1, 2, 6, Some(11), 5)
    );
    let mut batch = trainer.material.room();
    trainer.material.train(0, &mut batch);
    let expected = naive_loss(&trainer, 5, batch.tokens());
    let report = steps(&mut trainer, 1)[0];
    assert!(
        (report.loss - expected).abs() < 1e-5,
        "{}, expected {expected}",
        report.loss
    );

    let mut whole = start("whole");
    run(&mut whole, &place.path("whole"), u64::MAX).unwrap();
    for stop in [0, 7] {
        let name = format!("stopped-{stop}");
        run(&mut start(&name), &place.path(&name), stop).unwrap();
        let mut resumed = place.resume(&name).trainer;
        run(&mut resumed, &place.path(&name), u64::MAX).unwrap();
        assert_same(&resumed, &whole);
    }
}
