//! Writing targets: sources read once, hypotheses with caches of their own; and fresh encoder–decoders.

use std::collections::BTreeMap;

use glassformer_kernels::product::Precision;
use glassformer_kernels::random;
use glassformer_model::families::{self, PairConfig};
use glassformer_model::{Dimensions, Lengths, Marks, Mode, Model, PairCache, Pass, Tape};
use glassformer_tensor::{Buffers, Pool};
use glassformer_weights::{FloatType, TensorFile, safetensors};

use crate::pairs::{Batch, PAIRS};
use crate::support::{distance, golden_model, normals, random_ids, squared_error};

/// Logits of one target in a pass by itself.
fn alone(model: &Model, pool: &Pool, source: &[u32], target: &[u32]) -> Vec<f32> {
    let buffers = Buffers::new();
    let of = |ids: &[u32]| Lengths::of([ids.len()]);
    let run = model.run(pool, &buffers);
    let mut pass = Pass::over(run, of(target), Mode::Inference).with_source(source, of(source));
    model.logits(&mut pass, target).tensor().data().to_vec()
}

/// The next ids of all hypotheses; their logits.
fn step(model: &Model, pool: &Pool, cache: &mut PairCache, ids: &[u32]) -> Vec<f32> {
    let buffers = Buffers::new();
    let lengths = Lengths::Equal {
        batch: cache.hypotheses(),
        positions: ids.len() / cache.hypotheses(),
    };
    let mut pass = Pass::over(model.run(pool, &buffers), lengths, Mode::CachedPair(cache));
    let logits = model.logits(&mut pass, ids).tensor().data().to_vec();
    pass.finish();
    logits
}

/// Sources of different lengths; their hypotheses fork, change places and die, and each has the logits of its own text.
#[test]
fn hypotheses_have_the_logits_of_their_texts() {
    for name in PAIRS {
        let pool = Pool::new(2);
        for precision in [Precision::F32, Precision::Bf16] {
            let mut model = golden_model(name);
            model.pack(&pool, precision);
            let bar = if precision == Precision::F32 {
                1e-9
            } else {
                1e-3
            };
            let sources: Vec<Vec<u32>> = [5, 1, 23]
                .iter()
                .map(|&n| random_ids(n, n as usize, model.network.pair().unwrap().encoder().vocab))
                .collect();
            let buffers = Buffers::new();
            let lengths = Lengths::of(sources.iter().map(Vec::len));
            let run = model.run(&pool, &buffers);
            let mut cache = model.encode(run, &sources.concat(), lengths);
            assert_eq!(
                (cache.sources(), cache.hypotheses(), cache.len()),
                (3, 3, 0)
            );
            // Of each hypothesis its source and its text.
            let mut texts: Vec<(usize, Vec<u32>)> = (0..3).map(|b| (b, Vec::new())).collect();
            let moves: [&[usize]; 7] = [
                &[0, 1, 2],
                &[0, 0, 0, 1, 2, 2],
                &[2, 0, 0, 3, 5, 5],
                &[2, 1, 1, 3, 4, 4],
                &[0, 1, 4, 4, 5],
                &[2, 3, 4],
                &[2, 0],
            ];
            for (i, parents) in moves.iter().enumerate() {
                cache.select(parents);
                texts = parents
                    .iter()
                    .map(|&parent| texts[parent].clone())
                    .collect();
                for b in 0..3 {
                    let own = texts.iter().filter(|(source, _)| *source == b).count();
                    assert_eq!(cache.of_source(b).len(), own);
                }
                // Two positions at once now and then.
                let vocab = model.dimensions().vocab;
                let new = random_ids(7 + i as u64, texts.len() * (1 + i % 2), vocab);
                for ((_, text), new) in texts.iter_mut().zip(new.chunks(1 + i % 2)) {
                    text.extend_from_slice(new);
                }
                let logits = step(&model, &pool, &mut cache, &new);
                let rows = logits.chunks((1 + i % 2) * vocab);
                for ((source, text), row) in texts.iter().zip(rows) {
                    let whole = alone(&model, &pool, &sources[*source], text);
                    let error = squared_error(row, &whole[whole.len() - row.len()..]);
                    assert!(error <= bar, "{name}, step {i}: {error:e}");
                }
            }
            assert_eq!(cache.len(), 10);
        }
    }
}

/// Weights that nobody has laid out, as in the evaluations of a run, and fewer rows than it would be worth it for.
#[test]
fn few_rows_in_bf16() {
    for name in PAIRS {
        let (pool, mut model) = (Pool::single(), golden_model(name));
        let [source, target] = [3, 2].map(|n| random_ids(n, n as usize, 60));
        let exact = alone(&model, &pool, &source, &target);
        model.precision = Precision::Bf16;
        let error = squared_error(&alone(&model, &pool, &source, &target), &exact);
        assert!(error > 0.0 && error <= 1e-3, "{name}: {error:e}");
    }
}

#[test]
#[should_panic(expected = "source by source")]
fn hypotheses_stay_with_their_sources() {
    let (model, pool, buffers) = (golden_model("t5-tiny"), Pool::single(), Buffers::new());
    let mut cache = model.encode(model.run(&pool, &buffers), &[5, 6, 7], Lengths::of([1, 2]));
    cache.select(&[1, 0]);
}

