//! Which files a corpus is made of.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use glassformer_tensor::Pool;
use glassformer_tokens::{TokenizeError, Tokenizer};
use serde::{Deserialize, Serialize};

use super::conversation::ChatFormat;
use super::documents::{Document, Documents};
use super::error::DataError;

/// What separates the documents inside a text file. The marker `<|endoftext|>` always does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentSplit {
    /// Nothing: a file is one document.
    #[default]
    Whole,
    /// One or more blank lines: a paragraph is a document.
    BlankLine,
    /// Line ends: a line is a document.
    Line,
}

/// How the files are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorpusOptions {
    /// Documents in text files.
    pub split: DocumentSplit,
    /// The field of each JSON object that holds its text.
    pub text_field: String,
    /// How conversations (the field `messages` of a JSON object) are written for the model.
    #[serde(default)]
    pub chat: Option<ChatFormat>,
}

impl Default for CorpusOptions {
    fn default() -> Self {
        Self {
            split: DocumentSplit::default(),
            text_field: "text".into(),
            chat: None,
        }
    }
}

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstandard,
}

/// One file of a corpus.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes on disk, packed as it is.
    pub size: u64,
    /// When it was last changed, in nanoseconds since 1970 (0 where the system does not say).
    pub modified: u64,
    /// One JSON object per line, rather than plain text.
    pub(super) is_json: bool,
    pub(super) packing: Packing,
    /// Named by the user, rather than found in a folder.
    pub(super) is_named: bool,
}

impl SourceFile {
    /// A file that the user named.
    ///
    /// # Errors
    /// [`DataError::Missing`], [`DataError::Read`], [`DataError::Empty`].
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let metadata = fs::metadata(path).map_err(|error| DataError::read(path, error))?;
        if metadata.is_file() && metadata.len() == 0 {
            return Err(DataError::Empty {
                path: path.to_owned(),
            });
        }
        Ok(Self::new(path, &metadata, true))
    }

    fn new(path: &Path, metadata: &fs::Metadata, is_named: bool) -> Self {
        let (ending, packing) = ending(path);
        let since = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            path: path.to_owned(),
            size: metadata.len(),
            modified: since.map_or(0, |since| since.as_nanos() as u64),
            is_json: matches!(ending.as_str(), "jsonl" | "json"),
            packing,
            is_named,
        }
    }
}

/// The files to learn from, in a fixed order.
#[derive(Clone, Debug)]
pub struct Corpus {
    paths: Vec<PathBuf>,
    files: Vec<SourceFile>,
    skipped: usize,
    options: CorpusOptions,
}

impl Corpus {
    /// Finds the files. A path is a file (JSON Lines if named `.jsonl` or `.json`, otherwise text, each
    /// also as `.gz` or `.zst`) or a folder, of which all `.txt`, `.jsonl` and `.json` files (and these
    /// packed) are taken, with all its folders, by name; hidden ones are left out.
    ///
    /// # Errors
    /// [`DataError::Missing`], [`DataError::Read`], [`DataError::Empty`] for an empty file named
    /// directly, [`DataError::NoDocuments`] if no file is left.
    pub fn open(paths: &[PathBuf], options: CorpusOptions) -> Result<Self, DataError> {
        let mut corpus = Self {
            paths: paths.to_vec(),
            files: Vec::new(),
            skipped: 0,
            options,
        };
        for path in paths {
            let metadata = fs::metadata(path).map_err(|error| DataError::read(path, error))?;
            if metadata.is_dir() {
                corpus.add_folder(path)?;
            } else if metadata.is_file() && metadata.len() == 0 {
                return Err(DataError::Empty { path: path.clone() });
            } else {
                corpus.files.push(SourceFile::new(path, &metadata, true));
            }
        }
        if corpus.files.is_empty() {
            Err(corpus.no_documents())
        } else {
            Ok(corpus)
        }
    }

    /// The files, in the order in which they are read.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// How many files in the folders were left out because of their names.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// How the files are read.
    pub fn options(&self) -> &CorpusOptions {
        &self.options
    }

    /// The documents of one file.
    ///
    /// # Errors
    /// As opening the file; reading it may give errors later.
    pub fn documents_of<'a>(&'a self, file: &'a SourceFile) -> Result<Documents<'a>, DataError> {
        Documents::open(file, &self.options)
    }

