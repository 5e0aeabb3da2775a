//! Runs on pairs: the same loop, another material.

use std::fs;

use glassformer_generate::greedy;
use glassformer_kernels::random;
use glassformer_tensor::{Buffers, Pool};
use glassformer_train::checkpoint::Checkpoints;
use glassformer_train::data::pairs::{PairFiles, PairTokenizers, PairsFrom};
use glassformer_train::schedule::Schedule;
use glassformer_train::setup::{self, Ready, Request};
use glassformer_train::{
    Compute, Material, Options, Outcome, TrainError, Translation, Vocabulary, Workspace, metrics,
};

use crate::runs::{Place, assert_same, run};

const WORDS: [(&str, &str); 6] = [
    ("cat", "chat"),
    ("dog", "chien"),
    ("red", "rouge"),
    ("sees", "voit"),
    ("the", "le"),
    ("house", "maison"),
];

/// Word for word.
fn translated(source: &str) -> String {
    let word = |word| {
        WORDS
            .iter()
            .find(|(english, _)| *english == word)
            .unwrap()
            .1
    };
    source.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn options() -> Options {
    Options {
        n_layers: 1,
        n_heads: 2,
        d_model: 16,
        d_ff: Some(24),
        n_ctx: 24,
        vocabulary: Vocabulary::Bpe(290),
        precision: Compute::F32,
        steps: 30,
        warmup: 10,
        eval_every: 10,
        log_every: 5,
        learning_rate: 1e-2,
        keep: 2,
        sample_tokens: 8,
        val_fraction: 0.1,
        translation: Some(Translation {
            batch_tokens: 120,
            scored: 5,
            ..Translation::default()
        }),
        ..Options::preset("translator").unwrap()
    }
}

fn request(place: &Place, options: Options) -> Request {
    let sentence = |n: u64| {
        let length = 1 + random::bits(3, n) % 4;
        let word = |i| WORDS[(random::bits(4, 10 * n + i) % 6) as usize].0;
        (0..length).map(word).collect::<Vec<_>>().join(" ")
    };
    let sources: Vec<String> = (0..900).map(sentence).collect();
    let targets: Vec<String> = sources.iter().map(|source| translated(source)).collect();
    let [source, target] = ["pairs.en", "pairs.fr"].map(|name| place.path(name));
    fs::write(&source, sources.join("\n") + "\n").unwrap();
    fs::write(&target, targets.join("\n") + "\n").unwrap();
    let train = PairFiles::Parallel { source, target };
    Request {
        corpora: Vec::new(),
        pairs: Some(PairsFrom { train, val: None }),
        ..place.request(options)
    }
}

fn start(place: &Place, name: &str, options: Options) -> Result<Ready, TrainError> {
    let request = request(place, options);
    setup::start(&place.path(name), request, None, &Pool::single(), &|_| ())
}

#[test]
fn it_learns_to_translate() {
    let place = Place::new();
    let options = Options {
        steps: 1_000,
        eval_every: 250,
        warmup: 100,
        dropout: 0.0,
        d_model: 32,
        d_ff: Some(64),
        ..options()
    };
    let mut trainer = start(&place, "run", options).unwrap().trainer;
    let folder = place.path("run");
    assert_eq!(
        run(&mut trainer, &folder, u64::MAX).unwrap(),
        Outcome::Finished
    );
    let lines = metrics::read(&folder);
    let last = lines.last().unwrap();
    // Targets are certain, so that only what smoothing asks for stays.
    assert!(last.val_loss.unwrap() < 0.3, "{last:?}");
    assert!(
        last.bleu.unwrap() >= 0.0 && last.chrf.unwrap() > 90.0,
        "{last:?}"
    );
    // The saved model, its tokenizer beside it, translates what it has not seen.
    let best = Checkpoints::of(&folder).best().unwrap();
    let tokenizer = PairTokenizers::read(&best).unwrap().source;
    let source = "sees the red house";
    let seen = fs::read_to_string(place.path("pairs.en")).unwrap();
    assert!(seen.lines().all(|line| line != source));
    let ids = tokenizer.encode_prompt(source).unwrap().ids;
    let written = greedy(&trainer.model, &Pool::single(), &[&ids], 24);
    assert_eq!(tokenizer.decode_text(&written[0]), translated(source));
}

#[test]
fn interrupted_it_goes_on_bit_for_bit() {
    let place = Place::new();
    for (n, options) in [
        options(),
        Options {
            accumulate: 2,
            schedule: Schedule::Noam,
            learning_rate: 0.5,
            recompute: true,
            translation: Some(Translation {
                batch_tokens: 90,
                separate: true,
                lowercase: true,
                attention_dropout: 0.1,
                pre_norm: true,
                ..Translation::default()
            }),
            ..options()
        },
    ]
    .into_iter()
    .enumerate()
    {
        let name = |what: &str| format!("{what}-{n}");
        let whole = place.path(&name("whole"));
        let mut undisturbed = start(&place, &name("whole"), options.clone())
            .unwrap()
            .trainer;
        run(&mut undisturbed, &whole, u64::MAX).unwrap();
        for stops in [&[0][..], &[7, 10, 29]] {
            let name = name(&format!("run-{}", stops.len()));
            let folder = place.path(&name);
            let mut trainer = start(&place, &name, options.clone()).unwrap().trainer;
            for &stop in stops {
                run(&mut trainer, &folder, stop).unwrap();
                trainer = place.resume(&name).trainer;
            }
            run(&mut trainer, &folder, u64::MAX).unwrap();
            assert_same(&trainer, &undisturbed);
            // What the run has learned from is told in the same way.
            let losses = |folder| {
                let lines = metrics::read(folder).into_iter();
                lines
                    .map(|line| (line.step, line.val_loss, line.bleu, line.chrf))
                    .collect::<Vec<_>>()
            };
            assert_eq!(losses(&folder).last(), losses(&whole).last());
        }
    }
}

/// Batches of different sizes added up weigh as their targets do: the loss is the mean over all targets.
#[test]
fn accumulated_batches_weigh_as_their_targets() {
    let place = Place::new();
    let smooth = |label_smoothing| Translation {
        batch_tokens: 70,
        label_smoothing,
        ..Translation::default()
    };
    let options = Options {
        accumulate: 3,
        dropout: 0.0,
        translation: Some(smooth(0.0)),
        ..options()
    };
    let mut trainer = start(&place, "run", options).unwrap().trainer;
    let Material::Pairs { train, .. } = &trainer.material else {
        panic!("pairs");
    };
    // The same three batches, as if they were an evaluation.
    let (mut total, mut count) = (0.0, 0);
    let mut batch = trainer.material.room();
    for index in 0..3 {
        trainer.material.train(index, &mut batch);
        let (pool, buffers) = (Pool::single(), Buffers::new());
        let run = trainer.model.run(&pool, &buffers);
        let mut pass = batch.pass(run, glassformer_model::Mode::Inference);
        let [x, y] = batch.tokens();
        let logits = trainer.model.logits(&mut pass, x);
        let vocab = trainer.model.dimensions().vocab;
        for (logits, &target) in logits.tensor().data().chunks(vocab).zip(y) {
            let sum: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
            total += sum.ln() - f64::from(logits[target as usize]);
        }
        assert_eq!(train.targets(index), y.len());
        count += y.len();
    }
    let mut workspace = Workspace::of(&trainer);
    let report = trainer.step(&Pool::single(), &mut workspace).unwrap();
    assert_eq!(report.asked, count);
    let expected = total / count as f64;
    assert!(
        (report.loss - expected).abs() < 1e-4,
        "{} for {expected}",
        report.loss
    );
}

#[test]
fn what_pairs_cannot_be_learned_with() {
    let place = Place::new();
    let refuse = |options: Options| {
        let Err(error) = start(&place, "run", options) else {
            panic!("it should be refused");
        };
        let text = error.to_string();
        assert!(
            !text.contains('\n') && !place.path("run/run.json").exists(),
            "{text}"
        );
        text
    };
    let characters = Options {
        vocabulary: Vocabulary::Characters,
        ..options()
    };
    assert!(refuse(characters).contains("pairs are cut by byte-level BPE"));
    let small = Translation {
        batch_tokens: 9,
        ..Translation::default()
    };
    let text = refuse(Options {
        translation: Some(small),
        ..options()
    });
    assert!(
        text.contains("a batch of 9 tokens does not hold the longest pair"),
        "{text}"
    );
    let smooth = Translation {
        label_smoothing: 1.0,
        ..Translation::default()
    };
    let text = refuse(Options {
        translation: Some(smooth),
        ..options()
    });
    assert!(text.contains("--label-smoothing is 1"), "{text}");
    let text = refuse(Options {
        n_ctx: 1,
        ..options()
    });
    assert!(text.contains("there are no training pairs"), "{text}");
}
