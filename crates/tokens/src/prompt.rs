//! Texts as a model wants to read them: with what its tokenizer sets around them.

use std::sync::Arc;

use crate::encode::Encoding;
use crate::error::TokenizeError;
use crate::surround::What;
use crate::tokenizer::Tokenizer;

/// Two texts in ids, for a model that reads them as one (BERT, RoBERTa).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairEncoding {
    /// The token ids of both texts, and of what stands around them.
    pub ids: Vec<u32>,
    /// For each id the segment it belongs to, as the tokenizer numbers them (`token_type_ids`).
    pub segments: Vec<u32>,
    /// Characters of either text that the vocabulary does not know.
    pub unknown: Vec<char>,
}

impl Tokenizer {
    /// The ids of `text` with what the tokenizer sets around a text: `<s> text` for Llama, `[CLS] text [SEP]` for BERT,
    /// the bare text for GPT-2. Special tokens written in `text` are plain text, as in [`encode`](Self::encode).
    ///
    /// A rendered chat template has its special tokens inside: that is for
    /// [`encode_with_specials`](Self::encode_with_specials), not for this.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_prompt(&self, text: &str) -> Result<Encoding, TokenizeError> {
        self.encode_prompt_within(text, usize::MAX)
    }

    /// As [`encode_prompt`](Self::encode_prompt), but the end of `text` is left out where the whole would be more than
    /// `most` ids. What stands around it stays, even if that alone is more.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_prompt_within(&self, text: &str, most: usize) -> Result<Encoding, TokenizeError> {
        let own = self.encode(text)?;
        let room = most.saturating_sub(self.surround.len());
        let mut whole = Encoding::default();
        for part in &self.surround.single {
            match part.what {
                What::Token(id) => {
                    let at = whole.offsets.last().map_or(0, |range| range.end);
                    whole.push(id, at..at);
                }
                What::Text(_) => {
                    whole.ids.extend(own.ids.iter().take(room));
                    whole.offsets.extend(own.offsets.iter().take(room).cloned());
                }
            }
        }
        whole.left_out = own.ids.len().saturating_sub(room);
        whole.unknown = own.unknown;
        Ok(whole)
    }

    /// The ids of two texts with what the tokenizer sets around and between them, and the segment of each id:
    /// `[CLS] first [SEP] second [SEP]` for BERT, the last two parts in segment 1.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_pair(&self, first: &str, second: &str) -> Result<PairEncoding, TokenizeError> {
        let texts = [self.encode(first)?, self.encode(second)?];
        let mut pair = PairEncoding::default();
        for part in &self.surround.pair {
            match part.what {
                What::Token(id) => pair.ids.push(id),
                What::Text(text) => pair.ids.extend(&texts[text].ids),
            }
            pair.segments.resize(pair.ids.len(), part.segment);
        }
        pair.unknown = texts.into_iter().flat_map(|text| text.unknown).collect();
        pair.unknown.sort_unstable();
        pair.unknown.dedup();
        Ok(pair)
    }

    /// The token that begins texts, if the model knows one: Llama's `<s>`, BERT's `[CLS]`.
    /// [`encode_prompt`](Self::encode_prompt) need not set it: some models have one and are used without.
    pub fn bos(&self) -> Option<u32> {
        self.roles.bos
    }

    /// The token set between texts, where there is one: a character vocabulary has none.
    pub fn end_of_text(&self) -> Option<u32> {
        self.roles.end_of_text
    }

    /// Whatever ends what a model says, in order of their ids: the end of text, the end of a turn (`<|im_end|>`), and what
    /// the model's files declare.
    pub fn stops(&self) -> &[u32] {
        &self.roles.stops
    }

    /// The same tokenizer, for a model that ends what it says with one of `ids` as well (`eos_token_id` of
    /// `generation_config.json` and `config.json`, a number or a list). Ids outside of the vocabulary are left out.
    #[must_use]
    pub fn with_stops(&self, ids: &[u32]) -> Self {
        let known = ids
            .iter()
            .copied()
            .filter(|&id| (id as usize) < self.vocab_size());
        let mut tokenizer = self.clone();
        Arc::make_mut(&mut tokenizer.roles).declare_ends(&known.collect::<Vec<_>>());
        tokenizer
    }
}
