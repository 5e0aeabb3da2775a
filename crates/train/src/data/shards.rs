//! Token ids on disk, mapped into memory: nanoGPT's `train.bin` and `val.bin`.
//!
//! A shard is the ids alone, little-endian, two bytes each (`.bin`), or four (`.bin32`) where the
//! vocabulary has more than 65,536 ids. `meta.json` beside them says what they were made from.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glassformer_weights::{MappedFile, atomic};
use serde::{Deserialize, Serialize};

use super::conversation::ChatFormat;
use super::corpus::{DocumentSplit, SourceFile};
use super::error::DataError;
use super::writer::{ShardWriter, remove};

/// Bytes per id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Two,
    Four,
}

/// Set in the ids of tokens that are read and not asked for: those of a conversation that are not in an answer.
pub(super) const READ_ONLY: u32 = 1 << 31;

/// Whether a target is asked for.
pub fn is_asked(target: u32) -> bool {
    target & READ_ONLY == 0
}

impl Width {
    /// Of the ids of so many tokens, with or without a mark in them.
    pub(super) fn of(vocab_size: usize, marks: bool) -> Self {
        if vocab_size <= 1 << 16 && !marks {
            Self::Two
        } else {
            Self::Four
        }
    }

    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// `train.bin` or `train.bin32`.
    pub(super) fn path(self, folder: &Path, part: &str) -> PathBuf {
        let ending = match self {
            Self::Two => "bin",
            Self::Four => "bin32",
        };
        folder.join(format!("{part}.{ending}"))
    }
}

/// A sequence of token ids. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shard {
    ids: Ids,
    /// What it is called in messages.
    name: Arc<str>,
    /// Whether some ids may be marked as not asked for.
    is_marked: bool,
}

#[derive(Clone, Debug)]
enum Ids {
    Mapped(Arc<MappedFile>, Width),
    Memory(Arc<[u32]>),
}

impl Shard {
    /// Maps a file of ids: four bytes each if its name ends in `.bin32`, otherwise two.
    ///
    /// # Errors
    /// [`DataError::Missing`], [`DataError::Read`], or [`DataError::Shard`] if it ends inside an id.
    pub fn open(path: &Path, name: &str) -> Result<Self, DataError> {
        let is_wide = path.extension().is_some_and(|ending| ending == "bin32");
        let width = if is_wide { Width::Four } else { Width::Two };
        let file = MappedFile::open(path).map_err(|error| DataError::read(path, error))?;
        if !file.len().is_multiple_of(width.bytes()) {
            let why = format!(
                "its {} bytes are no multiple of {}",
                file.len(),
                width.bytes()
            );
            return Err(DataError::Shard {
                path: path.to_owned(),
                why,
            });
        }
        Ok(Self {
            ids: Ids::Mapped(Arc::new(file), width),
            name: name.into(),
            is_marked: false,
        })
    }

    /// A shard in memory.
    pub fn from_ids(ids: Vec<u32>, name: &str) -> Self {
        Self {
            ids: Ids::Memory(ids.into()),
            name: name.into(),
            is_marked: false,
        }
    }

    /// What it is called in messages: `training` or `validation`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        match &self.ids {
            Ids::Mapped(file, width) => file.len() / width.bytes(),
            Ids::Memory(ids) => ids.len(),
        }
    }

    /// Whether some of its tokens may not be asked for, those of questions.
    pub fn is_marked(&self) -> bool {
        self.is_marked
    }

    /// No tokens?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the ids from token `start` on into `ids`. Panics if it reaches beyond the end.
    pub fn copy_to(&self, start: usize, ids: &mut [u32]) {
        let end = start + ids.len();
        match &self.ids {
            Ids::Memory(all) => ids.copy_from_slice(&all[start..end]),
            Ids::Mapped(file, Width::Two) => {
                let pairs = file[2 * start..2 * end].as_chunks().0;
                ids.iter_mut()
                    .zip(pairs)
                    .for_each(|(id, pair)| *id = u16::from_le_bytes(*pair).into());
            }
            Ids::Mapped(file, Width::Four) => {
                let words = file[4 * start..4 * end].as_chunks().0;
                ids.iter_mut()
                    .zip(words)
                    .for_each(|(id, word)| *id = u32::from_le_bytes(*word));
            }
        }
    }

    /// All ids.
    pub fn to_vec(&self) -> Vec<u32> {
        let mut ids = vec![0; self.len()];
        self.copy_to(0, &mut ids);
        ids
    }

    /// Reads every id, to make sure that a model with `vocab_size` tokens knows them all.
    ///
    /// # Errors
    /// [`DataError::OutOfVocabulary`] with the first that it does not.
    pub fn check_vocab(&self, vocab_size: usize) -> Result<(), DataError> {
        let mut ids = [0; 4096];
        for start in (0..self.len()).step_by(ids.len()) {
            let count = ids.len().min(self.len() - start);
            self.copy_to(start, &mut ids[..count]);
            check_ids(&ids[..count], start, self.name(), vocab_size)?;
        }
        Ok(())
    }
}

/// `at` tokens stand before `ids`.
fn check_ids(ids: &[u32], at: usize, part: &str, vocab_size: usize) -> Result<(), DataError> {
    let is_outside = |&id: &u32| (id & !READ_ONLY) as usize >= vocab_size;
    match ids.iter().position(is_outside) {
        None => Ok(()),
        Some(n) => {
            let part = part.to_owned();
            Err(DataError::OutOfVocabulary {
                part,
                at: at + n,
                id: ids[n],
                vocab_size,
            })
        }
    }
}

