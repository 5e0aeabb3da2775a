//! Whole networks: gradients of the loss, independence of sequences and positions, threads.

use glassformer_kernels::random;
use glassformer_model::block::mlp::Activation;
use glassformer_model::{Mode, Model, Pass, Tape};
use glassformer_tensor::{Buffers, Pool};

use crate::support::{
    Recorder, distance, logits, loss_and_gradient, norm, normals, odd_model, random_ids,
};

const BATCH: usize = 3;
const POSITIONS: usize = 7;

/// Allowed difference between slope and gradient, relative to the gradient's length …
const RELATIVE: f64 = 1e-3;
/// … and what rounding of the loss leaves of the smallest ones.
const ABSOLUTE: f64 = 3e-5;

/// d loss along `direction` of the arena, from four points, without the h² term.
fn slope(
    model: &mut Model,
    text: [&[u32]; 2],
    dropout: f32,
    direction: &[(usize, f32)],
    h: f64,
) -> f64 {
    let was = model.parameters.arena().to_vec();
    let mut at = |h: f64| {
        let arena = model.parameters.arena_mut();
        arena.copy_from_slice(&was);
        for &(i, d) in direction {
            arena[i] = (f64::from(was[i]) + h * f64::from(d)) as f32;
        }
        loss_and_gradient(model, &Pool::single(), BATCH, text, dropout).0
    };
    let mut central = |h: f64| (at(h) - at(-h)) / (2.0 * h);
    let slope = (4.0 * central(h) - central(2.0 * h)) / 3.0;
    model.parameters.arena_mut().copy_from_slice(&was);
    slope
}

/// Each parameter along a random direction and at two random elements.
#[test]
fn gradients_are_slopes_of_the_loss() {
    let mut worst = 0.0f64;
    for (activation, dropout) in [(Activation::GeluTanh, 0.0), (Activation::GeluTanh, 0.3)] {
        let mut model = odd_model(activation, 11);
        let x = random_ids(1, BATCH * POSITIONS, 31);
        let y = random_ids(2, BATCH * POSITIONS, 31);
        let (_, gradients) = loss_and_gradient(&model, &Pool::single(), BATCH, [&x, &y], dropout);
        for (n, spec) in model
            .parameters
            .layout()
            .specs()
            .to_vec()
            .into_iter()
            .enumerate()
        {
            let g = gradients.get(spec.id);
            let length = norm(g.iter().copied());
            let first = spec.id.offset();
            let u = normals(n as u64, g.len());
            let unit = norm(u.iter().copied()) as f32;
            let mut directions = vec![
                u.iter()
                    .enumerate()
                    .map(|(i, u)| (first + i, u / unit))
                    .collect::<Vec<_>>(),
            ];
            for k in 0..2 {
                let i = (random::bits(n as u64, k) % g.len() as u64) as usize;
                directions.push(vec![(first + i, 1.0)]);
            }
            for direction in directions {
                let analytic: f64 = direction
                    .iter()
                    .map(|&(i, d)| f64::from(gradients.arena()[i]) * f64::from(d))
                    .sum();
                let numeric = slope(&mut model, [&x, &y], dropout, &direction, 0.02);
                let error = (numeric - analytic).abs();
                let name = &spec.name;
                assert!(
                    error <= RELATIVE * length + ABSOLUTE,
                    "{name}: slope {numeric}, gradient {analytic}"
                );
                worst = worst.max(error / (length + ABSOLUTE / RELATIVE));
            }
        }
    }
    println!("worst difference of a slope, relative to its gradient's length: {worst:.1e}");
}

