//! How byte-level BPE builds a token: Sennrich et al. 2016, algorithm 1, on bytes (Radford et al. 2019).
//!
//! ```text
//! pieces = the single bytes
//! while some neighbours are in the merge list:
//!     join the pair of lowest rank, the leftmost first
//! ```

use crate::bytes::{ByteTable, character_of};

/// One line of the merge list, in ids.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Merge {
    pub(crate) left: u32,
    pub(crate) right: u32,
    pub(crate) rank: u32,
    pub(crate) merged: u32,
}

/// Merges in the order they were made, each with the index of its left piece at that moment.
type Path = Vec<(usize, Merge)>;

/// One merge on the way from single bytes to a token.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MergeStep {
    /// Index of the left piece among the pieces as they stand before this step.
    pub at: usize,
    /// Bytes of the left piece.
    pub left: Vec<u8>,
    /// Bytes of the right piece, at `at + 1`.
    pub right: Vec<u8>,
    /// Place in the merge list; the lowest goes first.
    pub rank: u32,
    /// Id of the joined piece.
    pub merged: u32,
}

/// The merge list, ready to be looked up by pair and by result.
#[derive(Debug, Default)]
pub(crate) struct Merges {
    /// Sorted by `(left, right)`.
    by_pair: Vec<Merge>,
    /// Id of each single byte.
    byte_ids: Vec<Option<u32>>,
}

impl Merges {
    /// `id_of` looks up an entry of the vocabulary.
    pub(crate) fn new(mut merges: Vec<Merge>, id_of: impl Fn(&str) -> Option<u32>) -> Self {
        // Where a pair is listed twice, the library keeps the later line.
        merges.sort_by_key(|merge| (merge.left, merge.right, std::cmp::Reverse(merge.rank)));
        merges.dedup_by_key(|merge| (merge.left, merge.right));
        let byte_ids = (0..=255)
            .map(|byte| id_of(character_of(byte).encode_utf8(&mut [0; 4])))
            .collect();
        Self {
            by_pair: merges,
            byte_ids,
        }
    }

    fn find(&self, left: u32, right: u32) -> Option<Merge> {
        let at = self
            .by_pair
            .binary_search_by_key(&(left, right), |merge| (merge.left, merge.right))
            .ok()?;
        Some(self.by_pair[at])
    }

    /// Runs BPE on `bytes`, one pre-token: the ids it ends with and the merges on the way (with `at`).
    /// `None` if the vocabulary lacks one of the bytes.
    pub(crate) fn run(&self, bytes: &[u8]) -> Option<(Vec<u32>, Path)> {
        let mut pieces: Vec<u32> = bytes
            .iter()
            .map(|&byte| self.byte_ids[usize::from(byte)])
            .collect::<Option<_>>()?;
        let mut steps = Vec::new();
        loop {
            let pairs = pieces.windows(2).enumerate();
            let found = pairs.filter_map(|(at, pair)| Some((at, self.find(pair[0], pair[1])?)));
            let Some((at, merge)) = found.min_by_key(|(at, merge)| (merge.rank, *at)) else {
                break;
            };
            pieces.splice(at..at + 2, [merge.merged]);
            steps.push((at, merge));
        }
        Some((pieces, steps))
    }

    /// The steps that make `id` from its bytes. A few tokens of converted vocabularies are never reached by BPE
    /// on their own bytes; those are taken apart from the top instead, and their merges ordered by rank.
    pub(crate) fn steps_of(&self, id: u32, table: &ByteTable) -> Vec<MergeStep> {
        let bytes = table.get(id);
        let steps = match self.run(bytes) {
            Some((pieces, steps)) if pieces == [id] => steps,
            _ => self.take_apart(id, table),
        };
        let step = |(at, merge): (usize, Merge)| MergeStep {
            at,
            left: table.get(merge.left).to_vec(),
            right: table.get(merge.right).to_vec(),
            rank: merge.rank,
            merged: merge.merged,
        };
        steps.into_iter().map(step).collect()
    }

    /// Undoes the merge that made each piece until single bytes are left, and lists the merges backwards.
    fn take_apart(&self, id: u32, table: &ByteTable) -> Path {
        let mut pieces = vec![id];
        let mut steps = Vec::new();
        loop {
            let whole = pieces
                .iter()
                .enumerate()
                .filter(|(_, piece)| table.get(**piece).len() > 1);
            let made = whole.filter_map(|(at, &piece)| Some((at, self.maker(piece, table)?)));
            let Some((at, merge)) = made.max_by_key(|(at, merge)| (merge.rank, *at)) else {
                break;
            };
            pieces.splice(at..=at, [merge.left, merge.right]);
            steps.push((at, merge));
        }
        let single = pieces.iter().all(|&piece| table.get(piece).len() == 1);
        if !single {
            return Vec::new();
        }
        steps.reverse();
        steps
    }

    /// The first merge in the list that gives `id` from two shorter pieces.
    fn maker(&self, id: u32, table: &ByteTable) -> Option<Merge> {
        let splits = |merge: &&Merge| {
            merge.merged == id
                && !table.get(merge.left).is_empty()
                && !table.get(merge.right).is_empty()
        };
        self.by_pair
            .iter()
            .filter(splits)
            .min_by_key(|merge| merge.rank)
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _};

    use crate::Tokenizer;
    use crate::bytes::bytes_of;

    fn small() -> Tokenizer {
        let text = "aa aaa aaaa the then there 床前明月光 床前床前 abab ababab\n".repeat(3);
        Tokenizer::train_bpe(std::iter::once(text), 320).unwrap()
    }

    proptest! {
        #[test]
        fn own_merges_give_the_librarys_ids(text in "([ab ]{0,9}|the|床前|明|\\PC)*") {
            let tokenizer = small();
            let mut words = PreTokenizedString::from(text.as_str());
            tokenizer.library().get_pre_tokenizer().unwrap().pre_tokenize(&mut words).unwrap();
            let words = words.get_splits(OffsetReferential::Original, OffsetType::None);
            let ids: Vec<u32> = words
                .iter()
                .flat_map(|(word, _, _)| tokenizer.merges().run(&bytes_of(word).unwrap()).unwrap().0)
                .collect();
            prop_assert_eq!(ids, tokenizer.encode(&text).unwrap().ids);
        }
    }
}