    /// All documents. After an error comes nothing more.
    pub fn documents(&self) -> impl Iterator<Item = Result<String, DataError>> + Send + '_ {
        let mut failed = false;
        let all = self
            .files
            .iter()
            .flat_map(|file| match self.documents_of(file) {
                Ok(documents) => {
                    let texts = documents.map(|document| document.map(Document::into_text));
                    Box::new(texts) as Box<dyn Iterator<Item = _> + Send>
                }
                Err(error) => Box::new(std::iter::once(Err(error))),
            });
        all.take_while(move |document| !std::mem::replace(&mut failed, document.is_err()))
    }

    /// Learns a byte-level BPE vocabulary from all documents; see [`Tokenizer::train_bpe`]. The result is
    /// the same on any number of threads.
    ///
    /// # Errors
    /// As reading the corpus, and as [`Tokenizer::train_bpe`].
    pub fn learn_bpe(&self, vocab_size: usize, pool: &Pool) -> Result<Tokenizer, DataError> {
        // The library brings its own splitting, over rayon: as many threads as the pool has, for this once.
        let threads = rayon::ThreadPoolBuilder::new().num_threads(pool.threads());
        let helpers = (pool.threads() > 1).then(|| threads.build().ok()).flatten();
        self.learn(|documents| match helpers {
            Some(helpers) => helpers.install(|| Tokenizer::train_bpe(documents, vocab_size)),
            None => Tokenizer::train_bpe(documents, vocab_size),
        })
    }

    /// The character vocabulary of all documents; see [`Tokenizer::characters`]. Where there are several
    /// documents it holds the newline, which then stands between them.
    ///
    /// # Errors
    /// As reading the corpus, and as [`Tokenizer::characters`].
    pub fn learn_characters(&self) -> Result<Tokenizer, DataError> {
        self.learn(|documents| {
            let numbered = documents.enumerate();
            Tokenizer::characters(numbered.map(|(n, text)| if n == 0 { text } else { text + "\n" }))
        })
    }

    fn learn(
        &self,
        make: impl FnOnce(&mut (dyn Iterator<Item = String> + Send)) -> Result<Tokenizer, TokenizeError>,
    ) -> Result<Tokenizer, DataError> {
        let mut failure = None;
        let mut texts = self
            .documents()
            .map_while(|text| text.map_err(|e| failure = Some(e)).ok());
        let made = make(&mut texts);
        drop(texts);
        match (failure, made) {
            (Some(error), _) => Err(error),
            (None, Err(TokenizeError::NoText)) => Err(self.no_documents()),
            (None, made) => Ok(made?),
        }
    }

    pub(super) fn no_documents(&self) -> DataError {
        let paths: Vec<_> = self
            .paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        DataError::NoDocuments {
            paths: paths.join(", "),
        }
    }

    /// Adds what is in `folder` and below, by name. Links to folders are not followed: they may lead in circles.
    fn add_folder(&mut self, folder: &Path) -> Result<(), DataError> {
        let listed = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut entries = listed.map_err(|error| DataError::read(folder, error))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let kind = entry
                .file_type()
                .map_err(|error| DataError::read(&path, error))?;
            if kind.is_dir() {
                self.add_folder(&path)?;
                continue;
            }
            let is_text = matches!(ending(&path).0.as_str(), "txt" | "jsonl" | "json");
            if !is_text {
                self.skipped += 1;
                continue;
            }
            let metadata = fs::metadata(&path).map_err(|error| DataError::read(&path, error))?;
            if metadata.is_file() && metadata.len() > 0 {
                self.files.push(SourceFile::new(&path, &metadata, false));
            }
        }
        Ok(())
    }
}

/// The ending of a file's name, in small letters and without that of its packing, and the packing.
fn ending(path: &Path) -> (String, Packing) {
    let last = |path: &Path| {
        path.extension()
            .map(|ending| ending.to_string_lossy().to_lowercase())
            .unwrap_or_default()
    };
    let packing = match last(path).as_str() {
        "gz" => Packing::Gzip,
        "zst" => Packing::Zstandard,
        plain => return (plain.to_owned(), Packing::Plain),
    };
    (
        last(Path::new(path.file_stem().unwrap_or_default())),
        packing,
    )
}
