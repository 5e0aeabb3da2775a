//! Batches of pairs that take about as many tokens, so that a batch is even and its size is bounded by what it costs.
//!
//! All pairs are sorted by the tokens of both sides; consecutive ones make a batch as long as their tokens stay within the
//! limit (fairseq's `--max-tokens`, but both sides count, as the engine computes both and pads neither). In each epoch pairs
//! of one length are shuffled among themselves, and the batches too: both by a permutation that is a function of the seed and
//! the epoch. So batch number `index` depends on the seed and the index alone, and each pair is met once in an epoch.

use std::ops::Range;

use glassformer_kernels::random;

use super::shards::PairShard;
use super::shuffle::shuffled;
use crate::data::DataError;

/// Sets the order of batches apart from other random numbers of the same seed: "pair" in ASCII.
const PURPOSE: u64 = 0x7061_6972;

/// A batch: sentences one behind the other, without padding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairBatch {
    /// What the encoder reads, each sentence with its end [S].
    pub source: Vec<u32>,
    /// Tokens of each source [B].
    pub source_lengths: Vec<usize>,
    /// What the decoder reads: its first token, then the target without its last [T].
    pub input: Vec<u32>,
    /// What it shall say, each sentence with its end [T].
    pub target: Vec<u32>,
    /// Tokens of each target [B].
    pub target_lengths: Vec<usize>,
}

impl PairBatch {
    /// Tokens of both sides.
    pub fn tokens(&self) -> usize {
        self.source.len() + self.target.len()
    }

    fn clear(&mut self) {
        self.source.clear();
        self.source_lengths.clear();
        self.input.clear();
        self.target.clear();
        self.target_lengths.clear();
    }
}

/// The batches of a shard.
#[derive(Clone, Debug)]
pub struct PairBatches {
    shard: PairShard,
    /// What decoders begin with.
    start: u32,
    /// Pairs by tokens, those of one count in the order of the shard.
    sorted: Vec<u32>,
    /// Place in `sorted` at which each count of tokens begins, and its end.
    classes: Vec<usize>,
    /// Place in `sorted` at which each batch begins, and its end.
    cuts: Vec<usize>,
    max_tokens: usize,
    key: u64,
}

impl PairBatches {
    /// Batches of at most `max_tokens`, both sides counted, for decoders that begin with the token `start`.
    ///
    /// # Errors
    /// [`DataError::BatchTooSmall`] if a pair alone has more tokens, [`DataError::NoPairs`] without one.
    pub fn new(
        shard: PairShard,
        max_tokens: usize,
        start: u32,
        seed: u64,
    ) -> Result<Self, DataError> {
        if shard.is_empty() {
            return Err(DataError::NoPairs {
                part: shard.name().to_owned(),
            });
        }
        let tokens = |pair: u32| shard.tokens(pair as usize);
        let mut sorted: Vec<u32> = (0..shard.len() as u32).collect();
        sorted.sort_by_key(|&pair| tokens(pair));
        let longest = tokens(*sorted.last().expect("not empty"));
        if longest > max_tokens {
            return Err(DataError::BatchTooSmall {
                needs: longest,
                has: max_tokens,
            });
        }
        let (mut classes, mut cuts, mut sum) = (vec![0], vec![0], 0);
        for (at, &pair) in sorted.iter().enumerate() {
            if at > 0 && tokens(pair) != tokens(sorted[at - 1]) {
                classes.push(at);
            }
            sum += tokens(pair);
            if sum > max_tokens {
                cuts.push(at);
                sum = tokens(pair);
            }
        }
        for ends in [&mut classes, &mut cuts] {
            ends.push(sorted.len());
        }
        Ok(Self {
            shard,
            start,
            sorted,
            classes,
            cuts,
            max_tokens,
            key: random::derive(seed, PURPOSE),
        })
    }

    /// Batches of an epoch.
    pub fn len(&self) -> usize {
        self.cuts.len() - 1
    }

    /// Never: there is at least one pair.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As many tokens as a batch may have, both sides counted.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// What they are made of.
    pub fn shard(&self) -> &PairShard {
        &self.shard
    }

    /// Fills `batch` with number `index`, counted through all epochs.
    pub fn batch(&self, index: u64, batch: &mut PairBatch) {
        batch.clear();
        self.pairs(index).for_each(|pair| self.add(pair, batch));
    }

    /// Tokens of the targets of batch number `index`.
    pub fn targets(&self, index: u64) -> usize {
        self.pairs(index)
            .map(|pair| self.shard.lengths(pair as usize)[1])
            .sum()
    }

    /// The pairs of batch number `index`.
    fn pairs(&self, index: u64) -> impl Iterator<Item = u32> {
        let count = self.len() as u64;
        let key = random::derive(self.key, index / count);
        let place = shuffled(key, count, index % count) as usize;
        let mut class = 0..0;
        (self.cuts[place]..self.cuts[place + 1]).map(move |at| {
            if !class.contains(&at) {
                class = self.class_of(at);
            }
            let key = random::derive(key, 1 + class.start as u64);
            let within = shuffled(key, class.len() as u64, (at - class.start) as u64);
            self.sorted[class.start + within as usize]
        })
    }

    /// Fills `batch` with number `index` of an epoch that is always the same: for evaluation.
    pub fn unshuffled(&self, index: usize, batch: &mut PairBatch) {
        batch.clear();
        for &pair in &self.sorted[self.cuts[index]..self.cuts[index + 1]] {
            self.add(pair, batch);
        }
    }

    /// The places of all pairs with as many tokens as that at `at`.
    fn class_of(&self, at: usize) -> Range<usize> {
        let after = self.classes.partition_point(|&start| start <= at);
        self.classes[after - 1]..self.classes[after]
    }

    fn add(&self, pair: u32, batch: &mut PairBatch) {
        let [source, target] = self
            .shard
            .append(pair as usize, [&mut batch.source, &mut batch.target]);
        batch.source_lengths.push(source);
        batch.target_lengths.push(target);
        let said = &batch.target[batch.target.len() - target..];
        batch.input.push(self.start);
        batch.input.extend(&said[..target - 1]);
    }
}
