//! Counts of n-grams.

use std::collections::HashMap;
use std::hash::Hash;

/// How often each n-gram occurs.
pub(super) type Counts<G> = HashMap<G, u64>;

/// The n-grams of words, n as given.
pub(super) fn of_words<'a, 'w>(words: &'w [&'a str], n: usize) -> Counts<&'w [&'a str]> {
    count(words.windows(n))
}

/// The n-grams of characters; `ends` are the bytes at which each character of `text` begins, and its length.
pub(super) fn of_characters<'t>(text: &'t str, ends: &[usize], n: usize) -> Counts<&'t str> {
    count(ends.windows(n + 1).map(|range| &text[range[0]..range[n]]))
}

fn count<G: Eq + Hash>(grams: impl Iterator<Item = G>) -> Counts<G> {
    let mut counts = HashMap::new();
    for gram in grams {
        *counts.entry(gram).or_insert(0) += 1;
    }
    counts
}

/// N-grams of a hypothesis that stand in the reference too, each at most as often as there.
pub(super) fn matches<G: Eq + Hash>(hypothesis: &Counts<G>, reference: &Counts<G>) -> u64 {
    let both = hypothesis.iter().filter_map(|(gram, &count)| {
        let other = reference.get(gram)?;
        Some(count.min(*other))
    });
    both.sum()
}
