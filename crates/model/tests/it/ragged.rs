//! Batches of sequences of any lengths, without padding: what comes out is what each sequence gives alone.

use glassformer_kernels::product::Precision;
use glassformer_kernels::random;
use glassformer_model::block::mlp::Activation;
use glassformer_model::families::{self, EncoderConfig};
use glassformer_model::{Lengths, Mode, Model, Pass, Tape};
use glassformer_tensor::{Buffers, Pool};

use crate::encoders::Batch;
use crate::support::{
    Recorder, distance, logits, masked_loss_and_gradient, model_of_heads, norm, normals,
    random_ids, squared_error, taped_masked_loss_and_gradient,
};

const LENGTHS: [usize; 5] = [7, 1, 29, 3, 16];

/// 2 blocks, 3 heads of `d_head`, a head that fills gaps; every parameter has a value that matters.
fn encoder(d_head: usize, seed: u64) -> Model {
    let config = EncoderConfig {
        model_type: "bert".to_owned(),
        vocab_size: 31,
        hidden_size: 3 * d_head,
        intermediate_size: 23,
        num_hidden_layers: 2,
        num_attention_heads: 3,
        max_position_embeddings: 29,
        layer_norm_eps: 1e-5,
        ..EncoderConfig::default()
    };
    let mut model = families::new_encoder(&config, true, seed, &Pool::single()).unwrap();
    let noise = normals(seed, model.parameters.arena().len());
    for (x, noise) in model.parameters.arena_mut().iter_mut().zip(noise) {
        *x += 0.25 * noise;
    }
    model
}

/// Random sequences of these lengths; every second row is asked about.
fn batch(lengths: &[usize], seed: u64) -> Batch {
    let rows: usize = lengths.iter().sum();
    Batch {
        lengths: Lengths::of(lengths.iter().copied()),
        x: random_ids(seed, rows, 31),
        types: random_ids(seed + 1, rows, 2),
        asked: (0..rows as u32)
            .step_by(2)
            .zip(random_ids(seed + 2, rows, 31))
            .collect(),
    }
}

/// Each sequence as a batch of its own.
fn alone(batch: &Batch) -> Vec<Batch> {
    let one = |range: std::ops::Range<usize>| {
        let asked = batch.asked.iter().copied();
        let asked = asked.filter(|(row, _)| range.contains(&(*row as usize)));
        Batch {
            lengths: Lengths::of([range.len()]),
            x: batch.x[range.clone()].to_vec(),
            types: batch.types[range.clone()].to_vec(),
            asked: asked
                .map(|(row, target)| (row - range.start as u32, target))
                .collect(),
        }
    };
    batch.lengths.ranges().map(one).collect()
}

fn logits_of(model: &Model, pool: &Pool, batch: &Batch) -> Vec<f32> {
    let buffers = Buffers::new();
    let run = model.run(pool, &buffers);
    let mut pass =
        Pass::over(run, batch.lengths.clone(), Mode::Inference).with_token_types(&batch.types);
    model.logits(&mut pass, &batch.x).tensor().data().to_vec()
}

