//! A run goes on bit for bit, whatever stopped it.

use std::fs;
use std::path::Path;

use glassformer_tensor::Pool;
use glassformer_train::checkpoint::Checkpoints;
use glassformer_train::setup::{self, is_run};
use glassformer_train::{Options, Outcome, TrainError, metrics};

use crate::runs::{Place, assert_same, options, resume, run, run_with};

#[test]
fn interrupted_at_any_step_is_undisturbed() {
    for dropout in [0.0, 0.25] {
        let place = Place::new();
        let options = Options {
            dropout,
            accumulate: 2,
            ..options()
        };
        let whole = place.undisturbed("whole", options.clone());
        for (n, stops) in [
            &[0][..],
            &[1],
            &[9],
            &[10],
            &[25],
            &[39],
            &[2, 3, 17, 20, 31],
        ]
        .iter()
        .enumerate()
        {
            let name = format!("run-{n}");
            let folder = place.path(&name);
            let mut trainer = place.start(&name, options.clone());
            for &stop in *stops {
                let outcome = run(&mut trainer, &folder, stop).unwrap();
                assert_eq!(
                    outcome,
                    Outcome::Stopped(Checkpoints::of(&folder).path(stop))
                );
                let ready = place.resume(&name);
                assert_eq!(ready.notes, Vec::<String>::new());
                assert_same(&ready.trainer, &trainer);
                trainer = ready.trainer;
            }
            assert_eq!(
                run(&mut trainer, &folder, u64::MAX).unwrap(),
                Outcome::Finished
            );
            assert_same(&trainer, &whole);
            // What was saved at the end is what stands in memory, and there is nothing more to do.
            let mut again = place.resume(&name).trainer;
            assert_same(&again, &whole);
            assert_eq!(
                run(&mut again, &folder, u64::MAX).unwrap(),
                Outcome::Finished
            );
            assert_same(&again, &whole);
        }
    }
}

#[test]
fn two_threads_go_on_bit_for_bit_too() {
    let place = Place::new();
    let options = Options {
        batch_size: 32,
        dropout: 0.1,
        ..options()
    };
    let pool = Pool::new(2);
    let (mut whole, mut trainer) = (
        place.start("whole", options.clone()),
        place.start("run", options),
    );
    run_with(&mut whole, &place.path("whole"), u64::MAX, &pool).unwrap();
    run_with(&mut trainer, &place.path("run"), 13, &pool).unwrap();
    let mut trainer = place.resume("run").trainer;
    run_with(&mut trainer, &place.path("run"), u64::MAX, &pool).unwrap();
    assert_same(&trainer, &whole);
}

/// The seed decides: another one gives another run, the same one the same.
#[test]
fn a_run_is_its_options() {
    let place = Place::new();
    let a = place.undisturbed("a", options());
    assert_same(&a, &place.undisturbed("b", options()));
    let c = place.undisturbed(
        "c",
        Options {
            seed: 1,
            ..options()
        },
    );
    assert_ne!(a.model.parameters.arena(), c.model.parameters.arena());
}

#[test]
fn more_steps_can_be_asked_for() {
    let place = Place::new();
    place.undisturbed("run", options());
    let folder = place.path("run");
    let more = |options: &mut Options| options.steps = 50;
    let mut trainer = setup::resume(&folder, more, None, &Pool::single(), &|_| ())
        .unwrap()
        .trainer;
    assert_eq!(trainer.progress.step, 40);
    assert_eq!(
        run(&mut trainer, &folder, u64::MAX).unwrap(),
        Outcome::Finished
    );
    assert_eq!(place.resume("run").trainer.progress.step, 50);
}

/// Recomputation changes no bit, so a run may turn it on and off on its way.
#[test]
fn recomputing_can_change_on_the_way() {
    let place = Place::new();
    let options = Options {
        n_layers: 3,
        dropout: 0.1,
        ..options()
    };
    let whole = place.undisturbed("whole", options.clone());
    let folder = place.path("run");
    run(&mut place.start("run", options), &folder, 13).unwrap();
    for (recompute, stop) in [(true, 21), (false, u64::MAX)] {
        let change = |options: &mut Options| options.recompute = recompute;
        let mut ready = setup::resume(&folder, change, None, &Pool::single(), &|_| ()).unwrap();
        run(&mut ready.trainer, &folder, stop).unwrap();
        // The next resume takes it from run.json.
        let again = place.resume("run").trainer;
        assert_eq!(again.options.recompute, recompute);
    }
    assert_same(&place.resume("run").trainer, &whole);
}

