//! Tokens: nearest rows of the embedding.

use anyhow::{Result, bail};
use glassformer_tokens::Tokenizer;
use glassformer_trace::neighbours::{Table, length};
use serde_json::json;

use super::{Expression, Similar};
use crate::terminal::{note, thousands, write};

/// A term, and the tokens that it is.
struct Word<'a> {
    sign: f32,
    text: &'a str,
    ids: Vec<u32>,
}

pub(super) fn run(asked: &Similar, expression: &Expression) -> Result<()> {
    let loaded = asked.model.open()?;
    let tokenizer = &loaded.tokenizer;
    let table = Table::of(&loaded.model)?;
    let mut words = Vec::new();
    for term in &expression.terms {
        words.push(Word {
            sign: term.sign(),
            text: &term.text,
            ids: resolve(tokenizer, &term.text)?,
        });
    }
    let sum = sum(&table, &words)?;
    let own: Vec<u32> = words.iter().flat_map(|word| &word.ids).copied().collect();
    let nearest = table.nearest(&sum, &own, asked.k);
    if asked.json {
        let terms: Vec<_> = words
            .iter()
            .map(|word| json!({"sign": word.sign as i32, "text": word.text, "ids": word.ids}))
            .collect();
        let nearest: Vec<_> = nearest
            .iter()
            .map(|&(id, cosine)| json!({"id": id, "text": tokenizer.token_text(id), "cosine": cosine}))
            .collect();
        let line = json!({"terms": terms, "nearest": nearest});
        return Ok(write(&format!("{line}\n"))?);
    }
    let mut out = heading(tokenizer, &words, loaded.model.dimensions().vocab);
    for (id, cosine) in nearest {
        out += &format!("{cosine:>8.4}  {id:>7}  {}\n", shown(tokenizer, id));
    }
    Ok(write(&out)?)
}

/// The tokens of a word: one if the vocabulary has it, as it stands behind another word or alone, or under the name of an
/// entry (`[CLS]`).
fn resolve(tokenizer: &Tokenizer, word: &str) -> Result<Vec<u32>> {
    let behind = tokenizer.encode(&format!(" {word}"))?.ids;
    let alone = tokenizer.encode(word)?.ids;
    let entry: Vec<u32> = tokenizer.id_of(word).into_iter().collect();
    let [one, two] = [&behind, &alone];
    let ids = match (one.len(), two.len()) {
        (1, _) if !word.starts_with(char::is_whitespace) => behind,
        (_, 1) => alone,
        _ if !entry.is_empty() => entry,
        (a, b) if a < b => behind,
        _ => alone,
    };
    if ids.is_empty() {
        bail!("{word:?} has no tokens in this model's vocabulary");
    }
    if ids.len() > 1 {
        let pieces: Vec<String> = ids.iter().map(|&id| shown(tokenizer, id)).collect();
        note(&format!(
            "{word:?} is {} tokens here ({}); the mean of their rows is taken",
            ids.len(),
            pieces.join(" ")
        ));
    }
    Ok(ids)
}

/// Σ sign · w/‖w‖, w the mean of a word's rows.
fn sum(table: &Table<'_>, words: &[Word<'_>]) -> Result<Vec<f32>> {
    let mut sum = Vec::new();
    for word in words {
        let mut mean = Vec::new();
        for &id in &word.ids {
            add(&mut mean, &table.row(id)?, 1.0);
        }
        let scale = word.sign / length(&mean);
        add(&mut sum, &mean, scale);
    }
    Ok(sum)
}

/// y ← y + factor·x; an empty y is 0.
pub(super) fn add(y: &mut Vec<f32>, x: &[f32], factor: f32) {
    y.resize(x.len(), 0.0);
    for (y, x) in y.iter_mut().zip(x) {
        *y += factor * x;
    }
}

fn heading(tokenizer: &Tokenizer, words: &[Word<'_>], vocab: usize) -> String {
    let terms = words.iter().enumerate().map(|(i, word)| {
        let sign = match (i, word.sign < 0.0) {
            (0, false) => "",
            (_, false) => "+ ",
            (_, true) => "− ",
        };
        let pieces: Vec<String> = word
            .ids
            .iter()
            .map(|&id| format!("{} ({id})", shown(tokenizer, id)))
            .collect();
        format!("{sign}{}", pieces.join(" "))
    });
    let terms: Vec<String> = terms.collect();
    format!(
        "nearest to {} among {} rows of the embedding\n\n  cosine       id  token\n",
        terms.join(" "),
        thousands(vocab as u64)
    )
}

/// A token as text, or as the name of its entry where its bytes are not whole characters.
fn shown(tokenizer: &Tokenizer, id: u32) -> String {
    match tokenizer.token_text(id) {
        Some(text) => format!("{text:?}"),
        None => format!("{}", tokenizer.token_bytes(id).escape_ascii()),
    }
}
