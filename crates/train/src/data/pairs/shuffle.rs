//! A shuffled order that is known without being written down.

use glassformer_kernels::random;

/// Rounds of the Feistel network. Luby & Rackoff 1988 show four of them to be enough for a strong permutation of random
/// round functions.
const ROUNDS: u64 = 4;

/// Where place `at` of 0..`len` goes in the order that `key` shuffles it to: a permutation of 0..`len`, found without
/// memory.
///
/// A Feistel network permutes the numbers of an even count of bits; whoever lands beyond `len` goes through it again
/// ("cycle walking", Black & Rogaway 2002), on average less than four times.
pub(super) fn shuffled(key: u64, len: u64, at: u64) -> u64 {
    assert!(at < len, "place {at} of {len}");
    let half = (64 - (len - 1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1u64 << half) - 1;
    let mut x = at;
    loop {
        let (mut left, mut right) = (x >> half, x & mask);
        for round in 0..ROUNDS {
            let f = random::bits(random::derive(key, round), right) & mask;
            (left, right) = (right, left ^ f);
        }
        x = left << half | right;
        if x < len {
            return x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shuffled;

    #[test]
    fn every_place_is_taken_once() {
        for len in [1, 2, 3, 4, 5, 16, 17, 101, 1_000] {
            for key in 0..5 {
                let mut seen = vec![false; len as usize];
                for at in 0..len {
                    let to = shuffled(key, len, at) as usize;
                    assert!(
                        !std::mem::replace(&mut seen[to], true),
                        "{len} {key}: {to} twice"
                    );
                }
            }
        }
    }

    #[test]
    fn every_order_of_a_few_is_as_likely() {
        let mut counts = std::collections::BTreeMap::new();
        for key in 0..6_000 {
            let order: [u64; 3] = std::array::from_fn(|at| shuffled(key, 3, at as u64));
            *counts.entry(order).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(
            counts.values().all(|count| (850..1_150).contains(count)),
            "{counts:?}"
        );
    }
}
