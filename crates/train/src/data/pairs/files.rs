//! Pairs of sentences, read from two files line by line, or from two columns of one.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::DataError;
use crate::data::corpus::SourceFile;
use crate::data::lines::Lines;

/// Where pairs stand. Each file may be packed (`.gz`, `.zst`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairFiles {
    /// Line n of one file belongs to line n of the other.
    Parallel {
        /// What is read.
        source: PathBuf,
        /// What is written.
        target: PathBuf,
    },
    /// A line is a pair, its columns separated by tabs.
    Columns {
        /// The file.
        path: PathBuf,
        /// The columns of source and target, counted from 1.
        columns: [usize; 2],
    },
}

/// A sentence and its translation, without white space around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What is read.
    pub source: String,
    /// What is written.
    pub target: String,
    /// Their line, from 1.
    pub line: u64,
}

impl Pair {
    /// Whether a side says nothing.
    pub fn is_half(&self) -> bool {
        self.source.is_empty() || self.target.is_empty()
    }
}

impl PairFiles {
    /// The files, source first.
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Parallel { source, target } => vec![source, target],
            Self::Columns { path, .. } => vec![path],
        }
    }

    /// Opens the files.
    ///
    /// # Errors
    /// [`DataError::Missing`], [`DataError::Read`], [`DataError::Empty`] of a file without a byte.
    pub fn open(&self) -> Result<OpenPairs<'_>, DataError> {
        let open = |path: &Path| SourceFile::open(path);
        let files = self.paths().into_iter().map(open);
        Ok(OpenPairs {
            from: self,
            files: files.collect::<Result<_, _>>()?,
        })
    }

    /// Makes paths absolute, so that the run can be taken up from anywhere.
    pub fn make_absolute(&mut self) {
        let paths = match self {
            Self::Parallel { source, target } => vec![source, target],
            Self::Columns { path, .. } => vec![path],
        };
        for path in paths {
            *path = std::fs::canonicalize(&*path).unwrap_or_else(|_| path.clone());
        }
    }
}

/// The files of [`PairFiles`], found.
pub struct OpenPairs<'a> {
    from: &'a PairFiles,
    files: Vec<SourceFile>,
}

impl OpenPairs<'_> {
    /// One file, or two.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// Reads all pairs.
    ///
    /// # Errors
    /// As reading a file; reading on may give errors later.
    pub fn pairs(&self) -> Result<Pairs<'_>, DataError> {
        let lines = self.files.iter().map(Lines::open);
        Ok(Pairs {
            from: self.from,
            lines: lines.collect::<Result<_, _>>()?,
            is_done: false,
        })
    }
}

/// Pairs in the order of their files, those of which a side is empty among them. After an error comes nothing more.
pub struct Pairs<'a> {
    from: &'a PairFiles,
    /// One or two.
    lines: Vec<Lines<'a>>,
    is_done: bool,
}

impl Pairs<'_> {
    /// Bytes of the files read so far, as they are on disk.
    pub fn position(&self) -> u64 {
        self.lines.iter().map(Lines::position).sum()
    }

    fn read(&mut self) -> Result<Option<Pair>, DataError> {
        let [source, target] = match (self.from, self.lines.as_mut_slice()) {
            (PairFiles::Parallel { .. }, [a, b]) => {
                let Some(texts) = both(a, b)? else {
                    return Ok(None);
                };
                texts
            }
            (PairFiles::Columns { columns, .. }, [lines]) => {
                let Some(line) = lines.next()? else {
                    return Ok(None);
                };
                if line.trim().is_empty() {
                    Default::default()
                } else {
                    cells(&line, *columns, lines)?
                }
            }
            _ => unreachable!("as many files as the kind has"),
        };
        Ok(Some(Pair {
            source,
            target,
            line: self.lines[0].number,
        }))
    }
}

impl Iterator for Pairs<'_> {
    type Item = Result<Pair, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let pair = self.read();
        self.is_done = !matches!(pair, Ok(Some(_)));
        pair.transpose()
    }
}

/// The next line of both files; `None` when both are at their end.
fn both<'a>(a: &mut Lines<'a>, b: &mut Lines<'a>) -> Result<Option<[String; 2]>, DataError> {
    let texts = [a.next()?, b.next()?];
    if let [Some(source), Some(target)] = &texts {
        return Ok(Some([source, target].map(|text| text.trim().to_owned())));
    }
    if texts.iter().all(Option::is_none) {
        return Ok(None);
    }
    // The longer one to its end: both counts belong into the message.
    for lines in [&mut *a, &mut *b] {
        while lines.next()?.is_some() {}
    }
    Err(DataError::Lengths {
        paths: [a.file.path.clone(), b.file.path.clone()],
        lines: [a.number, b.number],
    })
}

/// The wanted two of a line's columns.
fn cells(line: &str, columns: [usize; 2], lines: &Lines<'_>) -> Result<[String; 2], DataError> {
    let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
    let cell = |column: usize| {
        let text = column.checked_sub(1).and_then(|n| cells.get(n));
        text.map(|&text| text.to_owned())
            .ok_or_else(|| DataError::Columns {
                path: lines.file.path.clone(),
                line: lines.number,
                wanted: column,
                has: cells.len(),
            })
    };
    Ok([cell(columns[0])?, cell(columns[1])?])
}
