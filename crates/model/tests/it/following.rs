//! Operands that follow the weights through a step of training, against weights laid out afterwards.

use glassformer_kernels::adamw::AdamW;
use glassformer_kernels::product::Precision;
use glassformer_model::{Gradients, Model, PackedWeights, Tape, Trainable};
use glassformer_tensor::Pool;
use glassformer_tensor::ops::optimizer;

use crate::pairs::{Batch, PAIRS};
use crate::support::{GOLDEN, golden_model, golden_tensors, ids, loss_and_gradient, normals};

/// A step with any gradients, by which operands of the model that follow do so.
fn step(model: &mut Model, pool: &Pool, seed: u64) {
    let Trainable { parameters, packed } = model.into();
    let len = parameters.arena().len();
    let gradients = normals(seed, len);
    let (mut m, mut v) = (vec![0.0; len], vec![0.0; len]);
    let options = AdamW {
        learning_rate: 0.01,
        betas: (0.9, 0.95),
        eps: 1e-8,
        weight_decay: 0.1,
        step: 1,
        gradient_scale: 1.0,
    };
    let groups = parameters.decay_groups().map(|(range, _)| (range, options));
    let matrices = packed.into_iter().flat_map(PackedWeights::follow);
    let moments = [m.as_mut_slice(), v.as_mut_slice()];
    let theta = parameters.arena_mut();
    optimizer::step(pool, theta, moments, &gradients, &groups, matrices);
}

/// Steps of the golden model `name`, with and without operands that follow: the same bits each time.
fn check(name: &str, pool: &Pool, learn: impl Fn(&Model) -> (f64, Gradients)) {
    let [mut following, mut plain] = [(); 2].map(|()| golden_model(name));
    following.pack_trained(pool, Precision::Bf16);
    plain.precision = Precision::Bf16;
    for seed in 0..3 {
        let [(loss, gradients), (expected, of_plain)] = [&following, &plain].map(&learn);
        assert_eq!(loss.to_bits(), expected.to_bits(), "{name}");
        assert!(gradients.arena() == of_plain.arena(), "{name}");
        step(&mut following, pool, seed);
        step(&mut plain, pool, seed);
        assert!(following.packed.is_some() && plain.packed.is_none());
        let [a, b] = [&following, &plain].map(|model| model.parameters.arena());
        assert!(a == b, "{name}");
    }
}

#[test]
fn a_model_with_operands_that_follow_learns_the_same() {
    for name in GOLDEN {
        let file = golden_tensors(name, "train.safetensors");
        let (shape, x) = ids(&file, "x");
        let (batch, size) = (shape[1], shape[1] * shape[2]);
        let y = ids(&file, "y").1;
        let (text, pool) = ([&x[..size], &y[..size]], Pool::new(2));
        check(name, &pool, |model| {
            loss_and_gradient(model, &pool, batch, text, 0.0)
        });
    }
}

#[test]
fn a_translator_with_operands_that_follow_learns_the_same() {
    for name in PAIRS {
        let batch = Batch::golden(&golden_tensors(name, "pairs.safetensors"));
        let pool = Pool::new(2);
        check(name, &pool, |model| {
            batch.learn(model, &pool, &mut Tape::default(), [0.0, 0.1], None)
        });
    }
}

#[test]
fn weights_packed_to_be_run_are_dropped_when_they_change() {
    let pool = Pool::single();
    let mut model = golden_model(GOLDEN[0]);
    model.pack(&pool, Precision::F32);
    step(&mut model, &pool, 1);
    assert!(model.packed.is_none());
}