/// Small sizes, all different.
fn config(family: &str) -> PairConfig {
    let sizes = Dimensions {
        n_layers: 2,
        n_heads: 3,
        n_kv_heads: 3,
        d_model: 12,
        d_head: 4,
        d_ff: 17,
        n_ctx: 23,
        vocab: 41,
    };
    let marks = Marks {
        start: Some(0),
        end: Some(1),
        pad: Some(0),
    };
    let paper = PairConfig::paper(&sizes, marks);
    let config = PairConfig {
        // Without a kink, which differences could reach over.
        activation_function: "swish".to_owned(),
        decoder_layers: 3,
        decoder_attention_heads: 2,
        decoder_ffn_dim: 19,
        ..paper
    };
    match family {
        "mbart" => config.pre_norm(),
        family => PairConfig {
            model_type: family.to_owned(),
            ..config
        },
    }
}

fn batch() -> Batch {
    let (sources, targets) = ([5, 1, 9], [7, 3, 2]);
    Batch {
        sources: Lengths::of(sources),
        targets: Lengths::of(targets),
        x: random_ids(1, 15, 41),
        t: random_ids(2, 12, 41),
        y: random_ids(3, 12, 41),
    }
}

/// A fresh model whose every parameter has a value that matters.
fn fresh(family: &str) -> Model {
    let mut model = families::new_pair(&config(family), 5, &Pool::single()).unwrap();
    let noise = normals(6, model.parameters.arena().len());
    let arena = model.parameters.arena_mut().iter_mut();
    arena.zip(noise).for_each(|(x, noise)| *x += 0.1 * noise);
    model
}

#[test]
fn gradients_are_slopes_of_the_loss() {
    for family in ["marian", "mbart"] {
        let (mut model, batch, pool) = (fresh(family), batch(), Pool::new(2));
        let mut tape = Tape::default();
        // Dropout draws the same masks in every pass, as the key is the same.
        for options in [[0.0, 0.1], [0.3, 0.0]] {
            let (_, gradients) = batch.learn(&model, &pool, &mut tape, options, None);
            let len = model.parameters.arena().len() as u64;
            for i in 0..60 {
                let at = (random::bits(9, i) % len) as usize;
                let was = model.parameters.arena()[at];
                let mut loss = |x: f32| {
                    model.parameters.arena_mut()[at] = x;
                    batch.learn(&model, &pool, &mut tape, options, None).0
                };
                let h = 1.0 / 256.0;
                let slope = (loss(was + h) - loss(was - h)) / f64::from(2.0 * h);
                model.parameters.arena_mut()[at] = was;
                let gradient = f64::from(gradients.arena()[at]);
                assert!(
                    (slope - gradient).abs() <= 2e-3 * (1.0 + slope.abs()),
                    "{family}: number {at} has slope {slope}, backward says {gradient}"
                );
            }
        }
    }
}

/// Blocks that are run again in the backward pass, both stacks' own rows and masks among them.
#[test]
fn a_recomputing_tape_gives_the_same_bits() {
    for family in ["marian", "mbart"] {
        let (model, batch, pool) = (fresh(family), batch(), Pool::new(2));
        let [kept, again] = [false, true].map(|recomputes| {
            let mut tape = Tape::new(recomputes);
            // A tape serves one pass after the other.
            batch.learn(&model, &pool, &mut tape, [0.3, 0.1], None);
            batch.learn(&model, &pool, &mut tape, [0.3, 0.1], None)
        });
        assert_eq!(kept.0.to_bits(), again.0.to_bits());
        assert_eq!(kept.1.arena(), again.1.arena(), "{family}");
    }
}

/// What is saved is loaded again by the family's own name.
#[test]
fn fresh_models_come_back_from_their_files() {
    for family in ["marian", "bart", "mbart"] {
        let (model, batch, pool) = (fresh(family), batch(), Pool::single());
        let tensors = model.parameters.named(model.parameters.arena());
        let bytes = safetensors::to_bytes(&tensors, FloatType::F32, &BTreeMap::default()).unwrap();
        let file = TensorFile::from_vec(bytes, "fresh.safetensors").unwrap();
        let config = model.network.config_json();
        let again = families::load(&config, &file, family).unwrap();
        assert_eq!(again.network.family(), family);
        assert_eq!(again.network.config_json(), config);
        let [before, after] = [&model, &again].map(|model| batch.logits(model, &pool));
        assert_eq!(distance(&before, &after), 0.0);
    }
}

#[test]
fn what_cannot_be_computed_is_refused() {
    type Change = fn(&mut PairConfig);
    let changes: [(&str, Change); 6] = [
        ("encoder_attention_heads = 5", |c| {
            c.encoder_attention_heads = 5;
        }),
        ("decoder_layers = 0", |c| c.decoder_layers = 0),
        ("vocab_size = 0", |c| c.vocab_size = 0),
        ("decoder_start_token_id = 41", |c| {
            c.decoder_start_token_id = Some(41);
        }),
        ("activation_function \"sine\"", |c| {
            c.activation_function = "sine".to_owned();
        }),
        ("model_type \"gpt2\"", |c| c.model_type = "gpt2".to_owned()),
    ];
    for (words, change) in changes {
        let mut config = config("marian");
        change(&mut config);
        let error = families::new_pair(&config, 1, &Pool::single())
            .err()
            .unwrap();
        assert!(error.contains(words), "{error}");
    }
}
