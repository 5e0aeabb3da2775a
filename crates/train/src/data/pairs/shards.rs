//! Pairs on disk: for each part two shards of ids, `train.source.bin` and `train.target.bin`, in which sentences end with the
//! token that ends texts.

use std::fs;
use std::path::Path;

use glassformer_weights::atomic;
use serde::{Deserialize, Serialize};

use super::files::PairFiles;
use super::prepare::Skipped;
use crate::data::DataError;
use crate::data::shards::{Shard, Source, Width};
use crate::data::writer::{ShardWriter, remove};

/// Names of the two sides in those of files.
const SIDES: [&str; 2] = ["source", "target"];

const META: &str = "meta.json";

/// The pairs of one part. Cheap to clone but for the places of its sentences.
#[derive(Clone, Debug)]
pub struct PairShard {
    sides: [Shard; 2],
    /// At which token each sentence begins, and the end: [pairs + 1] of either side.
    starts: [Vec<usize>; 2],
}

impl PairShard {
    /// Opens a part in `folder`, whose sentences end with the tokens `ends`.
    ///
    /// # Errors
    /// As [`Shard::open`]; [`DataError::Shard`] if the sides do not have as many sentences.
    pub(super) fn open(
        folder: &Path,
        part: &str,
        width: Width,
        ends: [u32; 2],
    ) -> Result<Self, DataError> {
        let name = match part {
            "train" => "training",
            _ => "validation",
        };
        let path = |side: usize| width.path(folder, &format!("{part}.{}", SIDES[side]));
        let sides = [Shard::open(&path(0), name)?, Shard::open(&path(1), name)?];
        Self::of(sides, ends).map_err(|why| DataError::Shard { path: path(1), why })
    }

    /// Of two shards in memory or on disk; in words what is wrong with them.
    pub fn of(sides: [Shard; 2], ends: [u32; 2]) -> Result<Self, String> {
        let starts = [starts(&sides[0], ends[0]), starts(&sides[1], ends[1])];
        let [sources, targets] = [starts[0].len() - 1, starts[1].len() - 1];
        if sources != targets {
            return Err(format!(
                "it holds {targets} sentences, and its partner {sources}"
            ));
        }
        let whole = |side: usize| starts[side].last() == Some(&sides[side].len());
        if !(whole(0) && whole(1)) {
            return Err("its last sentence has no end".to_owned());
        }
        Ok(Self { sides, starts })
    }

    /// `training` or `validation`.
    pub fn name(&self) -> &str {
        self.sides[0].name()
    }

    /// Pairs.
    pub fn len(&self) -> usize {
        self.starts[0].len() - 1
    }

    /// No pairs?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens of source and target of a pair, ends included.
    pub fn lengths(&self, pair: usize) -> [usize; 2] {
        [0, 1].map(|side| self.starts[side][pair + 1] - self.starts[side][pair])
    }

    /// Tokens of both sides.
    pub fn tokens(&self, pair: usize) -> usize {
        self.lengths(pair).iter().sum()
    }

    /// The shards of source and target.
    pub fn sides(&self) -> &[Shard; 2] {
        &self.sides
    }

    /// Adds source and target of a pair, and says how many tokens each has.
    pub fn append(&self, pair: usize, to: [&mut Vec<u32>; 2]) -> [usize; 2] {
        let lengths = self.lengths(pair);
        for (side, ids) in to.into_iter().enumerate() {
            let from = self.starts[side][pair];
            let old = ids.len();
            ids.resize(old + lengths[side], 0);
            self.sides[side].copy_to(from, &mut ids[old..]);
        }
        lengths
    }
}

/// At which token each sentence begins, and where the last ends.
fn starts(shard: &Shard, end: u32) -> Vec<usize> {
    let mut ids = [0; 4096];
    let mut starts = vec![0];
    for at in (0..shard.len()).step_by(ids.len()) {
        let count = ids.len().min(shard.len() - at);
        shard.copy_to(at, &mut ids[..count]);
        let ends = (at..).zip(&ids[..count]).filter(|&(_, &id)| id == end);
        starts.extend(ends.map(|(at, _)| at + 1));
    }
    starts
}

