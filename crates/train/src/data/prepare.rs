//! Tokenising a corpus once.
//!
//! Each file's tokens go to the training shard; then the file's last part is moved on to the validation
//! shard. So memory holds a few megabytes of text at a time, however large the corpus.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use glassformer_tensor::Pool;
use glassformer_tokens::{TokenizeError, Tokenizer};

use super::corpus::{Corpus, SourceFile};
use super::documents::{Document, Documents};
use super::error::DataError;
use super::shards::{MadeFrom, Meta, READ_ONLY, Shards, Source, Width, Writers};

/// Changes when the same corpus would give other shards.
const FORMAT: u32 = 1;

/// Bytes of text tokenised at a time.
pub(super) const BATCH: usize = 8 << 20;

/// A file with fewer documents than this is split between two tokens, not between two documents.
const FEW_DOCUMENTS: usize = 20;

/// How far the preparation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the corpus read so far, packed as they are on disk.
    pub bytes: u64,
    /// Bytes of the whole corpus.
    pub total_bytes: u64,
    /// Documents so far.
    pub documents: u64,
    /// Tokens so far.
    pub tokens: u64,
}

/// How to turn a corpus into shards.
pub struct Prepare<'a> {
    /// The text.
    pub corpus: &'a Corpus,
    /// What cuts it.
    pub tokenizer: &'a Tokenizer,
    /// The part of each file kept for validation: the last `val_fraction` of its documents, or where it
    /// has fewer than twenty, of its tokens. At least 0, less than 1; nanoGPT takes 0.1.
    pub val_fraction: f64,
    /// The threads that share the work; the shards are the same for any number of them.
    pub pool: &'a Pool,
    /// Called after every few megabytes.
    pub progress: &'a dyn Fn(Progress),
}

impl Prepare<'_> {
    /// Opens the shards in `folder` if they were made from the same files with the same tokenizer and
    /// options, otherwise makes them there.
    ///
    /// # Errors
    /// As reading the corpus; [`DataError::Tokenize`], [`DataError::Write`], [`DataError::Fraction`].
    pub fn shards_in(&self, folder: &Path) -> Result<Shards, DataError> {
        if !(0.0..1.0).contains(&self.val_fraction) {
            return Err(DataError::Fraction(self.val_fraction));
        }
        let made_from = self.made_from();
        // Whatever is wrong with older shards, making them anew sets it right.
        if let Ok(shards) = Shards::open(folder)
            && shards
                .meta
                .as_ref()
                .is_some_and(|meta| meta.made_from == made_from)
        {
            return Ok(shards);
        }
        fs::create_dir_all(folder).map_err(DataError::write(folder))?;
        let width = Width::of(made_from.vocab_size, made_from.chat.is_some());
        let mut work = Work {
            prepare: self,
            writers: Writers::create(folder, width)?,
            newline: self
                .tokenizer
                .encode("\n")
                .map(|newline| newline.ids)
                .unwrap_or_default(),
            unknown: BTreeSet::new(),
            progress: Progress {
                total_bytes: self.corpus.files().iter().map(|file| file.size).sum(),
                ..Progress::default()
            },
        };
        for file in self.corpus.files() {
            work.add_file(file)?;
        }
        work.finish(folder, made_from)?;
        Shards::open(folder)
    }

    fn made_from(&self) -> MadeFrom {
        MadeFrom {
            format: FORMAT,
            tokenizer: self.tokenizer.fingerprint().to_owned(),
            vocab_size: self.tokenizer.vocab_size(),
            sources: self.corpus.files().iter().map(Source::of).collect(),
            split: self.corpus.options().split,
            text_field: self.corpus.options().text_field.clone(),
            val_fraction: self.val_fraction,
            chat: self.corpus.options().chat.clone(),
        }
    }
}

struct Work<'a> {
    prepare: &'a Prepare<'a>,
    writers: Writers,
    /// Separates documents where the vocabulary has no end of text.
    newline: Vec<u32>,
    unknown: BTreeSet<char>,
    progress: Progress,
}

