//! A template's source, changed so that the library's limits hold and transformers' own block is known.
//!
//! - Where values are put together (lists, maps, tuples, what is assigned or passed), they are weighed: `[a, b]` becomes
//!   `([a, b]|__weighed)`; see [`weight`](super::weight).
//! - `*` could repeat a list a hundred million times. It needs a string beside it, or a small number.
//! - `{% generation %}` marks what the model says, for those who train on it alone. It writes nothing, so it becomes a
//!   block that always stands.
//! - Expressions and chains of `elif` have a greatest length: the library goes through them recursively.
//!
//! Lines and white space stay as they are.

use minijinja::machinery::{Span, Token, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::ChatError;
use super::tag::Tag;

/// More blocks than this in one template, or more words in one tag, are no chat template.
const MOST_BLOCKS: usize = 2_000;
const MOST_WORDS: usize = 1_000;

/// A word of a tag and where it stands.
pub(super) type Word<'a> = (Token<'a>, Span);

/// What is to be done with the bytes `start..end` of the source.
pub(super) struct Change {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) to: To,
}

pub(super) enum To {
    /// Put into brackets and through the filter of this name.
    Filtered(&'static str),
    /// Replaced by this.
    Other(&'static str),
}

/// `source` with all changes made.
pub(super) fn rewrite(source: &str, syntax: SyntaxConfig) -> Result<String, ChatError> {
    let mut changes = Vec::new();
    let mut words: Vec<Word> = Vec::new();
    let mut blocks = 0;
    for word in tokenize(source, false, syntax) {
        let (token, span) = word.map_err(|error| ChatError::syntax(&error))?;
        match token {
            Token::TemplateData(_) | Token::VariableStart | Token::BlockStart => {
                blocks += usize::from(matches!(token, Token::BlockStart));
                words.clear();
                words.push((token, span));
            }
            Token::VariableEnd | Token::BlockEnd => {
                Tag::new(&words, &mut changes).read()?;
                words.clear();
            }
            _ => words.push((token, span)),
        }
        if blocks > MOST_BLOCKS || words.len() > MOST_WORDS {
            return Err(refused(span, "this is too long for a chat template"));
        }
    }
    Ok(apply(source, changes))
}

pub(super) fn refused(at: Span, why: &str) -> ChatError {
    ChatError::Syntax {
        line: usize::from(at.start_line),
        why: why.to_owned(),
    }
}

/// Makes the changes, which lie beside or inside one another. Where several begin or end, the outer ones enclose the inner.
fn apply(source: &str, changes: Vec<Change>) -> String {
    let mut inserts: Vec<(usize, bool, usize, String)> = Vec::new();
    let mut left_out = Vec::new();
    for Change { start, end, to } in changes {
        let length = end - start;
        match to {
            To::Filtered(name) => {
                inserts.push((start, true, usize::MAX - length, "(".to_owned()));
                inserts.push((end, false, length, format!("|{name})")));
            }
            To::Other(text) => {
                inserts.push((start, true, 0, text.to_owned()));
                left_out.push(start..end);
            }
        }
    }
    inserts.sort();
    let mut text = String::with_capacity(source.len() * 2);
    let mut at = 0;
    for (place, _, _, insert) in inserts {
        text.push_str(&source[at..place]);
        text.push_str(&insert);
        at = place;
        if let Some(gap) = left_out.iter().find(|gap| gap.start == place) {
            at = gap.end;
        }
    }
    text + &source[at..]
}
