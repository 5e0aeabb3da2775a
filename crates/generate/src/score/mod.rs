//! How near translations are to references: BLEU and chrF over a corpus, with the numbers and signatures of sacreBLEU.
//!
//! Post 2018, *A Call for Clarity in Reporting BLEU Scores*: a score means something only with the way in which texts were
//! cut. So each comes with a signature that tells all choices.

mod bleu;
mod chrf;
mod ngrams;
mod tokenize;

use std::fmt;

pub use bleu::{Bleu, BleuScore};
pub use chrf::{Chrf, ChrfScore};
pub use tokenize::Tokenize;

/// What a score was computed with, in sacreBLEU's form: `nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature(Vec<(&'static str, String)>);

impl Signature {
    /// `parts` after the number of references, and before the version, which is this program's.
    fn new<const N: usize>(references: usize, parts: [(&'static str, String); N]) -> Self {
        let version = format!("glassformer-{}", env!("CARGO_PKG_VERSION"));
        let mut all = vec![("nrefs", references.to_string())];
        all.extend(parts);
        all.push(("version", version));
        Self(all)
    }

    /// Names and values, in order.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (name, value)) in self.0.iter().enumerate() {
            let bar = if n > 0 { "|" } else { "" };
            write!(f, "{bar}{name}:{value}")?;
        }
        Ok(())
    }
}

/// `lc` or `mixed`.
fn case(lowercase: bool) -> String {
    if lowercase { "lc" } else { "mixed" }.to_owned()
}

/// White space as Python's `str.split` knows it: Unicode's, and the four separators of ASCII.
fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

/// The words between white space.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}
