//! A token takes no memory once the loop has run: not with more keys in the cache (until it doubles), not when the text
//! slides on.

use glassformer_generate::{Generation, Sampling, Work};
use glassformer_kernels::product::Precision;
use glassformer_model::Model;
use glassformer_tensor::Pool;

use crate::support::{model_in_bf16, random_model};

/// More positions than attention takes keys at a time when it decodes, fewer than a new cache holds.
const N_CTX: usize = 200;

#[test]
fn a_token_allocates_nothing_once_the_loop_has_run() {
    let pool = Pool::single();
    for packs in [None, Some(Precision::F32), Some(Precision::Bf16)] {
        let mut model = random_model(N_CTX, 5);
        if let Some(precision) = packs {
            model.pack(&pool, precision);
        }
        check(&format!("packed {packs:?}"), &model);
    }
}

#[test]
fn a_token_allocates_nothing_with_weights_in_a_file_of_bf16() {
    let (mut model, pool) = (model_in_bf16(N_CTX), Pool::single());
    model.pack(&pool, Precision::Bf16);
    let sampling = Sampling::greedy();
    let mut generation = Generation::new(&model, &pool, &[1, 2, 3], sampling, Work::Cached);
    (0..2).for_each(|_| _ = generation.step());
    let seen = allocation_counter::measure(|| {
        (0..8).for_each(|_| _ = generation.step());
    });
    assert_eq!(seen.count_total, 0, "in their file: {seen:?}");
    // These lay them out.
    (0..40).for_each(|_| _ = generation.step());
    check("laid out meanwhile", &model);
}

fn check(what: &str, model: &Model) {
    let pool = Pool::single();
    let samplings = [
        Sampling::greedy(),
        Sampling {
            top_k: 0,
            top_p: 0.9,
            min_p: 0.01,
            repetition_penalty: 1.2,
            ..Sampling::default()
        },
    ];
    for sampling in samplings {
        let mut generation = Generation::new(model, &pool, &[1, 2, 3], sampling, Work::Cached);
        // From the first token on which decodes, while the cache fills.
        (0..2).for_each(|_| _ = generation.step());
        let seen = allocation_counter::measure(|| {
            while generation.tokens().len() < N_CTX {
                generation.step();
            }
        });
        assert_eq!(seen.count_total, 0, "{what}: {seen:?}");
        // And once the text has slid on, every time that it does.
        (0..N_CTX).for_each(|_| _ = generation.step());
        let seen = allocation_counter::measure(|| {
            (0..N_CTX).for_each(|_| _ = generation.step());
        });
        assert_eq!(seen.count_total, 0, "{what}, slid: {seen:?}");
    }
}