/// `run.json` of a version that did not know an option.
#[test]
fn an_older_run_goes_on() {
    let place = Place::new();
    run(&mut place.start("run", options()), &place.path("run"), 4).unwrap();
    let path = place.path("run").join("run.json");
    let mut request: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let stored = request["options"].as_object_mut().unwrap();
    assert!(stored.remove("recompute").is_some() && stored.remove("precision").is_some());
    fs::write(&path, request.to_string()).unwrap();
    let options = place.resume("run").trainer.options;
    assert_eq!(
        (options.recompute, options.precision),
        (false, glassformer_train::Compute::F32)
    );
}

/// What is done to a checkpoint's folder.
type Damage = fn(&Path);

/// Ways in which a checkpoint can be torn.
const DAMAGES: [(&str, Damage); 7] = [
    ("half the model", |folder| {
        halve(&folder.join("model.safetensors"));
    }),
    ("half the moments", |folder| {
        halve(&folder.join("optimizer.safetensors"));
    }),
    ("empty moments", |folder| {
        fs::write(folder.join("optimizer.safetensors"), []).unwrap();
    }),
    ("half the progress", |folder| {
        halve(&folder.join("trainer.json"));
    }),
    ("no progress", |folder| {
        fs::remove_file(folder.join("trainer.json")).unwrap();
    }),
    ("no config", |folder| {
        fs::remove_file(folder.join("config.json")).unwrap();
    }),
    ("nothing", |folder| {
        fs::remove_dir_all(folder).unwrap();
        fs::create_dir(folder).unwrap();
    }),
];

fn halve(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_made_again() {
    for (what, damage) in DAMAGES {
        let place = Place::new();
        let whole = place.undisturbed("run", options());
        let folder = place.path("run");
        let checkpoints = Checkpoints::of(&folder);
        damage(&checkpoints.path(40));
        let mut ready = place.resume("run");
        assert_eq!(ready.trainer.progress.step, 30, "{what}");
        let [note] = ready.notes.as_slice() else {
            panic!("{what}: {:?}", ready.notes)
        };
        assert!(
            note.contains("step-000040") && !note.contains('\n'),
            "{what}: {note}"
        );
        run(&mut ready.trainer, &folder, u64::MAX).unwrap();
        assert_same(&ready.trainer, &whole);
        let again = place.resume("run");
        assert_eq!(
            (again.notes.len(), again.trainer.progress.step),
            (0, 40),
            "{what}: {:?}",
            again.notes
        );
        assert_same(&again.trainer, &whole);
    }
}

#[test]
fn when_all_checkpoints_are_damaged_it_says_so() {
    let place = Place::new();
    place.undisturbed("run", options());
    for (_, path) in Checkpoints::of(&place.path("run")).list() {
        halve(&path.join("model.safetensors"));
    }
    let message = resume(&place.path("run"))
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("step-000040") && !message.contains('\n'),
        "{message}"
    );
}

/// What a crash in the middle of writing leaves behind, and what others put there.
#[test]
fn leftovers_are_ignored() {
    let place = Place::new();
    let mut trainer = place.start("run", options());
    let folder = place.path("run");
    run(&mut trainer, &folder, 15).unwrap();
    let checkpoints = folder.join("checkpoints");
    let half = checkpoints.join(".step-000020.tmp");
    fs::create_dir(&half).unwrap();
    fs::write(half.join("model.safetensors"), "half of it").unwrap();
    fs::create_dir(checkpoints.join(".step-000015.tmp")).unwrap();
    fs::create_dir(checkpoints.join("step-by-step")).unwrap();
    fs::write(checkpoints.join("notes.txt"), "mine").unwrap();
    let mut ready = place.resume("run");
    assert_eq!((ready.trainer.progress.step, ready.notes.len()), (15, 0));
    run(&mut ready.trainer, &folder, u64::MAX).unwrap();
    assert_same(&ready.trainer, &place.undisturbed("whole", options()));
    assert!(!half.exists(), "its place was taken by the whole one");
    assert!(checkpoints.join("notes.txt").exists() && checkpoints.join("step-by-step").exists());
}