#[test]
fn threads_change_nothing() {
    let model = odd_model(Activation::Relu, 12);
    let (x, y) = (random_ids(1, 11 * 29, 31), random_ids(2, 11 * 29, 31));
    let (loss, gradients) = loss_and_gradient(&model, &Pool::single(), 11, [&x, &y], 0.2);
    let alone = logits(&model, &Pool::single(), 11, &x);
    for threads in [2, 3] {
        let pool = Pool::new(threads);
        let other = loss_and_gradient(&model, &pool, 11, [&x, &y], 0.2);
        assert!((loss - other.0).abs() < 1e-6, "{loss}, {}", other.0);
        let length = norm(gradients.arena().iter().copied());
        let difference = distance(gradients.arena(), other.1.arena());
        assert!(
            difference <= 1e-5 * length,
            "gradients differ by {difference:e} of {length}"
        );
        let moved = distance(&alone, &logits(&model, &pool, 11, &x));
        assert!(moved <= 1e-5, "logits differ by {moved:e}");
        println!(
            "{threads} threads move logits by {moved:.1e}, gradients by {:.1e} of their length",
            difference / length
        );
        // The same number of threads gives the same bits: a resumed run depends on it.
        let again = loss_and_gradient(&model, &pool, 11, [&x, &y], 0.2);
        assert_eq!(other.0.to_bits(), again.0.to_bits());
        assert_eq!(other.1.arena(), again.1.arena());
    }
}

#[test]
fn sequences_of_a_batch_do_not_see_each_other() {
    let (model, pool) = (odd_model(Activation::GeluTanh, 13), Pool::new(2));
    let x = random_ids(3, 4 * 17, 31);
    let together = logits(&model, &pool, 4, &x);
    for (x, together) in x.chunks(17).zip(together.chunks(17 * 31)) {
        assert!(distance(&logits(&model, &pool, 1, x), together) <= 1e-5);
    }
}

#[test]
fn no_position_sees_a_later_one() {
    let (model, pool) = (odd_model(Activation::GeluTanh, 14), Pool::single());
    let x = random_ids(4, 29, 31);
    let before = logits(&model, &pool, 1, &x);
    for t in 0..29 {
        let mut changed = x.clone();
        changed[t] = (changed[t] + 1) % 31;
        let after = logits(&model, &pool, 1, &changed);
        assert_eq!(
            before[..t * 31],
            after[..t * 31],
            "position {t} shows before itself"
        );
        assert_ne!(before[t * 31..(t + 1) * 31], after[t * 31..(t + 1) * 31]);
    }
}

#[test]
fn the_last_row_alone_is_the_last_row() {
    let (model, pool, buffers) = (
        odd_model(Activation::Relu, 15),
        Pool::new(2),
        Buffers::new(),
    );
    let x = random_ids(5, 19, 31);
    let mut pass = Pass::new(model.run(&pool, &buffers), 1, 19, Mode::Inference);
    let last = model.last_logits(&mut pass, &x);
    assert!(distance(last.data(), &logits(&model, &pool, 1, &x)[18 * 31..]) <= 1e-5);
}

/// A training pass shows a recorder the same values, and the fused attention it trains gives the same loss.
#[test]
fn a_training_pass_can_be_watched() {
    let (model, pool, buffers) = (
        odd_model(Activation::GeluTanh, 16),
        Pool::single(),
        Buffers::new(),
    );
    let x = random_ids(6, 2 * 9, 31);
    let record = |mode| {
        let mut recorder = Recorder::default();
        let mut pass = Pass::new(model.run(&pool, &buffers), 2, 9, mode).with_hook(&mut recorder);
        model.logits(&mut pass, &x);
        recorder.sites
    };
    let mut tape = Tape::default();
    let training = record(Mode::Training {
        tape: &mut tape,
        dropout: 0.0,
        key: 0,
    });
    let inference = record(Mode::Inference);
    assert_eq!(
        training.keys().collect::<Vec<_>>(),
        inference.keys().collect::<Vec<_>>()
    );
    for (site, (shape, values)) in &inference {
        assert_eq!(shape[0], 2, "{site} has a batch axis");
        assert_eq!(shape, &training[site].0);
        assert!(distance(values, &training[site].1) <= 1e-5, "{site}");
    }
}