/// An encoder and a decoder.
fn models() -> [(&'static str, Model); 4] {
    [
        ("encoder, heads of 5", encoder(5, 41)),
        ("encoder, heads of 6", encoder(6, 42)),
        (
            "decoder, heads of 5",
            model_of_heads(5, Activation::Gelu, 43),
        ),
        (
            "decoder, heads of 6",
            model_of_heads(6, Activation::Gelu, 44),
        ),
    ]
}

#[test]
fn logits_are_those_of_each_sequence_alone() {
    for (name, mut model) in models() {
        let together = batch(&LENGTHS, 1);
        for packs in [false, true] {
            let pool = Pool::new(2);
            if packs {
                model.pack(&pool, Precision::F32);
            }
            let all = logits_of(&model, &pool, &together);
            let each = alone(&together)
                .iter()
                .flat_map(|one| logits_of(&model, &pool, one))
                .collect::<Vec<_>>();
            let off = distance(&all, &each);
            assert!(off <= 1e-5, "{name}, packed {packs}: {off:e}");
        }
    }
}

#[test]
fn equal_lengths_are_a_plain_batch() {
    let (model, pool) = (model_of_heads(5, Activation::Relu, 45), Pool::new(2));
    let together = batch(&[11, 11, 11], 2);
    let ragged = logits_of(&model, &pool, &together);
    assert_eq!(ragged, logits(&model, &pool, 3, &together.x));
}

/// The gradient of the batch's sum of losses is the sum of its sequences' gradients.
#[test]
fn gradients_are_the_sum_over_the_sequences() {
    let mut worst = 0.0f64;
    for (name, model) in models() {
        let together = batch(&LENGTHS, 3);
        for threads in [1, 2] {
            let pool = Pool::new(threads);
            let (loss, gradients) = masked_loss_and_gradient(&model, &pool, &together, 0.0);
            let (mut losses, mut sum) = (0.0, vec![0.0f32; gradients.arena().len()]);
            for one in alone(&together) {
                if one.asked.is_empty() {
                    continue;
                }
                let share = one.asked.len() as f64 / together.asked.len() as f64;
                let (loss, gradients) = masked_loss_and_gradient(&model, &pool, &one, 0.0);
                losses += loss * share;
                for (sum, g) in sum.iter_mut().zip(gradients.arena()) {
                    *sum += g * share as f32;
                }
            }
            assert!((loss - losses).abs() <= 1e-5, "{name}: {loss}, {losses}");
            let off = squared_error(gradients.arena(), &sum).sqrt();
            assert!(off <= 1e-5, "{name}: gradients off by {off:e}");
            worst = worst.max(off);
        }
    }
    println!("a batch's gradient and the sum differ by {worst:.1e}");
}

/// With dropout too, along a random direction of each parameter.
#[test]
fn gradients_are_slopes_of_the_loss() {
    let (mut model, pool, together) = (encoder(5, 46), Pool::single(), batch(&LENGTHS, 4));
    let dropout = 0.2;
    let (_, gradients) = masked_loss_and_gradient(&model, &pool, &together, dropout);
    let was = model.parameters.arena().to_vec();
    for (n, spec) in model
        .parameters
        .layout()
        .specs()
        .to_vec()
        .iter()
        .enumerate()
    {
        let (g, first) = (gradients.get(spec.id), spec.id.offset());
        let direction = normals(n as u64, g.len());
        let unit = norm(direction.iter().copied());
        let mut at = |h: f64| {
            let arena = model.parameters.arena_mut();
            arena.copy_from_slice(&was);
            for (i, d) in direction.iter().enumerate() {
                arena[first + i] = (f64::from(was[first + i]) + h * f64::from(*d) / unit) as f32;
            }
            masked_loss_and_gradient(&model, &pool, &together, dropout).0
        };
        let mut central = |h: f64| (at(h) - at(-h)) / (2.0 * h);
        let numeric = (4.0 * central(0.02) - central(0.04)) / 3.0;
        let along = g.iter().zip(&direction);
        let analytic: f64 = along
            .map(|(g, d)| f64::from(*g) * f64::from(*d) / unit)
            .sum();
        let bar = 1e-3 * norm(g.iter().copied()) + 3e-5;
        assert!(
            (numeric - analytic).abs() <= bar,
            "{}: slope {numeric}, gradient {analytic}",
            spec.name
        );
    }
}

/// A run that nobody watches equals one in which every site is watched.
#[test]
fn fused_and_open_encoders_are_the_same() {
    for d_head in [5, 6] {
        for packs in [false, true] {
            let (mut model, pool) = (encoder(d_head, 47), Pool::new(2));
            if packs {
                model.pack(&pool, Precision::F32);
            }
            for length in [1, 7, 29] {
                let one = batch(&[length], random::bits(5, length as u64) % 100);
                let (buffers, mut recorder) = (Buffers::new(), Recorder::default());
                let run = model.run(&pool, &buffers);
                let mut pass = Pass::new(run, 1, length, Mode::Inference)
                    .with_token_types(&one.types)
                    .with_hook(&mut recorder);
                let open = model.logits(&mut pass, &one.x).tensor().data().to_vec();
                let off = squared_error(&logits_of(&model, &pool, &one), &open).sqrt();
                assert!(off <= 2e-6, "heads of {d_head}, {length} rows: {off:e}");

                let fused = masked_loss_and_gradient(&model, &pool, &one, 0.3);
                let mut recorder = Recorder::default();
                let (mut tape, hook) = (Tape::default(), Some(&mut recorder as _));
                let open =
                    taped_masked_loss_and_gradient(&model, &pool, &mut tape, &one, 0.3, hook);
                assert!(!recorder.sites.is_empty());
                let off = squared_error(fused.1.arena(), open.1.arena()).sqrt();
                assert!(
                    off <= 5e-6,
                    "heads of {d_head}, {length} rows: gradients {off:e}"
                );
            }
        }
    }
}

#[test]
#[should_panic(expected = "patterns are shown of sequences of equal length")]
fn patterns_of_ragged_sequences_are_not_shown() {
    let (model, pool, buffers) = (encoder(5, 48), Pool::single(), Buffers::new());
    let (together, mut recorder) = (batch(&[3, 5], 6), Recorder::default());
    let run = model.run(&pool, &buffers);
    let mut pass =
        Pass::over(run, together.lengths.clone(), Mode::Inference).with_hook(&mut recorder);
    model.logits(&mut pass, &together.x);
}

#[test]
#[should_panic(expected = "an empty sequence")]
fn sequences_are_not_empty() {
    let _ = Lengths::of([3, 0, 2]);
}
