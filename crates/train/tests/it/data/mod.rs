//! From corpora to batches.

mod batches;
mod corpus;
mod pairs;
mod shards;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use glassformer_train::data::{Corpus, CorpusOptions, DataError, DocumentSplit};

/// Writes `content` to `name` in `folder`, packed as the name says.
fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, packed(name, content.as_ref())).unwrap();
    path
}

fn packed(name: &str, content: &[u8]) -> Vec<u8> {
    match name.rsplit('.').next() {
        Some("gz") => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        }
        Some("zst") => zstd::encode_all(content, 1).unwrap(),
        _ => content.to_vec(),
    }
}

fn split(split: DocumentSplit) -> CorpusOptions {
    CorpusOptions {
        split,
        ..CorpusOptions::default()
    }
}

fn read(paths: &[PathBuf], options: CorpusOptions) -> Result<Vec<String>, DataError> {
    Corpus::open(paths, options)?.documents().collect()
}

/// The error of reading one file, checked to be one line that names it.
fn error(path: &Path) -> DataError {
    let error = read(&[path.to_owned()], CorpusOptions::default()).unwrap_err();
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
    assert!(message.contains(&path.display().to_string()), "{message}");
    error
}
