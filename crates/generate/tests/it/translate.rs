//! Translations: those that transformers' `generate` finds, each as it would be alone, and what cannot be searched for.

use glassformer_generate::translate::{
    BATCH, Hypothesis, Ids, LengthPenalty, Longest, Search, SearchError, Stopping, Way, translate,
};
use glassformer_generate::{Sampling, greedy};
use glassformer_kernels::random;
use glassformer_model::Model;
use glassformer_tensor::Pool;
use glassformer_weights::TensorFile;
use proptest::prelude::*;
use serde_json::Value;

use crate::support::{golden, golden_model};

const PAIRS: [&str; 6] = [
    "marian-tiny",
    "marian-apart",
    "bart-tiny",
    "mbart-odd",
    "t5-tiny",
    "t5-gated",
];

/// Bar for scores, which are sums of log-probabilities in f32: largest absolute difference.
const ABSOLUTE: f64 = 1e-4;

fn id(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(id).collect()
}

/// The settings of `generate` in a golden file.
fn search(settings: &Value) -> Search {
    let count = |name: &str, default| settings[name].as_u64().map_or(default, |n| n as usize);
    let forced = |name: &str| settings[name].as_u64().map(|id| id as u32);
    let words = settings["bad_words_ids"].as_array().unwrap();
    Search {
        way: Way::Beams {
            width: count("num_beams", 1),
            stopping: match &settings["early_stopping"] {
                Value::Bool(false) => Stopping::WhenUnlikely,
                Value::String(_) => Stopping::WhenSure,
                _ => Stopping::WhenFull,
            },
        },
        penalty: LengthPenalty::Power(settings["length_penalty"].as_f64().unwrap_or(1.0)),
        n_best: count("num_return_sequences", 1),
        batch: BATCH,
        longest: Longest::Ids(count("max_new_tokens", 0)),
        ids: Ids {
            start: id(&settings["decoder_start_token_id"]),
            ends: ids(&settings["eos_token_id"]),
            never: words.iter().map(|word| id(&word[0])).collect(),
            forced_first: forced("forced_bos_token_id"),
            forced_last: forced("forced_eos_token_id"),
        },
    }
}

fn found(model: &Model, sources: &[Vec<u32>], search: &Search) -> Vec<Vec<Hypothesis>> {
    let sources: Vec<&[u32]> = sources.iter().map(Vec::as_slice).collect();
    translate(model, &Pool::new(2), &sources, search).unwrap()
}

#[test]
fn as_transformers_searches() {
    for name in PAIRS {
        let model = golden_model(name);
        let file = std::fs::read(golden(name, "searches.json")).unwrap();
        let file: Value = serde_json::from_slice(&file).unwrap();
        let tensors = TensorFile::open(&golden(name, "searches.safetensors")).unwrap();
        let (mut ended, mut cut) = (0, 0);
        for (which, settings) in file["searches"].as_array().unwrap().iter().enumerate() {
            let sources: Vec<_> = settings["sources"]
                .as_array()
                .unwrap()
                .iter()
                .map(ids)
                .collect();
            let all: Vec<_> = found(&model, &sources, &search(settings)).concat();
            let targets: Vec<_> = settings["targets"]
                .as_array()
                .unwrap()
                .iter()
                .map(ids)
                .collect();
            let own: Vec<_> = all.iter().map(|one| one.ids.clone()).collect();
            assert_eq!(own, targets, "{name}, search {which}");
            ended += all.iter().filter(|one| one.is_ended).count();
            cut += all.iter().filter(|one| !one.is_ended).count();
            if settings["num_beams"] == 1 {
                continue;
            }
            let (_, scores) = tensors.load_f32(&format!("scores.{which}")).unwrap();
            for (one, score) in all.iter().zip(scores) {
                let error = (one.score - f64::from(score)).abs();
                assert!(error < ABSOLUTE, "{name}, search {which}: {error:e}");
            }
        }
        // Both kinds were there.
        assert!(
            ended > 10 && cut > 2,
            "{name}: {ended} ended, {cut} did not"
        );
    }
}

/// Random ids of the source's vocabulary.
fn source(seed: u64, length: usize) -> Vec<u32> {
    let id = |i| (random::bits(seed, i) % 60) as u32;
    (0..length as u64).map(id).collect()
}

fn ways() -> impl Strategy<Value = (Way, usize)> {
    let beams = (1usize..7, 0..3, 1usize..7).prop_map(|(width, stopping, n_best)| {
        let all = [
            Stopping::WhenFull,
            Stopping::WhenUnlikely,
            Stopping::WhenSure,
        ];
        let stopping = all[stopping as usize];
        (Way::Beams { width, stopping }, n_best.min(width))
    });
    let samples = (0u64..99, 1usize..4).prop_map(|(seed, n_best)| {
        let sampling = Sampling {
            seed,
            ..Sampling::default()
        };
        (Way::Sampling(sampling), n_best)
    });
    prop_oneof![beams, samples]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_is_as_it_would_be_alone(
        name in prop::sample::select(PAIRS.to_vec()),
        lengths in prop::collection::vec(1usize..20, 1..5),
        batch in 1usize..4,
        (way, n_best) in ways(),
        alpha in -1.0f64..2.0,
        gnmt: bool,
        beyond in 0usize..9,
        seed in 0u64..1000,
    ) {
        let model = golden_model(name);
        let sources: Vec<_> = (seed..).zip(&lengths).map(|(seed, &n)| source(seed, n)).collect();
        let mut own = Ids::of(&model).unwrap();
        own.ends.extend([17, 18, 19]);
        let search = Search {
            way,
            penalty: if gnmt { LengthPenalty::Gnmt(alpha) } else { LengthPenalty::Power(alpha) },
            n_best,
            batch,
            longest: Longest::BeyondSource(beyond),
            ids: own.clone(),
        };
        let all = found(&model, &sources, &search);
        for (one, mine) in sources.iter().zip(&all) {
            let alone = found(&model, std::slice::from_ref(one), &search).remove(0);
            prop_assert_eq!(alone.len(), mine.len());
            for (a, b) in alone.iter().zip(mine) {
                prop_assert_eq!(&a.ids, &b.ids);
                prop_assert!((a.score - b.score).abs() < 1e-4);
            }
            prop_assert!((1..=n_best).contains(&mine.len()));
            prop_assert!(mine.is_sorted_by(|a, b| a.score >= b.score));
            for hypothesis in mine {
                let ids = &hypothesis.ids;
                let length = ids.len() + usize::from(hypothesis.is_ended);
                prop_assert!((1..=one.len() + beyond).contains(&length));
                prop_assert!(hypothesis.is_ended || length == search.longest.of(one.len()));
                prop_assert!(!ids.iter().any(|id| own.ends.contains(id) || own.never.contains(id)));
                let score = hypothesis.log_prob / search.penalty.of(length);
                prop_assert!((score - hypothesis.score).abs() < 1e-9);
            }
        }
    }
}

