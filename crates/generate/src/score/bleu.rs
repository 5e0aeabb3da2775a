//! BLEU (Papineni et al. 2002) over a corpus.
//!
//! ```text
//! BLEU = 100 · BP · exp( ¼ Σ_{n=1..4} ln p_n )      BP = min(1, exp(1 − r/c))
//! ```
//!
//! with p_n the part of the hypotheses' n-grams that stand in the references, c the tokens of all hypotheses and r those of
//! the references nearest in length. An order without a match counts as half a match, the next such as a quarter, and so on
//! (`exp`, the smoothing of NIST's script; Chen & Cherry 2014, method 3).

use std::fmt;

use super::ngrams::{Counts, matches, of_words};
use super::{Signature, Tokenize, case, is_space, words};

/// The longest n-grams.
const ORDER: usize = 4;

/// How BLEU is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bleu {
    /// How texts are cut.
    pub tokenize: Tokenize,
    /// Whether all letters are made small before.
    pub lowercase: bool,
}

/// A score, and what it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct BleuScore {
    /// From 0 to 100.
    pub score: f64,
    /// p_n in percent, smoothed.
    pub precisions: [f64; ORDER],
    /// BP.
    pub brevity_penalty: f64,
    /// c.
    pub hypothesis_tokens: u64,
    /// r.
    pub reference_tokens: u64,
}

impl fmt::Display for BleuScore {
    /// As sacreBLEU writes what stands behind the score.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.precisions;
        let [hypotheses, references] = [self.hypothesis_tokens, self.reference_tokens];
        let ratio = match references {
            0 => 0.0,
            _ => hypotheses as f64 / references as f64,
        };
        write!(
            f,
            "{a:.1}/{b:.1}/{c:.1}/{d:.1} (BP = {:.3} ratio = {ratio:.3} hyp_len = {hypotheses} ref_len = {references})",
            self.brevity_penalty
        )
    }
}

/// Sums over a corpus.
#[derive(Default)]
struct Sums {
    hypothesis_tokens: u64,
    reference_tokens: u64,
    correct: [u64; ORDER],
    total: [u64; ORDER],
}

impl Bleu {
    /// The score of all segments, each a hypothesis with its references, of which there is at least one.
    pub fn score<'a, R: AsRef<str> + 'a>(
        &self,
        segments: impl IntoIterator<Item = (&'a str, &'a [R])>,
    ) -> BleuScore {
        let mut sums = Sums::default();
        for (hypothesis, references) in segments {
            let hypothesis = self.cut(hypothesis);
            let references = references.iter().map(|text| self.cut(text.as_ref()));
            sums.add(&hypothesis, &references.collect::<Vec<_>>());
        }
        sums.score()
    }

    /// What a score against so many references was computed with.
    pub fn signature(&self, references: usize) -> Signature {
        let parts = [
            ("case", case(self.lowercase)),
            ("eff", "no".to_owned()),
            ("tok", self.tokenize.name().to_owned()),
            ("smooth", "exp".to_owned()),
        ];
        Signature::new(references, parts)
    }

    fn cut(self, text: &str) -> String {
        let text = text.trim_end_matches(is_space);
        if self.lowercase {
            return self.tokenize.apply(&text.to_lowercase());
        }
        self.tokenize.apply(text)
    }
}

impl Sums {
    /// Adds a segment whose texts are cut.
    fn add(&mut self, hypothesis: &str, references: &[String]) {
        let hypothesis: Vec<&str> = words(hypothesis).collect();
        let references: Vec<Vec<&str>> = references
            .iter()
            .map(|text| words(text).collect())
            .collect();
        let length = hypothesis.len();
        self.hypothesis_tokens += length as u64;
        // The nearest in length, of two equally near the shorter.
        let lengths = references.iter().map(Vec::len);
        let nearest = lengths.min_by_key(|&other| (other.abs_diff(length), other));
        self.reference_tokens += nearest.unwrap_or_default() as u64;
        for n in 1..=ORDER {
            let mut most: Counts<&[&str]> = Counts::new();
            for (gram, count) in references.iter().flat_map(|words| of_words(words, n)) {
                let slot = most.entry(gram).or_default();
                *slot = count.max(*slot);
            }
            self.correct[n - 1] += matches(&of_words(&hypothesis, n), &most);
            self.total[n - 1] += (length + 1).saturating_sub(n) as u64;
        }
    }

    fn score(&self) -> BleuScore {
        let [c, r] = [self.hypothesis_tokens as f64, self.reference_tokens as f64];
        let brevity_penalty = match () {
            () if c >= r => 1.0,
            () if c > 0.0 => (1.0 - r / c).exp(),
            () => 0.0,
        };
        let mut precisions = [0.0; ORDER];
        let mut score = 0.0;
        if self.correct.iter().any(|&correct| correct > 0) {
            let mut share = 1.0;
            for ((precision, &correct), &total) in
                precisions.iter_mut().zip(&self.correct).zip(&self.total)
            {
                if total == 0 {
                    break;
                }
                *precision = if correct == 0 {
                    share *= 2.0;
                    100.0 / (share * total as f64)
                } else {
                    100.0 * correct as f64 / total as f64
                };
            }
            // Where no hypothesis has four tokens there is no p₄, and no score.
            let logs: f64 = precisions.iter().map(|p| p.ln()).sum();
            score = brevity_penalty * (logs / ORDER as f64).exp();
        }
        BleuScore {
            score,
            precisions,
            brevity_penalty,
            hypothesis_tokens: self.hypothesis_tokens,
            reference_tokens: self.reference_tokens,
        }
    }
}
