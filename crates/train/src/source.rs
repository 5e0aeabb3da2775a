//! Where a run's tokens come from: text to be tokenised, or ready tokens.

use std::fs;
use std::path::{Path, PathBuf};

use glassformer_tensor::Pool;
use glassformer_tokens::Tokenizer;

use crate::data::{Corpus, DataError, Prepare, Shards};
use crate::setup::{Request, Stage};
use crate::{Options, TrainError, Vocabulary};

/// Where the tokens come from.
pub(crate) enum Source {
    Text(Corpus),
    /// A folder with `train.bin` and `val.bin`, as nanoGPT prepares them.
    Tokens(PathBuf, Box<Shards>),
}

impl Source {
    pub(crate) fn open(request: &Request) -> Result<Self, TrainError> {
        if let [folder] = request.corpora.as_slice()
            && Shards::are_in(folder)
        {
            return Ok(Self::Tokens(
                folder.clone(),
                Box::new(Shards::open(folder)?),
            ));
        }
        Ok(Self::Text(Corpus::open(
            &request.corpora,
            request.reading.clone(),
        )?))
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        match self {
            Self::Text(corpus) if corpus.skipped() > 0 => {
                vec![format!(
                    "{} files of other kinds in the folders were passed over",
                    corpus.skipped()
                )]
            }
            _ => Vec::new(),
        }
    }

    pub(crate) fn vocabulary(
        &self,
        vocabulary: &Vocabulary,
        pool: &Pool,
        report: &dyn Fn(Stage),
    ) -> Result<Tokenizer, TrainError> {
        match (self, vocabulary) {
            (_, Vocabulary::File(path)) => read_tokenizer(path),
            // Ready tokens come with their tokenizer, or with one that is named.
            (Self::Tokens(folder, _), _) => read_tokenizer(&folder.join("tokenizer.json")),
            (Self::Text(corpus), Vocabulary::Characters) => {
                report(Stage::Vocabulary);
                Ok(corpus.learn_characters()?)
            }
            (Self::Text(corpus), &Vocabulary::Bpe(size)) => {
                report(Stage::Vocabulary);
                Ok(corpus.learn_bpe(size, pool)?)
            }
        }
    }

    pub(crate) fn shards(
        &self,
        folder: &Path,
        options: &Options,
        tokenizer: &Tokenizer,
        pool: &Pool,
        report: &dyn Fn(Stage),
    ) -> Result<Shards, TrainError> {
        match self {
            Self::Tokens(_, shards) => Ok((**shards).clone()),
            Self::Text(corpus) => {
                let progress = |progress| report(Stage::Tokens(progress));
                let val_fraction = options.val_fraction;
                let prepare = Prepare {
                    corpus,
                    tokenizer,
                    val_fraction,
                    pool,
                    progress: &progress,
                };
                Ok(prepare.shards_in(&folder.join("data"))?)
            }
        }
    }
}

/// Reads a `tokenizer.json`.
pub(crate) fn read_tokenizer(path: &Path) -> Result<Tokenizer, TrainError> {
    let bytes = fs::read(path).map_err(|source| TrainError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(Tokenizer::from_json(&bytes).map_err(DataError::from)?)
}
