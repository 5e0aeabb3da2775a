//! What can go wrong between a text and a file.

use std::path::PathBuf;
use std::{fmt, io};

use thiserror::Error;

/// Why there is no film.
#[derive(Debug, Error)]
pub enum FilmError {
    /// The program was built without its page.
    #[error(
        "this program was built without its page, which draws the frames; build it again with Node.js at hand"
    )]
    NoPage,
    /// The page's code refused, in its own words: a chapter or a step that is not there, an answer of the engine.
    #[error("{0}")]
    Refused(String),
    /// The script engine failed.
    #[error("the page's code failed: {0}")]
    Script(#[from] rquickjs::Error),
    /// A font of the page cannot be read.
    #[error("the page's font {0} cannot be read")]
    Font(String),
    /// Chinese is to be written and no font has it.
    #[error(
        "no font on this machine has Chinese characters; install one, for example Noto Sans CJK (Debian: fonts-noto-cjk)"
    )]
    NoChinese,
    /// A frame is no picture.
    #[error("a frame cannot be painted: {0}")]
    Paint(String),
    /// The ending of the file's name.
    #[error(
        "{0} says not what to make; its name ends in .mp4, .png, .svg or .apng, or holds %04d for a picture of each frame"
    )]
    UnknownKind(PathBuf),
    /// Sizes that cannot be.
    #[error("{width}×{height} is no size for this: {reason}")]
    Size {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
        /// Why.
        reason: &'static str,
    },
    /// The encoder failed.
    #[error("the video cannot be encoded: {0}")]
    Encode(String),
    /// The file cannot be written.
    #[error("{path} cannot be written: {error}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl FilmError {
    /// What an encoder says.
    pub(crate) fn encode(error: impl fmt::Display) -> Self {
        Self::Encode(error.to_string())
    }
}
