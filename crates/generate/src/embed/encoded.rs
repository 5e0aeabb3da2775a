//! Texts to ids, all threads at it.

use glassformer_tensor::Pool;
use glassformer_tokens::{Encoding, TokenizeError, Tokenizer};

/// Texts that a thread takes at a time.
const TEXTS: usize = 8;

/// A text of which a model reads the beginning only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Which, from 0.
    pub text: usize,
    /// Its tokens, read or not.
    pub tokens: usize,
}

/// Texts as a model reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The ids of each.
    pub ids: Vec<Vec<u32>>,
    /// Those that were too long.
    pub cuts: Vec<Cut>,
}

impl Encoded {
    /// The ids of `texts`, each with what the tokenizer sets around it. Where that is more than `most`, the end of the
    /// text is left out.
    pub fn of<T: AsRef<str> + Sync>(
        pool: &Pool,
        tokenizer: &Tokenizer,
        texts: &[T],
        most: usize,
    ) -> Result<Self, TokenizeError> {
        let mut found: Vec<Result<Encoding, TokenizeError>> = Vec::new();
        found.resize_with(texts.len(), || Ok(Encoding::default()));
        pool.split(
            ((&mut found[..], TEXTS), (texts, TEXTS)),
            |_, (found, texts)| {
                for (found, text) in found.iter_mut().zip(texts) {
                    *found = tokenizer.encode_prompt_within(text.as_ref(), most);
                }
            },
        );
        let mut encoded = Self::default();
        for (text, found) in found.into_iter().enumerate() {
            let Encoding { ids, left_out, .. } = found?;
            if left_out > 0 {
                let tokens = ids.len() + left_out;
                encoded.cuts.push(Cut { text, tokens });
            }
            encoded.ids.push(ids);
        }
        Ok(encoded)
    }
}