impl Work<'_> {
    fn add_file(&mut self, file: &SourceFile) -> Result<(), DataError> {
        let before = self.progress.bytes;
        let first = self.writers.train.len();
        // Where each document begins in the training shard.
        let mut starts = Vec::new();
        let mut documents = self.prepare.corpus.documents_of(file)?;
        loop {
            let batch = next_batch(&mut documents)?;
            if batch.is_empty() {
                break;
            }
            let refused = |source| DataError::Tokenize {
                path: file.path.clone(),
                source,
            };
            for tokens in self.tokenise(&batch).map_err(refused)? {
                starts.push(self.writers.train.len());
                self.add_document(&tokens)?;
                self.unknown.extend(tokens.unknown);
            }
            self.progress.bytes = before + documents.position();
            (self.prepare.progress)(self.progress);
        }
        self.progress.bytes = before + file.size;
        let last = self.writers.train.len();
        let from = first + kept(&starts, first, last, self.prepare.val_fraction);
        self.writers.train.move_tail(from, &mut self.writers.val)
    }

    /// One document, set apart from the next by the end of text, or else from the one before by a newline. A conversation
    /// has marks of its own.
    fn add_document(&mut self, tokens: &Tokens) -> Result<(), DataError> {
        let train = &mut self.writers.train;
        let before = train.len();
        let end = self.prepare.tokenizer.end_of_text();
        if end.is_none() && self.progress.documents > 0 && !tokens.is_marked {
            train.push(&self.newline)?;
        }
        train.push(&tokens.ids)?;
        train.push(end.filter(|_| !tokens.is_marked).as_slice())?;
        self.progress.documents += 1;
        self.progress.tokens += train.len() - before;
        Ok(())
    }

    /// The ids of each document and its unknown characters. Long documents are cut where that changes
    /// nothing, so that all threads have work even for a single book.
    fn tokenise(&self, batch: &[Document]) -> Result<Vec<Tokens>, TokenizeError> {
        let tokenizer = self.prepare.tokenizer;
        let mut pieces = Vec::new();
        for (n, document) in batch.iter().enumerate() {
            match document {
                Document::Text(text) => {
                    let parts = tokenizer.pieces(text);
                    pieces.extend(parts.map(|part| (n, &text[part], None)));
                }
                // A model reads the marks before its answer apart from the answer.
                Document::Conversation(stretches) => {
                    pieces.extend(stretches.iter().map(|s| (n, &*s.text, Some(s.is_answer))));
                }
            }
        }
        let mut encoded: Vec<_> = pieces.iter().map(|_| None).collect();
        self.prepare.pool.chunks(&mut encoded, 1, |i, encoded| {
            let (_, text, part) = pieces[i];
            encoded[0] = Some(match part {
                None => tokenizer.encode(text),
                Some(_) => tokenizer.encode_with_specials(text),
            });
        });
        let mut documents: Vec<Tokens> = batch.iter().map(|_| Tokens::default()).collect();
        for (&(n, _, part), found) in pieces.iter().zip(encoded.into_iter().flatten()) {
            let (found, tokens) = (found?, &mut documents[n]);
            let mark = if part == Some(false) { READ_ONLY } else { 0 };
            tokens.ids.extend(found.ids.iter().map(|id| id | mark));
            tokens.unknown.extend(found.unknown);
            tokens.is_marked = part.is_some();
        }
        Ok(documents)
    }

    fn finish(self, folder: &Path, made_from: MadeFrom) -> Result<(), DataError> {
        if self.progress.documents == 0 {
            return Err(self.prepare.corpus.no_documents());
        }
        let meta = Meta {
            made_from,
            train_tokens: self.writers.train.len(),
            val_tokens: self.writers.val.len(),
            documents: self.progress.documents,
            unknown: self.unknown.iter().collect(),
        };
        self.writers.publish(folder, Some(&meta))?;
        (self.prepare.progress)(self.progress);
        Ok(())
    }
}

/// A document in ids.
#[derive(Default)]
struct Tokens {
    ids: Vec<u32>,
    unknown: Vec<char>,
    /// With special tokens around its parts.
    is_marked: bool,
}

/// Some megabytes of documents; none at the end.
fn next_batch(documents: &mut Documents) -> Result<Vec<Document>, DataError> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    while bytes < BATCH {
        let Some(document) = documents.next().transpose()? else {
            break;
        };
        bytes += document.len();
        batch.push(document);
    }
    Ok(batch)
}

/// How many tokens of a file, which has documents beginning at `starts` and lies at `first..last`, stay
/// in the training shard.
fn kept(starts: &[u64], first: u64, last: u64, val_fraction: f64) -> u64 {
    let train = |all: f64| all * (1.0 - val_fraction);
    if starts.len() < FEW_DOCUMENTS {
        return train((last - first) as f64) as u64;
    }
    // At least one document on either side, if there is a side.
    let documents = starts.len() as f64;
    let most = if val_fraction > 0.0 {
        documents - 1.0
    } else {
        documents
    };
    let kept = train(documents).round().clamp(1.0, most) as usize;
    starts.get(kept).copied().unwrap_or(last) - first
}