/// What pairs on disk were made from, and what came out. Kept as `meta.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairMeta {
    /// All that decides what the shards hold.
    pub made_from: PairsMadeFrom,
    /// Pairs that are learned from.
    pub train_pairs: u64,
    /// Pairs that are never learned from.
    pub val_pairs: u64,
    /// What was left out.
    pub skipped: Skipped,
}

/// All that decides what shards of pairs hold: where it is the same, they need not be made again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairsMadeFrom {
    /// Version of this format.
    pub format: u32,
    /// [`glassformer_tokens::Tokenizer::fingerprint`] of the source's and the target's tokenizer.
    pub tokenizers: [String; 2],
    /// Ids of the larger vocabulary.
    pub vocab_size: usize,
    /// Where pairs to learn from stand.
    pub train: PairFiles,
    /// Where those for validation stand, if not among them.
    pub val: Option<PairFiles>,
    /// All these files.
    pub sources: Vec<Source>,
    /// The part of the sources kept for validation, if they have no files of their own.
    pub val_fraction: f64,
    /// Most tokens of a sentence.
    pub context: usize,
}

/// The pairs to learn from, and those for validation.
#[derive(Clone, Debug)]
pub struct PairShards {
    /// What is learned from.
    pub train: PairShard,
    /// What is never learned from.
    pub val: PairShard,
    /// What they were made from.
    pub meta: PairMeta,
}

impl PairShards {
    /// Opens the shards in `folder`, whose sentences end with the tokens `ends`.
    ///
    /// # Errors
    /// [`DataError::Missing`], [`DataError::Read`], and [`DataError::Shard`] if they are damaged.
    pub fn open(folder: &Path, ends: [u32; 2]) -> Result<Self, DataError> {
        let path = folder.join(META);
        let text = fs::read(&path).map_err(|error| DataError::read(&path, error))?;
        let wrong = |why: String| DataError::Shard {
            path: path.clone(),
            why,
        };
        let meta: PairMeta =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        let width = Width::of(meta.made_from.vocab_size, false);
        let open = |part| PairShard::open(folder, part, width, ends);
        let (train, val) = (open("train")?, open("val")?);
        if (train.len() as u64, val.len() as u64) != (meta.train_pairs, meta.val_pairs) {
            return Err(wrong(
                "it tells of other counts than the shards have".into(),
            ));
        }
        Ok(Self { train, val, meta })
    }
}

/// Both parts on their way to disk: [source, target] of each.
pub(super) struct PairWriters {
    pub(super) train: [ShardWriter; 2],
    pub(super) val: [ShardWriter; 2],
}

impl PairWriters {
    pub(super) fn create(folder: &Path, width: Width) -> Result<Self, DataError> {
        let create = |part: &str, side: usize| {
            ShardWriter::create(
                width.path(folder, &format!("{part}.{}", SIDES[side])),
                width,
            )
        };
        Ok(Self {
            train: [create("train", 0)?, create("train", 1)?],
            val: [create("val", 0)?, create("val", 1)?],
        })
    }

    /// Gives all their names, the old `meta.json` removed before and the new one written after.
    pub(super) fn publish(mut self, folder: &Path, meta: &PairMeta) -> Result<(), DataError> {
        for writer in self.train.iter_mut().chain(&mut self.val) {
            writer.sync()?;
        }
        let path = folder.join(META);
        remove(&path)?;
        for writer in self.train.into_iter().chain(self.val) {
            writer.publish()?;
        }
        let text = serde_json::to_string_pretty(meta).expect("no maps, no errors");
        atomic::write_file(&path, text.as_bytes()).map_err(DataError::write(&path))
    }
}
