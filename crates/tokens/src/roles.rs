//! Which tokens begin and end texts.

use crate::added::Added;

/// Names under which families list the token that ends a text, the likeliest first.
const END_OF_TEXT: [&str; 6] = [
    crate::train::END_OF_TEXT,
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "<|end|>",
    "<｜end▁of▁sentence｜>",
];

/// Names of tokens that end one side's turn in a conversation: ChatML and Qwen, Llama 3 (two), Gemma, SmolVLM.
const END_OF_TURN: [&str; 5] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<end_of_turn>",
    "<end_of_utterance>",
];

/// The roles that ids play.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles {
    /// Begins a text.
    pub(crate) bos: Option<u32>,
    /// Ends a text.
    pub(crate) end_of_text: Option<u32>,
    /// Whatever ends what a model says: no generation should go on after one of these. Sorted.
    pub(crate) stops: Vec<u32>,
}

impl Roles {
    /// By the names of special tokens, where `bos` is what the tokenizer itself sets before texts.
    pub(crate) fn by_name(added: &[Added], bos: Option<u32>) -> Self {
        let id_of = |name: &&str| {
            let named = |token: &&Added| token.special && token.content == **name;
            Some(added.iter().find(named)?.id)
        };
        let end_of_text = END_OF_TEXT.iter().find_map(&id_of);
        let mut roles = Self {
            bos,
            end_of_text,
            stops: Vec::new(),
        };
        let ends = END_OF_TEXT.iter().chain(&END_OF_TURN);
        roles.add_stops(ends.filter_map(id_of));
        roles
    }

    /// Ids that the model's files declare as its end. The first ends texts too, where no name said so.
    pub(crate) fn declare_ends(&mut self, ids: &[u32]) {
        self.end_of_text = self.end_of_text.or(ids.first().copied());
        self.add_stops(ids.iter().copied());
    }

    fn add_stops(&mut self, ids: impl Iterator<Item = u32>) {
        self.stops.extend(ids);
        self.stops.sort_unstable();
        self.stops.dedup();
    }
}
