//! Words as rows of the embedding, and sums of them: king − man + woman (Mikolov et al. 2013).

use glassformer_tokens::{TokenizeError, Tokenizer};

use crate::TraceError;
use crate::neighbours::{Table, length};

/// A term of a sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// 1 or −1.
    pub sign: f32,
    /// The tokens that the word is.
    pub ids: Vec<u32>,
}

/// The tokens of a word: one if the vocabulary has it, as it stands behind another word or alone, or under the name of an
/// entry (`[CLS]`). None where no character is known.
pub fn ids(tokenizer: &Tokenizer, word: &str) -> Result<Vec<u32>, TokenizeError> {
    let behind = tokenizer.encode(&format!(" {word}"))?.ids;
    let alone = tokenizer.encode(word)?.ids;
    let entry: Vec<u32> = tokenizer.id_of(word).into_iter().collect();
    Ok(match (behind.len(), alone.len()) {
        (1, _) if !word.starts_with(char::is_whitespace) => behind,
        (_, 1) => alone,
        _ if !entry.is_empty() => entry,
        (a, b) if a < b => behind,
        _ => alone,
    })
}

/// Σ sign · w/‖w‖ `[D]`, w the mean of a word's rows.
pub fn sum(table: &Table<'_>, terms: &[Term]) -> Result<Vec<f32>, TraceError> {
    let mut sum = Vec::new();
    for term in terms {
        let mut mean = Vec::new();
        for &id in &term.ids {
            add(&mut mean, &table.row(id)?, 1.0);
        }
        let scale = term.sign / length(&mean);
        add(&mut sum, &mean, scale);
    }
    Ok(sum)
}

/// y ← y + factor·x; an empty y is 0.
pub fn add(y: &mut Vec<f32>, x: &[f32], factor: f32) {
    y.resize(x.len(), 0.0);
    for (y, x) in y.iter_mut().zip(x) {
        *y += factor * x;
    }
}
