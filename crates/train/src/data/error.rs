//! What can be wrong with a corpus. Each message is one line: what, where, what to do.

use std::io;
use std::path::{Path, PathBuf};

use glassformer_tokens::TokenizeError;

/// Why a corpus could not be turned into batches.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A path that is not there.
    #[error("{path} does not exist; check the spelling of the corpus path", path = path.display())]
    Missing {
        /// The path as given.
        path: PathBuf,
    },
    /// The system does not let us read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system does not let us write.
    #[error("cannot write {path}: {source}; check the free space and the permissions there", path = path.display())]
    Write {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file named by the user in which there is no text.
    #[error("{path} holds no text; leave it out or name another file", path = path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// Not text, or not in UTF-8.
    #[error("{path} is no UTF-8 text: {what} in line {line} (byte {offset}); convert it to UTF-8, or leave it out", path = path.display())]
    NotText {
        /// Which file.
        path: PathBuf,
        /// Bytes before the first that is wrong, after decompression.
        offset: u64,
        /// Its line, from 1.
        line: u64,
        /// What stands there.
        what: &'static str,
    },
    /// A line of a JSON Lines file that is no JSON object.
    #[error("{path}:{line}: {why}; each line must be one JSON object", path = path.display())]
    Json {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What the parser said.
        why: String,
    },
    /// A JSON object without the text.
    #[error("{path}:{line}: no string in the field {field:?}; name the field that holds the text", path = path.display())]
    NoField {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// The field looked for.
        field: String,
    },
    /// A conversation that cannot be written as the model reads it.
    #[error("{path}:{line}: {why}", path = path.display())]
    Conversation {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A compressed file that cannot be unpacked to its end.
    #[error("{path} is damaged, it cannot be decompressed: {why}; get it again", path = path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What the decompressor said.
        why: String,
    },
    /// Nothing to learn from in all the paths together.
    #[error(
        "no documents found in {paths}: name text files, or folders that hold .txt, .jsonl or .json files (or these as .gz or .zst)"
    )]
    NoDocuments {
        /// The paths as given.
        paths: String,
    },
    /// Fewer tokens than one training example takes.
    #[error(
        "the {part} data is too short: one context needs {needs} tokens, there are {has}; add text, or choose a shorter context"
    )]
    TooShort {
        /// `training` or `validation`.
        part: String,
        /// Tokens needed: the context and the one after it.
        needs: usize,
        /// Tokens there are.
        has: usize,
    },
    /// An option out of its range.
    #[error("the validation fraction is {0}; it must be at least 0 and less than 1")]
    Fraction(f64),
    /// A shard that is not what its name says.
    #[error("{path} is no usable token shard: {why}; get it again, or delete it to have it made anew from the corpus", path = path.display())]
    Shard {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// An id that the vocabulary does not have.
    #[error(
        "the {part} data does not fit the vocabulary: token {at} is id {id}, but there are {vocab_size} ids; use the tokenizer it was made with"
    )]
    OutOfVocabulary {
        /// `training` or `validation`.
        part: String,
        /// Tokens before it.
        at: usize,
        /// The id.
        id: u32,
        /// Number of ids in the vocabulary.
        vocab_size: usize,
    },
    /// Two files of pairs that do not end together.
    #[error(
        "{a} has {0} lines and {b} has {1}: line {2} of {longer} has no partner; line n of one must be the translation of line n of the other",
        lines[0], lines[1], lines[0].min(lines[1]) + 1,
        a = paths[0].display(), b = paths[1].display(),
        longer = paths[usize::from(lines[1] > lines[0])].display()
    )]
    Lengths {
        /// The files of sources and of targets.
        paths: [PathBuf; 2],
        /// Lines of either.
        lines: [u64; 2],
    },
    /// A line of a table of pairs that is too short.
    #[error("{path}:{line}: column {wanted} is wanted, and there are {has}; columns are separated by tabs and counted from 1", path = path.display())]
    Columns {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// The column.
        wanted: usize,
        /// Columns there are.
        has: usize,
    },
    /// No pairs in a part.
    #[error(
        "there are no {part} pairs: every pair is empty or too long, or too few are given to keep a part of them for validation"
    )]
    NoPairs {
        /// `training` or `validation`.
        part: String,
    },
    /// A limit on the tokens of a batch that keeps a pair out.
    #[error(
        "a batch of {has} tokens does not hold the longest pair, which has {needs}; raise --batch-tokens, or lower --context to leave long pairs out"
    )]
    BatchTooSmall {
        /// Tokens of the pair, both sides.
        needs: usize,
        /// The limit.
        has: usize,
    },
    /// A tokenizer that cannot say where a sentence ends.
    #[error(
        "the tokenizer has no token that ends a text, such as </s>; a model that translates needs one"
    )]
    NoEnd,
    /// A text the tokenizer refuses.
    #[error("{path}: {source}", path = path.display())]
    Tokenize {
        /// The file with the text.
        path: PathBuf,
        /// Why.
        source: TokenizeError,
    },
    /// A vocabulary that could not be learned.
    #[error(transparent)]
    Vocabulary(#[from] TokenizeError),
}

impl DataError {
    /// An error in opening or reading `path`.
    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::NotFound {
            Self::Missing { path }
        } else {
            Self::Read { path, source }
        }
    }

    /// For `map_err`: an error in writing `path`.
    pub(super) fn write(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        move |source| Self::Write {
            path: path.to_owned(),
            source,
        }
    }
}
