//! Random inputs and comparison with the naive twins.

use glassformer_kernels::random;
use proptest::test_runner::Config;

/// Settings of a property test; the cases are made from a seed, so a failing one is named in its message.
///
/// `PROPTEST_CASES` bounds their number, for runs that are slow.
pub(crate) fn cases(cases: u32) -> Config {
    let most = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|most| most.parse().ok());
    Config {
        cases: most.map_or(cases, |most: u32| cases.min(most)),
        failure_persistence: None,
        ..Config::default()
    }
}

/// `n`, or less under Miri, for which everything takes a thousand times longer.
pub(crate) const fn under_miri(less: usize, n: usize) -> usize {
    if cfg!(miri) { less } else { n }
}

/// `n` normally distributed numbers that depend on the seed and on their purpose.
pub(crate) fn normals(seed: u64, purpose: u64, n: usize) -> Vec<f32> {
    let key = random::derive(seed, purpose);
    (0..n as u64)
        .map(|i| random::normal(key, i) as f32)
        .collect()
}

/// A number below `n` that depends on seed and counter.
pub(crate) fn below(seed: u64, counter: u64, n: usize) -> usize {
    (random::bits(seed, counter) % n as u64) as usize
}

pub(crate) fn to_f64(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// Fails unless `|actual − expected| ≤ tolerance·(1 + |expected|)` everywhere; infinities must be equal.
#[track_caller]
pub(crate) fn assert_close(what: &str, actual: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "length of {what}");
    for (i, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
        let actual = f64::from(actual);
        let near = (actual - expected).abs() <= tolerance * (1.0 + expected.abs());
        assert!(
            near || actual == expected,
            "{what}[{i}] is {actual:e}, expected {expected:e}"
        );
    }
}

/// d f/d x[i] by central differences.
pub(crate) fn slope(x: &mut [f64], i: usize, mut f: impl FnMut(&[f64]) -> f64) -> f64 {
    const H: f64 = 1e-5;
    let was = x[i];
    x[i] = was + H;
    let up = f(x);
    x[i] = was - H;
    let down = f(x);
    x[i] = was;
    (up - down) / (2.0 * H)
}