/// The newest two and the best are kept, each a model by itself.
#[test]
fn old_checkpoints_go() {
    let place = Place::new();
    let whole = place.undisturbed(
        "run",
        Options {
            eval_every: 5,
            ..options()
        },
    );
    let checkpoints = Checkpoints::of(&place.path("run"));
    let steps: Vec<u64> = checkpoints
        .list()
        .into_iter()
        .map(|(step, _)| step)
        .collect();
    let best = whole.progress.best_step;
    assert!(
        steps.ends_with(&[35, 40]) && steps.contains(&best) && steps.len() <= 3,
        "{steps:?}, best {best}"
    );
    assert_eq!(checkpoints.best(), Some(checkpoints.path(best)));
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        assert!(checkpoints.path(best).join(file).exists(), "{file}");
    }
}

#[test]
fn a_save_that_fails_leaves_the_checkpoint_before() {
    let place = Place::new();
    let mut trainer = place.start("run", options());
    let folder = place.path("run");
    // A file where the folder being written should go: not even root can create that.
    let obstacle = folder.join("checkpoints").join(".step-000030.tmp");
    fs::write(&obstacle, "in the way").unwrap();
    let error = run(&mut trainer, &folder, u64::MAX).unwrap_err();
    assert!(
        matches!(&error, TrainError::Save { path, .. } if path.ends_with("step-000030")),
        "{error}"
    );
    assert!(
        error.to_string().contains("--resume") && !error.to_string().contains('\n'),
        "{error}"
    );
    let mut ready = place.resume("run");
    assert_eq!((ready.trainer.progress.step, ready.notes.len()), (20, 0));
    fs::remove_file(&obstacle).unwrap_or_default();
    run(&mut ready.trainer, &folder, u64::MAX).unwrap();
    assert_same(&ready.trainer, &place.undisturbed("whole", options()));
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    let place = Place::new();
    fs::write(place.path("file"), "no folder").unwrap();
    for folder in [place.path("file"), place.path("file").join("below")] {
        let result = setup::start(
            &folder,
            place.request(options()),
            None,
            &Pool::single(),
            &|_| (),
        );
        let message = result.map(|_| ()).unwrap_err().to_string();
        assert!(
            message.contains("file") && !message.contains('\n'),
            "{message}"
        );
    }
    let mut trainer = place.start("run", options());
    let folder = place.path("run");
    fs::remove_dir_all(folder.join("checkpoints")).unwrap();
    fs::write(folder.join("checkpoints"), "no folder").unwrap();
    let error = run(&mut trainer, &folder, 5).unwrap_err();
    assert!(matches!(error, TrainError::Save { .. }), "{error}");
}

/// One line for each step that has one, as if nothing had happened.
#[test]
fn metrics_have_each_step_once() {
    let place = Place::new();
    place.undisturbed("whole", options());
    let steps = |name: &str| {
        metrics::read(&place.path(name))
            .iter()
            .map(|m| m.step)
            .collect::<Vec<_>>()
    };
    let expected: Vec<u64> = (1..=40)
        .filter(|step| step % 4 == 0 || step % 10 == 0)
        .collect();
    assert_eq!(steps("whole"), expected);
    let folder = place.path("run");
    let mut trainer = place.start("run", options());
    for stop in [3, 4, 10, 26] {
        run(&mut trainer, &folder, stop).unwrap();
        trainer = place.resume("run").trainer;
    }
    run(&mut trainer, &folder, u64::MAX).unwrap();
    assert_eq!(steps("run"), expected);
    // Back to step 30, with a last line that was not written whole.
    fs::remove_dir_all(Checkpoints::of(&folder).path(40)).unwrap();
    let log = folder.join("metrics.jsonl");
    fs::write(
        &log,
        fs::read_to_string(&log).unwrap() + "{\"step\":41,\"train_lo",
    )
    .unwrap();
    let mut trainer = place.resume("run").trainer;
    assert_eq!(trainer.progress.step, 30);
    run(&mut trainer, &folder, u64::MAX).unwrap();
    assert_eq!(steps("run"), expected);
    let whole: Vec<_> = metrics::read(&place.path("whole"))
        .into_iter()
        .map(|m| m.val_loss)
        .collect();
    let resumed: Vec<_> = metrics::read(&folder)
        .into_iter()
        .map(|m| m.val_loss)
        .collect();
    assert_eq!(whole, resumed);
}

