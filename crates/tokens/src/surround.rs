//! What a tokenizer sets around texts before a model reads them: Llama's `<s>`, BERT's `[CLS] … [SEP]`.
//!
//! A `tokenizer.json` says so in its `post_processor`, in one of several languages (`TemplateProcessing`,
//! `BertProcessing`, `RobertaProcessing`, sequences of these). All are understood by asking the library once what it makes
//! of one marked token, and of two.

use tokenizers::{Encoding, Token};

use crate::error::{TokenizeError, guard};
use crate::file::malformed;

/// Stand for the first and the second text when the library is asked.
const MARKS: [u32; 2] = [u32::MAX, u32::MAX - 1];

/// Nobody sets more tokens than this around a text.
const MOST_PARTS: usize = 64;

/// A text, or a token set beside it, and the segment it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) what: What,
    /// BERT's segment (`token_type_ids`): 0 for the first text, 1 for the second.
    pub(crate) segment: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Token(u32),
    /// The first text (0) or the second (1).
    Text(usize),
}

/// What stands around one text, and around two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Surround {
    pub(crate) single: Vec<Part>,
    pub(crate) pair: Vec<Part>,
}

impl Surround {
    /// Asks `library`, whose ids are below `size`.
    pub(crate) fn of(library: &tokenizers::Tokenizer, size: usize) -> Result<Self, TokenizeError> {
        let ask =
            |texts| parts(library, texts, size).map_err(|why| malformed("post_processor", why));
        Ok(Self {
            single: ask(1)?,
            pair: ask(2)?,
        })
    }

    /// The token before a text, if there is one.
    pub(crate) fn first(&self) -> Option<u32> {
        match self.single.first()?.what {
            What::Token(id) => Some(id),
            What::Text(_) => None,
        }
    }

    /// How many tokens are set around one text.
    pub(crate) fn len(&self) -> usize {
        self.single.len() - 1
    }

    /// Sets `bos` before each text, or takes it away.
    pub(crate) fn set_first(&mut self, bos: u32, wanted: bool) {
        let segment = 0;
        let what = What::Token(bos);
        for parts in [&mut self.single, &mut self.pair] {
            let is_there = parts.first().is_some_and(|part| part.what == what);
            if wanted && !is_there {
                parts.insert(0, Part { what, segment });
            } else if !wanted && is_there {
                parts.remove(0);
            }
        }
    }

    /// Sets `eos` after each text, or takes it away.
    pub(crate) fn set_last(&mut self, eos: u32, wanted: bool) {
        let what = What::Token(eos);
        for parts in [&mut self.single, &mut self.pair] {
            let segment = parts.last().map_or(0, |part| part.segment);
            let is_there = parts.last().is_some_and(|part| part.what == what);
            if wanted && !is_there {
                parts.push(Part { what, segment });
            } else if !wanted && is_there {
                parts.pop();
            }
        }
    }
}

/// What the library makes of `texts` texts of one marked token each.
fn parts(library: &tokenizers::Tokenizer, texts: usize, size: usize) -> Result<Vec<Part>, String> {
    let marked = |text: usize| {
        let token = Token::new(MARKS[text], "a".into(), (0, 1));
        Encoding::from_tokens(vec![token], text as u32)
    };
    let second = (texts == 2).then(|| marked(1));
    let whole = guard(|| library.post_process(marked(0), second, true))?;
    if whole.len() > MOST_PARTS {
        return Err(format!("it sets {} tokens around a text", whole.len()));
    }
    let mut parts = Vec::with_capacity(whole.len());
    for (&id, &segment) in whole.get_ids().iter().zip(whole.get_type_ids()) {
        let what = match MARKS.iter().position(|mark| *mark == id) {
            Some(text) => What::Text(text),
            None if (id as usize) < size => What::Token(id),
            None => return Err(format!("it sets the id {id}, which is no token")),
        };
        parts.push(Part { what, segment });
    }
    for text in 0..texts {
        let is_it = |part: &&Part| part.what == What::Text(text);
        let count = parts.iter().filter(is_it).count();
        if count != 1 {
            return Err(format!("text {} stands {count} times in it", text + 1));
        }
    }
    Ok(parts)
}
