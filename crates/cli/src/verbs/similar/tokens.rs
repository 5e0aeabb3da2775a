//! Tokens: nearest rows of the embedding.

use anyhow::{Result, bail};
use glassformer_tokens::Tokenizer;
use glassformer_trace::neighbours::Table;
use glassformer_trace::words;
use serde_json::json;

use super::{Expression, Similar};
use crate::terminal::{note, thousands, write};

/// A term, and the tokens that it is.
struct Word<'a> {
    text: &'a str,
    term: words::Term,
}

pub(super) fn run(asked: &Similar, expression: &Expression) -> Result<()> {
    let loaded = asked.model.open()?;
    let tokenizer = &loaded.tokenizer;
    let table = Table::of(&loaded.model)?;
    let mut told = Vec::new();
    for term in &expression.terms {
        told.push(Word {
            text: &term.text,
            term: words::Term {
                sign: term.sign(),
                ids: resolve(tokenizer, &term.text)?,
            },
        });
    }
    let terms: Vec<words::Term> = told.iter().map(|word| word.term.clone()).collect();
    let sum = words::sum(&table, &terms)?;
    let own: Vec<u32> = terms.iter().flat_map(|term| &term.ids).copied().collect();
    let nearest = table.nearest(&sum, &own, asked.k);
    if asked.json {
        let terms: Vec<_> = told
            .iter()
            .map(|word| json!({"sign": word.term.sign as i32, "text": word.text, "ids": word.term.ids}))
            .collect();
        let nearest: Vec<_> = nearest
            .iter()
            .map(|&(id, cosine)| json!({"id": id, "text": tokenizer.token_text(id), "cosine": cosine}))
            .collect();
        let line = json!({"terms": terms, "nearest": nearest});
        return Ok(write(&format!("{line}\n"))?);
    }
    let mut out = heading(tokenizer, &told, loaded.model.dimensions().vocab);
    for (id, cosine) in nearest {
        out += &format!("{cosine:>8.4}  {id:>7}  {}\n", shown(tokenizer, id));
    }
    Ok(write(&out)?)
}

/// The tokens of a word; says so where they are several.
fn resolve(tokenizer: &Tokenizer, word: &str) -> Result<Vec<u32>> {
    let ids = words::ids(tokenizer, word)?;
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

fn heading(tokenizer: &Tokenizer, words: &[Word<'_>], vocab: usize) -> String {
    let terms = words.iter().enumerate().map(|(i, word)| {
        let sign = match (i, word.term.sign < 0.0) {
            (0, false) => "",
            (_, false) => "+ ",
            (_, true) => "− ",
        };
        let pieces: Vec<String> = word
            .term
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
