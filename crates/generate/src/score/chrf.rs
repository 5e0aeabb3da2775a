//! chrF (Popović 2015) and chrF++ (Popović 2017) over a corpus.
//!
//! ```text
//! chrF = 100 · (1 + β²) · P · R / (β² · P + R)      β = 2
//! ```
//!
//! with P and R the means, over n-grams of 1 to 6 characters (and, for chrF++, of 1 to 2 words), of the part of the
//! hypotheses' n-grams that stand in the references, and of the references' that stand in the hypotheses. White space is
//! left out. An order that no hypothesis or no reference has is left out of the means.

use super::ngrams::{Counts, matches, of_characters, of_words};
use super::{Signature, case, is_space, words};

/// The longest n-grams of characters.
const CHARACTERS: usize = 6;

/// β²: how much more recall counts than precision.
const BETA_SQUARED: f64 = 4.0;

/// How chrF is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chrf {
    /// The longest n-grams of words: 0 for chrF, 2 for chrF++.
    pub words: usize,
    /// Whether all letters are made small before.
    pub lowercase: bool,
}

/// A score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChrfScore {
    /// From 0 to 100.
    pub score: f64,
}

/// Of one order: n-grams of the hypotheses, of the references, and of both.
type Order = [u64; 3];

/// A text, ready to be counted.
struct Text {
    /// Without white space.
    characters: String,
    /// Where each of its characters begins, and its length.
    ends: Vec<usize>,
    words: String,
}

impl Text {
    /// Its n-grams of characters.
    fn characters(&self, n: usize) -> Counts<&str> {
        of_characters(&self.characters, &self.ends, n)
    }
}

impl Chrf {
    /// The score of all segments, each a hypothesis with its references, of which there is at least one; of several, the one
    /// that gives the segment its highest score counts.
    pub fn score<'a, R: AsRef<str> + 'a>(
        &self,
        segments: impl IntoIterator<Item = (&'a str, &'a [R])>,
    ) -> ChrfScore {
        let mut sums = vec![[0; 3]; CHARACTERS + self.words];
        for (hypothesis, references) in segments {
            let hypothesis = self.prepare(hypothesis);
            let mut best: Option<(f64, Vec<Order>)> = None;
            for reference in references {
                let orders = self.orders(&hypothesis, &self.prepare(reference.as_ref()));
                let score = f_score(&orders);
                if best.as_ref().is_none_or(|(other, _)| score > *other) {
                    best = Some((score, orders));
                }
            }
            let orders = best.map(|(_, orders)| orders).unwrap_or_default();
            for (sum, order) in sums.iter_mut().flatten().zip(orders.iter().flatten()) {
                *sum += order;
            }
        }
        let score = f_score(&sums);
        ChrfScore { score }
    }

    /// `chrF2` or `chrF2++`.
    pub fn name(&self) -> String {
        format!("chrF2{}", "+".repeat(self.words))
    }

    /// What a score against so many references was computed with.
    pub fn signature(&self, references: usize) -> Signature {
        let parts = [
            ("case", case(self.lowercase)),
            ("eff", "yes".to_owned()),
            ("nc", CHARACTERS.to_string()),
            ("nw", self.words.to_string()),
            ("space", "no".to_owned()),
        ];
        Signature::new(references, parts)
    }

    fn prepare(&self, text: &str) -> Text {
        let text = if self.lowercase {
            text.to_lowercase()
        } else {
            text.to_owned()
        };
        let characters: String = text.chars().filter(|&c| !is_space(c)).collect();
        let starts = characters.char_indices().map(|(at, _)| at);
        Text {
            ends: starts.chain([characters.len()]).collect(),
            words: if self.words > 0 {
                without_signs(&text)
            } else {
                String::new()
            },
            characters,
        }
    }

    fn orders(&self, hypothesis: &Text, reference: &Text) -> Vec<Order> {
        let characters = (1..=CHARACTERS).map(|n| {
            let count = |text: &Text| (text.ends.len()).saturating_sub(n) as u64;
            let matched = matches(&hypothesis.characters(n), &reference.characters(n));
            order(count(hypothesis), count(reference), matched)
        });
        let ours: Vec<&str> = words(&hypothesis.words).collect();
        let theirs: Vec<&str> = words(&reference.words).collect();
        let words = (1..=self.words).map(|n| {
            let count = |words: &[&str]| (words.len() + 1).saturating_sub(n) as u64;
            let matched = matches(&of_words(&ours, n), &of_words(&theirs, n));
            order(count(&ours), count(&theirs), matched)
        });
        characters.chain(words).collect()
    }
}

/// What the reference does not have at all is not counted against the hypothesis.
fn order(hypothesis: u64, reference: u64, both: u64) -> Order {
    [if reference > 0 { hypothesis } else { 0 }, reference, both]
}

/// chrF of sums, from 0 to 100.
fn f_score(orders: &[Order]) -> f64 {
    let (mut precision, mut recall, mut count) = (0.0, 0.0, 0.0);
    for &[hypothesis, reference, both] in orders {
        if hypothesis > 0 && reference > 0 {
            precision += both as f64 / hypothesis as f64;
            recall += both as f64 / reference as f64;
            count += 1.0;
        }
    }
    if precision + recall == 0.0 {
        return 0.0;
    }
    let (precision, recall) = (precision / count, recall / count);
    100.0 * ((1.0 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall))
}

/// Words with one sign of ASCII at their end, or else at their beginning, set apart.
fn without_signs(text: &str) -> String {
    let mut out = String::new();
    for word in words(text) {
        let last = word
            .char_indices()
            .next_back()
            .filter(|(at, c)| *at > 0 && c.is_ascii_punctuation());
        let first = word.starts_with(|c: char| c.is_ascii_punctuation()) && word.len() > 1;
        match last {
            Some((at, _)) => out.extend([&word[..at], " ", &word[at..]]),
            None if first => out.extend([&word[..1], " ", &word[1..]]),
            None => out.push_str(word),
        }
        out.push(' ');
    }
    out
}
