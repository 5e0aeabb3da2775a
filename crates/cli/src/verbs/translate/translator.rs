//! Lines to translations.

use anyhow::{Context, Result};
use glassformer_generate::translate::{Hypothesis, Search, translate};
use glassformer_tensor::Pool;
use glassformer_tokens::{Encoding, Tokenizer};
use serde::Serialize;

use super::input::Line;
use super::sentences::pieces;
use crate::source::Loaded;
use crate::terminal::{shortened, warning};

/// A model, and how it is asked.
pub(super) struct Translator {
    pub(super) loaded: Loaded,
    pub(super) pool: Pool,
    pub(super) search: Search,
}

/// A line with its translations, the best first.
#[derive(Serialize)]
pub(super) struct Translated {
    /// Counted from 1.
    pub(super) line: u64,
    pub(super) source: String,
    pub(super) translations: Vec<Translation>,
    /// Why there are none, unless the line is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// One translation. Of a line that was read in pieces, numbers are sums.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Translation {
    pub(super) text: String,
    /// ln P(text | source), divided as the length penalty says.
    pub(super) score: f64,
    pub(super) log_prob: f64,
    /// Ids that were written, without the end.
    pub(super) tokens: usize,
    /// Whether the model came to its end.
    pub(super) ended: bool,
}

impl Translator {
    /// Lines side by side, in their order. What is wrong with one of them is said on standard error.
    pub(super) fn translate(&self, lines: Vec<Line>) -> Result<Vec<Translated>> {
        let mut sources: Vec<Vec<u32>> = Vec::new();
        let mut all = Vec::new();
        for line in lines {
            let first = sources.len();
            let error = self.read(&line, &mut sources)?.err();
            if let Some(error) = &error {
                sources.truncate(first);
                warning(&format!("line {}: {error}", line.number));
            }
            all.push((line, error, first..sources.len()));
        }
        let ids: Vec<&[u32]> = sources.iter().map(Vec::as_slice).collect();
        let found = translate(&self.loaded.model, &self.pool, &ids, &self.search)
            .with_context(|| format!("cannot translate with {}", self.loaded.name))?;
        let translated = all.into_iter().map(|(line, error, pieces)| Translated {
            line: line.number,
            source: line.text,
            translations: self.joined(&found[pieces]),
            error,
        });
        Ok(translated.collect())
    }

    /// Adds what the encoder reads of a line: nothing of an empty one, several pieces of a long one. The inner error says
    /// why the line cannot be translated.
    fn read(&self, line: &Line, sources: &mut Vec<Vec<u32>>) -> Result<Result<(), String>> {
        let text = line.text.trim();
        if text.is_empty() {
            return Ok(Ok(()));
        }
        let most = self.context();
        let whole = self.encode(text)?;
        if let Some(remark) = unknown(&self.loaded.tokenizer, &whole) {
            warning(&format!("line {}: {remark}", line.number));
        }
        if whole.ids.len() <= most {
            if whole
                .ids
                .iter()
                .all(|&id| self.loaded.tokenizer.is_special(id))
            {
                return Ok(Err("the model knows none of its characters".to_owned()));
            }
            sources.push(whole.ids);
            return Ok(Ok(()));
        }
        let fits = |piece: &str| self.encode(piece).is_ok_and(|read| read.ids.len() <= most);
        let Some(pieces) = pieces(text, fits) else {
            return Ok(Err(format!(
                "it has {} tokens, more than the {most} that the model reads, and cannot be cut where sentences end; make it shorter",
                whole.ids.len()
            )));
        };
        warning(&format!(
            "line {}: it has {} tokens, more than the {most} that the model reads; it is translated in {} pieces",
            line.number,
            whole.ids.len(),
            pieces.len()
        ));
        for piece in pieces {
            sources.push(self.encode(piece)?.ids);
        }
        Ok(Ok(()))
    }

    /// Ids of a text, with the end that encoders are used to, where the tokenizer sets none.
    fn encode(&self, text: &str) -> Result<Encoding> {
        let mut read = self.loaded.tokenizer.encode_prompt(text)?;
        if self.loaded.about.target.is_none() {
            self.search.ids.close(&mut read.ids);
        }
        Ok(read)
    }

    /// Ids that the encoder reads at once.
    fn context(&self) -> usize {
        let pair = self.loaded.model.network.pair();
        pair.map_or(0, |pair| pair.encoder().n_ctx)
    }

    /// The translations of a line whose pieces have these: the best of each, the second of each, …
    fn joined(&self, pieces: &[Vec<Hypothesis>]) -> Vec<Translation> {
        let count = pieces.iter().map(Vec::len).min().unwrap_or(0);
        let written = self.loaded.about.target.as_ref();
        let tokenizer = written.unwrap_or(&self.loaded.tokenizer);
        let nth = |n: usize| {
            let mut joined = Translation {
                ended: true,
                ..Translation::default()
            };
            for one in pieces.iter().map(|piece| &piece[n]) {
                let text = tokenizer.decode_text(&one.ids).replace(['\n', '\r'], " ");
                if !joined.text.is_empty() && !joined.text.ends_with(|c: char| !c.is_ascii()) {
                    joined.text.push(' ');
                }
                joined.text.push_str(&text);
                joined.score += one.score;
                joined.log_prob += one.log_prob;
                joined.tokens += one.ids.len();
                joined.ended &= one.is_ended;
            }
            joined
        };
        (0..count).map(nth).collect()
    }
}

/// A remark about what the tokenizer does not know, or knows as single bytes alone.
fn unknown(tokenizer: &Tokenizer, read: &Encoding) -> Option<String> {
    if !read.unknown.is_empty() {
        let some: String = read.unknown.iter().take(10).collect();
        return Some(format!(
            "the model does not know these characters: {}",
            shortened(&some, 10)
        ));
    }
    let is_broken = |id: &&u32| std::str::from_utf8(tokenizer.token_bytes(**id)).is_err();
    let broken = read.ids.iter().filter(is_broken).count();
    (2 * broken > read.ids.len()).then(|| {
        "most of it is in characters that the model's vocabulary has no tokens for; expect nonsense"
            .to_owned()
    })
}