#[test]
fn runs_are_not_mixed_up() {
    let place = Place::new();
    assert!(matches!(
        resume(&place.path("nothing")),
        Err(TrainError::NoRun { .. })
    ));
    place.start("run", options());
    assert!(is_run(&place.path("run")));
    let again = setup::start(
        &place.path("run"),
        place.request(options()),
        None,
        &Pool::single(),
        &|_| (),
    );
    assert!(matches!(again, Err(TrainError::RunExists { .. })));
    fs::write(place.path("run").join("run.json"), "{").unwrap();
    assert!(resume(&place.path("run")).is_err());
}

/// A start clears away what a start before it left unfinished, and nothing that is not its own.
#[test]
fn a_start_removes_nobodys_work() {
    let place = Place::new();
    let start = |name: &str| {
        setup::start(
            &place.path(name),
            place.request(options()),
            None,
            &Pool::single(),
            &|_| (),
        )
    };
    let theirs = place.path("run").join("checkpoints").join("epoch-3");
    fs::create_dir_all(&theirs).unwrap();
    fs::write(theirs.join("weights.bin"), "months of work").unwrap();
    let unfinished = place.path("run").join("checkpoints").join("step-000000");
    fs::create_dir(&unfinished).unwrap();
    let mut trainer = start("run").unwrap().trainer;
    run(&mut trainer, &place.path("run"), u64::MAX).unwrap();
    assert!(theirs.join("weights.bin").exists());
    assert_same(&trainer, &place.resume("run").trainer);
    // Without its `run.json` a run cannot be resumed, but its checkpoints are models still.
    fs::remove_file(place.path("run").join("run.json")).unwrap();
    assert!(matches!(start("run"), Err(TrainError::RunExists { .. })));
    assert_eq!(Checkpoints::of(&place.path("run")).list().len(), 2);
}

/// A rate at which nothing is learned: every evaluation after the first is no better.
#[test]
fn patience_ends_a_run_that_gets_no_better() {
    let place = Place::new();
    let options = Options {
        learning_rate: 0.0,
        min_learning_rate: 0.0,
        patience: 2,
        keep: 3,
        steps: 100,
        ..options()
    };
    let folder = place.path("run");
    let mut trainer = place.start("run", options);
    // Interrupted between the two, so that the count must be remembered.
    run(&mut trainer, &folder, 25).unwrap();
    let mut trainer = place.resume("run").trainer;
    let outcome = run(&mut trainer, &folder, u64::MAX).unwrap();
    assert_eq!(outcome, Outcome::NoBetter);
    assert_eq!(
        (trainer.progress.step, trainer.progress.best_step),
        (30, 10)
    );
    // The newest three and the best are kept.
    let steps = || {
        let list = Checkpoints::of(&folder).list();
        list.into_iter().map(|(step, _)| step).collect::<Vec<_>>()
    };
    assert_eq!(steps(), [10, 20, 25, 30]);
    // It stays ended, unless more patience is asked for.
    let mut again = place.resume("run").trainer;
    assert_eq!(
        run(&mut again, &folder, u64::MAX).unwrap(),
        Outcome::NoBetter
    );
    assert_eq!(again.progress.step, 30);
    let more = |options: &mut Options| options.patience = 4;
    let mut more = setup::resume(&folder, more, None, &Pool::single(), &|_| ())
        .unwrap()
        .trainer;
    assert_eq!(
        run(&mut more, &folder, u64::MAX).unwrap(),
        Outcome::NoBetter
    );
    assert_eq!(more.progress.step, 50);
}
