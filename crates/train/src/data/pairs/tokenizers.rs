//! The tokenizers of a model that translates: one for both languages, or one for each.

use std::io;
use std::path::Path;

use glassformer_tensor::Pool;
use glassformer_tokens::Tokenizer;
use glassformer_weights::atomic;

use super::files::{Pair, PairFiles};
use crate::TrainError;
use crate::data::DataError;
use crate::source::read_tokenizer;

/// What the encoder reads, and the decoder too where they share one.
const FILE: &str = "tokenizer.json";

/// What the decoder writes where that is another one.
const TARGET_FILE: &str = "target_tokenizer.json";

/// The tokenizers of source and target.
#[derive(Clone, Debug)]
pub struct PairTokenizers {
    /// Of what is read; of both where there is no other.
    pub source: Tokenizer,
    /// Of what is written, where it has its own.
    pub target: Option<Tokenizer>,
}

impl PairTokenizers {
    /// One for both languages.
    pub fn joint(tokenizer: Tokenizer) -> Self {
        Self {
            source: tokenizer,
            target: None,
        }
    }

    /// Learns byte-level BPE of `vocab_size` ids from all pairs: one for both sides, or, if they are `separate`, one of that
    /// size for each. See [`Tokenizer::train_translation_bpe`].
    ///
    /// # Errors
    /// As reading the pairs, and as [`Tokenizer::train_translation_bpe`].
    pub fn learn(
        files: &PairFiles,
        vocab_size: usize,
        separate: bool,
        lowercase: bool,
        pool: &Pool,
    ) -> Result<Self, DataError> {
        let learn = |sides| learn(files, sides, vocab_size, lowercase, pool);
        if !separate {
            return Ok(Self::joint(learn([true, true])?));
        }
        Ok(Self {
            source: learn([true, false])?,
            target: Some(learn([false, true])?),
        })
    }

    /// Of what is read, and of what is written.
    pub fn both(&self) -> [&Tokenizer; 2] {
        [&self.source, self.written()]
    }

    /// Of what is written.
    pub fn written(&self) -> &Tokenizer {
        self.target.as_ref().unwrap_or(&self.source)
    }

    /// The tokens that end sentences of source and target. Errors: in words, one has none.
    pub fn ends(&self) -> Result<[u32; 2], DataError> {
        let end = |tokenizer: &Tokenizer| tokenizer.end_of_text().ok_or(DataError::NoEnd);
        let [source, target] = self.both();
        Ok([end(source)?, end(target)?])
    }

    /// Writes them into the folder of a model: `tokenizer.json`, and where the target has its own
    /// `target_tokenizer.json`.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let write = |name, tokenizer: &Tokenizer| {
            atomic::write_file(&folder.join(name), tokenizer.to_json().as_bytes())
        };
        write(FILE, &self.source)?;
        match &self.target {
            Some(target) => write(TARGET_FILE, target),
            None => Ok(()),
        }
    }

    /// Reads them from a folder.
    ///
    /// # Errors
    /// [`TrainError::Read`], and [`TrainError::Data`] if one cannot be used.
    pub fn read(folder: &Path) -> Result<Self, TrainError> {
        let target = folder.join(TARGET_FILE);
        Ok(Self {
            source: read_tokenizer(&folder.join(FILE))?,
            target: target
                .exists()
                .then(|| read_tokenizer(&target))
                .transpose()?,
        })
    }
}

/// One tokenizer of the wanted sides.
fn learn(
    files: &PairFiles,
    [source, target]: [bool; 2],
    vocab_size: usize,
    lowercase: bool,
    pool: &Pool,
) -> Result<Tokenizer, DataError> {
    let open = files.open()?;
    let mut failure = None;
    let pairs = open.pairs()?.map_while(|pair| match pair {
        Ok(pair) => Some(pair),
        Err(error) => {
            failure = Some(error);
            None
        }
    });
    let texts = pairs.filter(|pair| !pair.is_half()).flat_map(|pair: Pair| {
        let sides = [source.then_some(pair.source), target.then_some(pair.target)];
        sides.into_iter().flatten()
    });
    // The library brings its own splitting, over rayon: as many threads as the pool has, for this once.
    let threads = rayon::ThreadPoolBuilder::new().num_threads(pool.threads());
    let learned = match threads.build() {
        Ok(helpers) if pool.threads() > 1 => {
            helpers.install(|| Tokenizer::train_translation_bpe(texts, vocab_size, lowercase))
        }
        _ => Tokenizer::train_translation_bpe(texts, vocab_size, lowercase),
    };
    match failure {
        Some(error) => Err(error),
        None => Ok(learned?),
    }
}
