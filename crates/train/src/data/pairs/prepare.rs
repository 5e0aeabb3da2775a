//! Tokenising pairs once.

use std::fs;
use std::path::Path;

use glassformer_kernels::random;
use glassformer_tensor::Pool;
use glassformer_tokens::{TokenizeError, Tokenizer};
use serde::{Deserialize, Serialize};

use super::files::{OpenPairs, Pair, PairFiles, Pairs};
use super::shards::{PairMeta, PairShards, PairWriters, PairsMadeFrom};
use super::tokenizers::PairTokenizers;
use crate::data::DataError;
use crate::data::prepare::{BATCH, Progress};
use crate::data::shards::{Source, Width};

/// Changes when the same pairs would give other shards.
const FORMAT: u32 = 1;

/// Sets the choice of pairs for validation apart from other random numbers: "held" in ASCII.
const HELD: u64 = 0x6865_6c64;

/// Pairs that were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Pairs of which a side is empty: how many, and the line of the first.
    pub empty: Option<[u64; 2]>,
    /// Pairs of which a side is longer than the context, with the line of the first.
    pub long: Option<[u64; 2]>,
}

impl Skipped {
    /// A remark for each kind; `context` is what sentences were too long for.
    pub fn notes(&self, context: usize) -> Vec<String> {
        let told = |what: Option<[u64; 2]>, why: &str| {
            let [count, line] = what?;
            Some(format!(
                "{count} pairs were left out, the first in line {line}: {why}"
            ))
        };
        let long = format!("a side has more than {context} tokens, its end included (--context)");
        let notes = [told(self.empty, "a side is empty"), told(self.long, &long)];
        notes.into_iter().flatten().collect()
    }
}

fn count(kind: &mut Option<[u64; 2]>, line: u64) {
    kind.get_or_insert([0, line])[0] += 1;
}

/// Which pairs a run learns from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairsFrom {
    /// Pairs to learn from.
    pub train: PairFiles,
    /// Pairs for validation; without, a part of those.
    pub val: Option<PairFiles>,
}

impl PairsFrom {
    /// Makes paths absolute, so that a run can be taken up from anywhere.
    pub fn make_absolute(&mut self) {
        self.train.make_absolute();
        if let Some(val) = &mut self.val {
            val.make_absolute();
        }
    }
}

/// How to turn pairs into shards.
pub struct PreparePairs<'a> {
    /// The pairs.
    pub from: &'a PairsFrom,
    /// What cuts them.
    pub tokenizers: &'a PairTokenizers,
    /// The part of pairs that is kept for validation if they have no files of their own: those whose source a hash chooses,
    /// so that no sentence is on both sides, and a file sorted by length gives validation of all lengths.
    pub val_fraction: f64,
    /// Most tokens of a sentence, its end included; a pair with a longer one is left out and counted.
    pub context: usize,
    /// The threads that share the work; the shards are the same for any number of them.
    pub pool: &'a Pool,
    /// Called after every few megabytes.
    pub progress: &'a dyn Fn(Progress),
}

impl PreparePairs<'_> {
    /// Opens the shards in `folder` if they were made from the same files with the same tokenizers and options, otherwise
    /// makes them there.
    ///
    /// # Errors
    /// As reading the pairs; [`DataError::Tokenize`], [`DataError::Write`], [`DataError::Fraction`], [`DataError::NoPairs`].
    pub fn shards_in(&self, folder: &Path) -> Result<PairShards, DataError> {
        if !(0.0..1.0).contains(&self.val_fraction) {
            return Err(DataError::Fraction(self.val_fraction));
        }
        let ends = self.tokenizers.ends()?;
        let train = self.from.train.open()?;
        let val = self.from.val.as_ref().map(PairFiles::open).transpose()?;
        let made_from = self.made_from(&train, val.as_ref());
        // Whatever is wrong with older shards, making them anew sets it right.
        if let Ok(shards) = PairShards::open(folder, ends)
            && shards.meta.made_from == made_from
        {
            return Ok(shards);
        }
        fs::create_dir_all(folder).map_err(DataError::write(folder))?;
        let total = train
            .files()
            .iter()
            .chain(val.iter().flat_map(OpenPairs::files));
        let mut work = Work {
            prepare: self,
            ends,
            writers: PairWriters::create(folder, Width::of(made_from.vocab_size, false))?,
            skipped: Skipped::default(),
            pairs: [0; 2],
            progress: Progress {
                total_bytes: total.map(|file| file.size).sum(),
                ..Progress::default()
            },
        };
        work.add(&train, val.is_some().then_some(Part::Train))?;
        if let Some(val) = &val {
            work.add(val, Some(Part::Val))?;
        }
        work.finish(folder, made_from)?;
        PairShards::open(folder, ends)
    }

    fn made_from(&self, train: &OpenPairs<'_>, val: Option<&OpenPairs<'_>>) -> PairsMadeFrom {
        let [source, target] = self.tokenizers.both();
        let files = train
            .files()
            .iter()
            .chain(val.into_iter().flat_map(OpenPairs::files));
        let mut from = self.from.clone();
        from.make_absolute();
        PairsMadeFrom {
            format: FORMAT,
            tokenizers: [source, target].map(|tokenizer| tokenizer.fingerprint().to_owned()),
            vocab_size: source.vocab_size().max(target.vocab_size()),
            train: from.train,
            val: from.val,
            sources: files.map(Source::of).collect(),
            val_fraction: self.val_fraction,
            context: self.context,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Train,
    Val,
}

struct Work<'a> {
    prepare: &'a PreparePairs<'a>,
    ends: [u32; 2],
    writers: PairWriters,
    skipped: Skipped,
    /// For training and for validation.
    pairs: [u64; 2],
    progress: Progress,
}