/// What the shards beside it were made from, and what came out. Kept as `meta.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// All that decides what the shards hold.
    pub made_from: MadeFrom,
    /// Tokens in the training shard.
    pub train_tokens: u64,
    /// Tokens in the validation shard.
    pub val_tokens: u64,
    /// Documents in both.
    pub documents: u64,
    /// Characters that the vocabulary does not know, and that were therefore left out.
    pub unknown: String,
}

/// All that decides what shards hold: where it is the same, they need not be made again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MadeFrom {
    /// Version of this format.
    pub format: u32,
    /// [`glassformer_tokens::Tokenizer::fingerprint`].
    pub tokenizer: String,
    /// Number of ids.
    pub vocab_size: usize,
    /// The files, in order.
    pub sources: Vec<Source>,
    /// What separates documents in text files.
    pub split: DocumentSplit,
    /// The field of each JSON object that holds its text.
    pub text_field: String,
    /// The part of each file that is kept for validation.
    pub val_fraction: f64,
    /// How conversations are written.
    #[serde(default)]
    pub chat: Option<ChatFormat>,
}

/// A file by which its shards recognise it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its full path.
    pub path: String,
    /// Bytes on disk.
    pub size: u64,
    /// When it was last changed, nanoseconds since 1970.
    pub modified: u64,
}

impl Source {
    pub(super) fn of(file: &SourceFile) -> Self {
        let full = fs::canonicalize(&file.path).unwrap_or_else(|_| file.path.clone());
        Self {
            path: full.to_string_lossy().into(),
            size: file.size,
            modified: file.modified,
        }
    }
}

/// The training and the validation shard of one corpus.
#[derive(Clone, Debug)]
pub struct Shards {
    /// What is learned from.
    pub train: Shard,
    /// What is never learned from.
    pub val: Shard,
    /// What they were made from; nanoGPT's own do not say.
    pub meta: Option<Meta>,
}

impl Shards {
    /// Does `folder` hold shards, ours or nanoGPT's?
    pub fn are_in(folder: &Path) -> bool {
        [Width::Two, Width::Four].iter().any(|width| {
            ["train", "val"]
                .iter()
                .all(|part| width.path(folder, part).is_file())
        })
    }

    /// Opens the shards in `folder`, ours or nanoGPT's. For those of unknown origin, see
    /// [`Shard::check_vocab`].
    ///
    /// # Errors
    /// As [`Shard::open`]; [`DataError::Shard`] if `meta.json` is damaged or tells of other shards.
    pub fn open(folder: &Path) -> Result<Self, DataError> {
        let meta = read_meta(folder)?;
        let width = match &meta {
            Some(meta) => Width::of(meta.made_from.vocab_size, meta.made_from.chat.is_some()),
            None if Width::Four.path(folder, "train").is_file() => Width::Four,
            None => Width::Two,
        };
        let is_marked = meta
            .as_ref()
            .is_some_and(|meta| meta.made_from.chat.is_some());
        let open = |part, name| -> Result<Shard, DataError> {
            let shard = Shard::open(&width.path(folder, part), name)?;
            Ok(Shard { is_marked, ..shard })
        };
        let (train, val) = (open("train", "training")?, open("val", "validation")?);
        let lengths = (train.len() as u64, val.len() as u64);
        if let Some(meta) = &meta
            && lengths != (meta.train_tokens, meta.val_tokens)
        {
            let why = "it tells of other lengths than the shards have".into();
            return Err(DataError::Shard {
                path: folder.join(META),
                why,
            });
        }
        Ok(Self { train, val, meta })
    }

    /// Writes ids as shards, as nanoGPT would (without `meta.json`).
    ///
    /// # Errors
    /// [`DataError::Write`], [`DataError::OutOfVocabulary`].
    pub fn write(
        folder: &Path,
        train: &[u32],
        val: &[u32],
        vocab_size: usize,
    ) -> Result<(), DataError> {
        fs::create_dir_all(folder).map_err(DataError::write(folder))?;
        let mut writers = Writers::create(folder, Width::of(vocab_size, false))?;
        check_ids(train, 0, "training", vocab_size)?;
        check_ids(val, 0, "validation", vocab_size)?;
        writers.train.push(train)?;
        writers.val.push(val)?;
        writers.publish(folder, None)
    }
}

const META: &str = "meta.json";

fn read_meta(folder: &Path) -> Result<Option<Meta>, DataError> {
    let path = folder.join(META);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DataError::read(&path, error)),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| DataError::Shard {
            path,
            why: error.to_string(),
        })
}

/// Both shards on their way to disk.
pub(super) struct Writers {
    pub(super) train: ShardWriter,
    pub(super) val: ShardWriter,
}

impl Writers {
    pub(super) fn create(folder: &Path, width: Width) -> Result<Self, DataError> {
        Ok(Self {
            train: ShardWriter::create(width.path(folder, "train"), width)?,
            val: ShardWriter::create(width.path(folder, "val"), width)?,
        })
    }

    /// Gives both their names, the old `meta.json` removed before and the new one written after: at no
    /// moment does a `meta.json` stand beside shards that it does not describe.
    pub(super) fn publish(mut self, folder: &Path, meta: Option<&Meta>) -> Result<(), DataError> {
        self.train.sync()?;
        self.val.sync()?;
        let path = folder.join(META);
        remove(&path)?;
        self.train.publish()?;
        self.val.publish()?;
        let Some(meta) = meta else { return Ok(()) };
        let text = serde_json::to_string_pretty(meta).expect("no maps, no errors");
        atomic::write_file(&path, text.as_bytes()).map_err(DataError::write(&path))
    }
}
