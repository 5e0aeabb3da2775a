//! Keys and values kept from earlier positions change nothing but the time.

use glassformer_kernels::attention::Number;
use glassformer_kernels::random;
use glassformer_model::block::mlp::Activation;
use glassformer_model::{BlockSite, KvCache, Mode, Model, Pass, Site};
use glassformer_tensor::{Buffers, Pool};
use proptest::prelude::*;

use crate::support::{Recorder, distance, logits, odd_model, random_ids, squared_error};

/// Logits of all positions, fed in chunks that end at `cuts`.
pub(crate) fn in_chunks(
    model: &Model,
    pool: &Pool,
    cache: &mut KvCache,
    ids: &[u32],
    chunk: &mut dyn FnMut() -> usize,
) -> Vec<f32> {
    let buffers = Buffers::new();
    let mut out = Vec::new();
    let mut rest = ids;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(chunk().clamp(1, rest.len()));
        let before = cache.len();
        let mut pass = Pass::new(model.run(pool, &buffers), 1, now.len(), Mode::Cached(cache));
        out.extend_from_slice(model.logits(&mut pass, now).tensor().data());
        pass.finish();
        assert_eq!(cache.len(), before + now.len());
        rest = later;
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chunks_give_the_logits_of_one_pass(n in 1usize..30, most in 1u64..12, seed: u64, threads in 1usize..3) {
        let (model, pool) = (odd_model(Activation::GeluTanh, seed), Pool::new(threads));
        let ids = random_ids(seed, n, 31);
        let whole = logits(&model, &pool, 1, &ids);
        let mut cache = KvCache::new(&model.dimensions());
        let mut calls = 0;
        let mut chunk = || {
            calls += 1;
            1 + (random::bits(seed, calls) % most) as usize
        };
        let chunked = in_chunks(&model, &pool, &mut cache, &ids, &mut chunk);
        prop_assert!(distance(&whole, &chunked) <= 1e-4);
        prop_assert_eq!((cache.len(), cache.room()), (n, 29 - n));

        // Kept in halves.
        let mut halves = KvCache::of(&model.dimensions(), Number::F16);
        let rounded = in_chunks(&model, &pool, &mut halves, &ids, &mut chunk);
        let error = squared_error(&rounded, &whole);
        prop_assert!(error <= 1e-5, "{error:e}");

        // Another end of the same text, after forgetting a part.
        let keep = (seed % n as u64) as usize;
        cache.truncate(keep);
        let other = [&ids[..keep], &random_ids(seed ^ 1, n - keep, 31)].concat();
        let chunked = in_chunks(&model, &pool, &mut cache, &other[keep..], &mut || 3);
        let whole = logits(&model, &pool, 1, &other);
        prop_assert!(distance(&whole[keep * 31..], &chunked) <= 1e-4);
    }
}

/// A watched cached pass shows the new queries against all keys.
#[test]
fn scores_of_a_cached_pass_reach_back() {
    let (model, pool, buffers) = (
        odd_model(Activation::Relu, 5),
        Pool::single(),
        Buffers::new(),
    );
    let ids = random_ids(5, 13, 31);
    let watch = |cache: Option<&mut KvCache>, ids: &[u32]| {
        let mut recorder = Recorder::default();
        let mode = cache.map_or(Mode::Inference, Mode::Cached);
        let mut pass =
            Pass::new(model.run(&pool, &buffers), 1, ids.len(), mode).with_hook(&mut recorder);
        model.logits(&mut pass, ids);
        pass.finish();
        recorder.sites
    };
    let whole = watch(None, &ids);
    let mut cache = KvCache::new(&model.dimensions());
    watch(Some(&mut cache), &ids[..8]);
    let rest = watch(Some(&mut cache), &ids[8..]);
    for site in [BlockSite::Scores, BlockSite::Pattern] {
        let (shape, values) = &rest[&Site::block(1, site)];
        assert_eq!(shape, &[3, 5, 13]);
        for h in 0..3 {
            let expected = &whole[&Site::block(1, site)].1[(h * 13 + 8) * 13..][..5 * 13];
            assert!(distance(expected, &values[h * 5 * 13..][..5 * 13]) <= 1e-4);
        }
    }
    assert!(distance(&whole[&Site::Logits].1[8 * 31..], &rest[&Site::Logits].1) <= 1e-4);
}

#[test]
#[should_panic(expected = "one sequence that fits the cache")]
fn more_than_the_context_is_refused() {
    let (model, pool, buffers) = (
        odd_model(Activation::Relu, 5),
        Pool::single(),
        Buffers::new(),
    );
    let mut cache = KvCache::new(&model.dimensions());
    let _ = Pass::new(model.run(&pool, &buffers), 1, 30, Mode::Cached(&mut cache));
}