impl Work<'_> {
    /// All pairs of some files, to one part or, without, to the one that each source's hash chooses.
    fn add(&mut self, files: &OpenPairs<'_>, part: Option<Part>) -> Result<(), DataError> {
        let before = self.progress.bytes;
        let mut pairs = files.pairs()?;
        loop {
            let batch = self.next_batch(&mut pairs)?;
            if batch.is_empty() {
                break;
            }
            let path = &files.files()[0].path;
            let ids = self
                .tokenise(&batch)
                .map_err(|source| DataError::Tokenize {
                    path: path.clone(),
                    source,
                })?;
            for (pair, ids) in batch.iter().zip(ids) {
                self.add_pair(pair, &ids, part)?;
            }
            self.progress.bytes = before + pairs.position();
            (self.prepare.progress)(self.progress);
        }
        self.progress.bytes = before + files.files().iter().map(|file| file.size).sum::<u64>();
        Ok(())
    }

    /// Some megabytes of pairs, without those of which a side is empty; none at the end.
    fn next_batch(&mut self, pairs: &mut Pairs<'_>) -> Result<Vec<Pair>, DataError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH {
            let Some(pair) = pairs.next().transpose()? else {
                break;
            };
            if pair.is_half() {
                count(&mut self.skipped.empty, pair.line);
                continue;
            }
            bytes += pair.source.len() + pair.target.len();
            batch.push(pair);
        }
        Ok(batch)
    }

    /// The ids of both sides of each pair, with what the tokenizer sets around a text, and the end at the end.
    fn tokenise(&self, batch: &[Pair]) -> Result<Vec<[Vec<u32>; 2]>, TokenizeError> {
        let (tokenizers, ends) = (self.prepare.tokenizers.both(), self.ends);
        let encode = |tokenizer: &Tokenizer, text: &str, end: u32| {
            let mut ids = tokenizer.encode_prompt(text)?.ids;
            if ids.last() != Some(&end) {
                ids.push(end);
            }
            Ok(ids)
        };
        let mut encoded: Vec<_> = batch.iter().map(|_| None).collect();
        self.prepare.pool.chunks(&mut encoded, 64, |i, encoded| {
            for (pair, slot) in batch[64 * i..].iter().zip(encoded) {
                let source = encode(tokenizers[0], &pair.source, ends[0]);
                let target = encode(tokenizers[1], &pair.target, ends[1]);
                *slot = Some(source.and_then(|source| Ok([source, target?])));
            }
        });
        encoded.into_iter().flatten().collect()
    }

    fn add_pair(
        &mut self,
        pair: &Pair,
        ids: &[Vec<u32>; 2],
        part: Option<Part>,
    ) -> Result<(), DataError> {
        if ids.iter().any(|ids| ids.len() > self.prepare.context) {
            count(&mut self.skipped.long, pair.line);
            return Ok(());
        }
        let part = part.unwrap_or_else(|| part_of(&pair.source, self.prepare.val_fraction));
        let (writers, n) = match part {
            Part::Train => (&mut self.writers.train, 0),
            Part::Val => (&mut self.writers.val, 1),
        };
        for (writer, ids) in writers.iter_mut().zip(ids) {
            writer.push(ids)?;
            self.progress.tokens += ids.len() as u64;
        }
        self.pairs[n] += 1;
        self.progress.documents += 1;
        Ok(())
    }

    fn finish(self, folder: &Path, made_from: PairsMadeFrom) -> Result<(), DataError> {
        let [train_pairs, val_pairs] = self.pairs;
        for (pairs, part) in [(train_pairs, "training"), (val_pairs, "validation")] {
            if pairs == 0 {
                let part = part.to_owned();
                return Err(DataError::NoPairs { part });
            }
        }
        let meta = PairMeta {
            made_from,
            train_pairs,
            val_pairs,
            skipped: self.skipped,
        };
        self.writers.publish(folder, &meta)?;
        (self.prepare.progress)(self.progress);
        Ok(())
    }
}

/// The part to which all pairs of a source go.
fn part_of(source: &str, val_fraction: f64) -> Part {
    let hash = source
        .bytes()
        .fold(HELD, |hash, byte| random::bits(hash, byte.into()));
    if random::uniform(hash, HELD) < val_fraction {
        Part::Val
    } else {
        Part::Train
    }
}
