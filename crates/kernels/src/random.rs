//! Random numbers from a counter: the same (key, counter) gives the same number, in any order, on any thread.
//!
//! So a dropout mask need not be stored, and the random state of a training run is one number.
//! The mixing function is SplitMix64's finaliser (Steele, Lea, Flood 2014), applied twice.

/// Mixes 64 bits so that each input bit flips each output bit with probability about one half.
#[inline(always)]
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 64 random bits for a key and a counter.
#[inline(always)]
pub fn bits(key: u64, counter: u64) -> u64 {
    mix(mix(counter.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ key).wrapping_add(key))
}

/// Derives a key for a named purpose from another key.
pub fn derive(key: u64, purpose: u64) -> u64 {
    bits(key, purpose ^ 0x5851_f42d_4c95_7f2d)
}

/// A number in 0 ≤ u < 1 with 53 random bits.
pub fn uniform(key: u64, counter: u64) -> f64 {
    (bits(key, counter) >> 11) as f64 / (1u64 << 53) as f64
}

/// A number from the normal distribution with mean 0 and variance 1 (Box–Muller on two uniforms).
pub fn normal(key: u64, counter: u64) -> f64 {
    let u = 1.0 - uniform(key, 2 * counter);
    let v = uniform(key, 2 * counter + 1);
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

#[cfg(test)]
mod tests {
    use super::{normal, uniform};

    #[test]
    fn moments_are_those_of_the_distributions() {
        let n = 100_000;
        let mean_and_variance = |f: &dyn Fn(u64) -> f64| {
            let mean = (0..n).map(f).sum::<f64>() / n as f64;
            (
                mean,
                (0..n).map(|i| (f(i) - mean).powi(2)).sum::<f64>() / n as f64,
            )
        };
        let (mean, variance) = mean_and_variance(&|i| uniform(7, i));
        assert!((mean - 0.5).abs() < 0.005 && (variance - 1.0 / 12.0).abs() < 0.002);
        let (mean, variance) = mean_and_variance(&|i| normal(7, i));
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02);
    }

    #[test]
    fn keys_are_independent() {
        let same = (0..10_000)
            .filter(|&i| (uniform(1, i) < 0.5) == (uniform(2, i) < 0.5))
            .count();
        assert!((4_800..5_200).contains(&same), "{same} of 10,000 agree");
    }
}
