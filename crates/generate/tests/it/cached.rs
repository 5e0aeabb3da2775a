//! The cache changes nothing but the time, also beyond the context.

use glassformer_generate::{Distribution, Generation, Sampling, Work};
use glassformer_kernels::random;
use glassformer_tensor::Pool;
use proptest::prelude::*;

use crate::support::{generate, random_model};

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cached_and_from_scratch_say_the_same(
        n_ctx in 1usize..24,
        prompt in prop::collection::vec(0u32..37, 1..40),
        temperature in prop_oneof![Just(0.0f32), 0.1f32..2.0],
        top_k in 0usize..40,
        top_p in 0.1f32..=1.0,
        repetition_penalty in prop_oneof![Just(1.0f32), 0.5f32..2.0],
        seed in 0u64..1 << 40,
    ) {
        let model = random_model(n_ctx, seed);
        let sampling = Sampling { temperature, top_k, top_p, min_p: 0.0, repetition_penalty, seed };
        prop_assert_eq!(sampling.check(), Ok(()));
        let pool = Pool::single();
        let mut cached = Generation::new(&model, &pool, &prompt, sampling, Work::Cached);
        let mut simple = Generation::new(&model, &pool, &prompt, sampling, Work::FromScratch);
        for step in 0..45 {
            let (a, b) = (cached.step(), simple.step());
            if a.id != b.id {
                // Rounding may move a draw only where two chances meet.
                prop_assert!(is_on_the_edge(simple.distribution(), &sampling, step), "step {}: {} and {}", step, a.id, b.id);
                return Ok(());
            }
            prop_assert!((a.prob - b.prob).abs() < 1e-3, "step {}: {} and {}", step, a.prob, b.prob);
            prop_assert_eq!((a.position, b.cached), (b.position, 0));
            prop_assert_eq!(a.cached + a.computed, b.computed);
            prop_assert!(b.computed <= n_ctx);
            prop_assert_eq!(cached.tokens(), simple.tokens());
        }
    }
}

/// Whether a change of 1e-4 in the chances could change the draw, or in the logits what is kept.
fn is_on_the_edge(distribution: &Distribution, sampling: &Sampling, number: u64) -> bool {
    let Distribution {
        candidates, kept, ..
    } = distribution;
    let kept = *kept;
    let near_cut = candidates.get(kept).is_some_and(|next| {
        (candidates[kept - 1].scaled - next.scaled).abs() < 1e-3 || sampling.top_p < 1.0
    });
    let u = sampling.draw_number(number).unwrap_or(0.5);
    let mut sum = 0.0;
    let near_draw = candidates[..kept].iter().any(|candidate| {
        sum += f64::from(candidate.final_prob);
        (sum - u).abs() < 1e-4
    });
    near_draw
        || near_cut && kept > 1
        || candidates
            .windows(2)
            .any(|pair| (pair[0].scaled - pair[1].scaled).abs() < 1e-4)
}

/// Fixed seeds, where the ids must be the same without any excuse.
#[test]
fn the_same_ids_for_many_seeds() {
    let model = random_model(19, 1);
    for seed in 0..60 {
        let prompt: Vec<u32> = (0..=seed % 9)
            .map(|i| (random::bits(seed, i) % 37) as u32)
            .collect();
        let temperature = [0.0, 0.3, 0.8, 1.0, 1.5][seed as usize % 5];
        let sampling = Sampling {
            temperature,
            seed,
            ..Sampling::default()
        };
        let [cached, simple] = [Work::Cached, Work::FromScratch]
            .map(|work| generate(&model, &prompt, sampling, work, 40));
        assert_eq!(cached, simple, "seed {seed}, temperature {temperature}");
    }
}

#[test]
fn a_seed_is_a_text() {
    let model = random_model(16, 2);
    let text = |seed| {
        generate(
            &model,
            &[3],
            Sampling {
                seed,
                ..Sampling::default()
            },
            Work::Cached,
            30,
        )
    };
    assert_eq!(text(5), text(5));
    assert_ne!(text(5), text(6));
}

/// Each step computes one row, until the text no longer fits: then its later half begins anew.
#[test]
fn slides_beyond_the_context() {
    let (model, pool) = (random_model(8, 3), Pool::single());
    let mut generation = Generation::new(
        &model,
        &pool,
        &[1, 2, 3, 4, 5, 6],
        Sampling::default(),
        Work::Cached,
    );
    let work: Vec<[usize; 3]> = (0..12)
        .map(|_| {
            let step = generation.step();
            assert_eq!(generation.tokens().last(), Some(&step.id));
            assert!(generation.tokens().len() <= 9);
            [step.position, step.cached, step.computed]
        })
        .collect();
    let slid = |position| [position, position - 1, 1];
    let expected = [[6, 0, 6], slid(7), slid(8)].into_iter();
    let round = [[4, 0, 4], slid(5), slid(6), slid(7), slid(8)];
    let expected: Vec<[usize; 3]> = expected.chain(round).chain(round).take(12).collect();
    assert_eq!(work, expected);
}

#[test]
fn of_a_long_prompt_the_end_is_read() {
    let (model, pool) = (random_model(8, 4), Pool::single());
    let prompt: Vec<u32> = (0..30).collect();
    let generation = Generation::new(&model, &pool, &prompt, Sampling::default(), Work::Cached);
    assert_eq!(generation.tokens(), &prompt[22..]);
    let ids = |prompt: &[u32]| generate(&model, prompt, Sampling::greedy(), Work::Cached, 9);
    assert_eq!(ids(&prompt), ids(&prompt[22..]));
}