/// However it is asked for.
#[test]
fn one_beam_takes_the_likeliest_id() {
    for name in PAIRS {
        let model = golden_model(name);
        let sources: Vec<_> = (0..9).map(|n| source(n, 1 + 2 * n as usize)).collect();
        let slices: Vec<&[u32]> = sources.iter().map(Vec::as_slice).collect();
        let likeliest = greedy(&model, &Pool::single(), &slices, 13);
        for stopping in [Stopping::WhenFull, Stopping::WhenUnlikely] {
            let way = Way::Beams { width: 1, stopping };
            let ids = Ids::of(&model).unwrap();
            let search = Search {
                way,
                ..Search::greedy(ids, Longest::Ids(13))
            };
            let own: Vec<_> = found(&model, &sources, &search).concat();
            let own: Vec<_> = own.into_iter().map(|one| one.ids).collect();
            assert_eq!(own, likeliest, "{name}");
        }
        // Drawing at temperature 0 too.
        let search = Search {
            way: Way::Sampling(Sampling::greedy()),
            ..Search::greedy(Ids::of(&model).unwrap(), Longest::Ids(13))
        };
        let own: Vec<_> = found(&model, &sources, &search).concat();
        let own: Vec<_> = own.into_iter().map(|one| one.ids).collect();
        assert_eq!(own, likeliest, "{name}");
    }
}

#[test]
fn what_cannot_be_searched_for() {
    type Change = fn(&mut Search);
    let model = golden_model("t5-tiny");
    let beams = |width| Way::Beams {
        width,
        stopping: Stopping::WhenFull,
    };
    let plain = Search::greedy(Ids::of(&model).unwrap(), Longest::Ids(5));
    let refuse = |model: &Model, source: &[u32], change: &dyn Fn(&mut Search), words: &str| {
        let mut search = plain.clone();
        change(&mut search);
        let error = translate(model, &Pool::single(), &[source], &search).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(words) && !text.contains('\n'), "{text}");
    };
    refuse(
        &model,
        &[5],
        &|s| s.way = beams(62),
        "62 beams cannot be: from 1 to the 61",
    );
    refuse(&model, &[5], &|s| s.way = beams(0), "0 beams");
    refuse(
        &model,
        &[5],
        &|s| s.n_best = 2,
        "2 translations of each sentence",
    );
    let changes: [(Change, &str); 5] = [
        (|s| s.n_best = 0, "ask for 1 or more"),
        (
            |s| s.penalty = LengthPenalty::Power(f64::NAN),
            "length penalty is NaN",
        ),
        (|s| s.ids.start = 61, "the first id is 61"),
        (|s| s.ids.never.push(99), "never to be written is 99"),
        (
            |s| {
                s.way = Way::Sampling(Sampling {
                    top_p: 0.0,
                    ..Sampling::default()
                });
            },
            "top-p is 0",
        ),
    ];
    for (change, words) in changes {
        refuse(&model, &[5], &change, words);
    }
    refuse(&model, &[], &|_| (), "source 1 has 0 ids");
    refuse(&model, &[5; 40], &|_| (), "source 1 has 40 ids");
    refuse(&model, &[5, 61], &|_| (), "source 1 has the id 61");
    let decoder = golden_model("gpt2-tiny");
    refuse(&decoder, &[5], &|_| (), "takes an encoder–decoder");
    // As many beams as ids can be had.
    let mut all = plain.clone();
    all.way = beams(61);
    all.n_best = 61;
    assert_eq!(found(&model, &[vec![5]], &all)[0].len(), 61);
    let none: Result<_, SearchError> = translate(&model, &Pool::single(), &[], &plain);
    assert!(none.unwrap().is_empty());
}

/// A model whose numbers are none says nothing, and ends.
#[test]
fn logits_that_are_no_numbers() {
    let mut model = golden_model("marian-tiny");
    model.parameters.arena_mut().fill(f32::NAN);
    for way in [
        Way::Beams {
            width: 3,
            stopping: Stopping::WhenUnlikely,
        },
        Way::Sampling(Sampling::default()),
    ] {
        let search = Search {
            way,
            ..Search::greedy(Ids::of(&model).unwrap(), Longest::Ids(5))
        };
        assert_eq!(found(&model, &[vec![5, 6]], &search)[0].len(), 1);
    }
}
