//! What can be wrong with a file of weights.

use std::io;
use std::path::PathBuf;

/// Each message is one line: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file cannot be opened or mapped.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what its name says.
    #[error("{path} is damaged or not a {format} file: {reason}; get it again, or use an earlier copy", path = path.display(), reason = one_line(reason))]
    Format {
        /// Which file.
        path: PathBuf,
        /// What it should be.
        format: &'static str,
        /// What the parser said.
        reason: String,
    },
    /// The file is whole, but of a kind that is not read.
    #[error("{path} {what}: {todo}", path = path.display())]
    Unsupported {
        /// Which file.
        path: PathBuf,
        /// What it is: "is …".
        what: String,
        /// What to do about it.
        todo: String,
    },
    /// A tensor is not there.
    #[error("{path} has no tensor {name}: these weights are of another model than their config says", name = one_line(name), path = path.display())]
    Missing {
        /// Which file.
        path: PathBuf,
        /// Which tensor.
        name: String,
    },
    /// A tensor is not where the index of a model in several files says.
    #[error("{path} says that tensor {name} is in {shard}, but it is not; get both again", name = one_line(name), path = path.display(), shard = shard.display())]
    NotInShard {
        /// The index.
        path: PathBuf,
        /// Which tensor.
        name: String,
        /// Where it should be.
        shard: PathBuf,
    },
    /// A tensor has another shape.
    #[error("{path}: {name} has shape {found:?} but the config asks for {expected:?}", name = one_line(name), path = path.display())]
    Shape {
        /// Which file.
        path: PathBuf,
        /// Which tensor.
        name: String,
        /// As the config asks.
        expected: Vec<usize>,
        /// As it stands in the file.
        found: Vec<usize>,
    },
    /// A tensor's numbers are of a kind that cannot be weights.
    #[error("{path}: {name} is {found}; F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K can be read", name = one_line(name), path = path.display())]
    Type {
        /// Which file.
        path: PathBuf,
        /// Which tensor.
        name: String,
        /// The type in the file.
        found: String,
    },
    /// A tensor cannot be written as it was asked for.
    #[error("cannot write tensor {name}: {reason}", name = one_line(name))]
    NewTensor {
        /// Which tensor.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A metadata key is not there.
    #[error("{path} has no metadata key {key}: it was made for another program, or by an incomplete conversion", key = one_line(key), path = path.display())]
    MissingKey {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: String,
    },
    /// The value of a metadata key is of another type.
    #[error("{path}: metadata key {key} is {found}, not {expected}", key = one_line(key), path = path.display())]
    KeyType {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: String,
        /// What was asked for.
        expected: &'static str,
        /// Type and value in the file.
        found: String,
    },
}

/// A name or reason as it may be shown: files can hold anything, and a message is one line that leaves the terminal as
/// it is.
fn one_line(text: &str) -> String {
    const MOST: usize = 500;
    let mut line = String::new();
    for letter in text.chars().take(MOST) {
        if letter.is_control() {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    if text.chars().nth(MOST).is_some() {
        line.push('…');
    }
    line
}
