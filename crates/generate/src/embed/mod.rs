//! Texts to vectors: what a model's last layer says of the positions, drawn together into one vector for each text.
//!
//! Texts are read in batches without padding ([`Lengths`]), so that no work goes into positions that are not there.

mod encoded;
mod modules;
mod pooling;

pub use encoded::{Cut, Encoded};
pub use modules::{Modules, most_tokens};
pub use pooling::Pooling;

use glassformer_model::{Lengths, Mode, Model, Pass};
use glassformer_tensor::{Buffers, Pool, Tensor};

/// Most rows of a batch, unless one text alone has more: their activations fit the last-level cache, and the weights
/// are read often enough.
const ROWS: usize = 1024;

/// What is wrong with texts, or with what a model says of its vectors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// A text without tokens.
    #[error("text {text} has no tokens; there is nothing to make a vector of")]
    Empty {
        /// Which, from 0.
        text: usize,
    },
    /// A text longer than the model's context.
    #[error("text {text} has {tokens} tokens; the model reads at most {most}: cut it")]
    TooLong {
        /// Which, from 0.
        text: usize,
        /// Its length.
        tokens: usize,
        /// The model's context.
        most: usize,
    },
    /// An id outside of the vocabulary.
    #[error("text {text} has the token {id}; the model's vocabulary has {vocab}")]
    NoToken {
        /// Which, from 0.
        text: usize,
        /// The id.
        id: u32,
        /// V.
        vocab: usize,
    },
    /// A file of sentence-transformers that asks for something else.
    #[error("{file} {reason}")]
    Config {
        /// Which file.
        file: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// A model that turns texts into vectors.
pub struct Embedder {
    model: Model,
    buffers: Buffers,
    /// How the positions' vectors become one.
    pub pooling: Pooling,
    /// Whether vectors are made 1 long, so that products of them are cosines.
    pub normalises: bool,
}

impl Embedder {
    /// Vectors as long as they come, from any model. It is faster when its weights are [packed](Model::pack).
    pub fn new(model: Model, pooling: Pooling) -> Self {
        Self {
            model,
            buffers: Buffers::rounding_up(),
            pooling,
            normalises: false,
        }
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// One vector [D] for each of `texts`, given as ids, in their order. `progress` is told after each batch how many
    /// texts it had.
    pub fn embed<T: AsRef<[u32]>>(
        &self,
        pool: &Pool,
        texts: &[T],
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.check(texts)?;
        let length = |&i: &usize| texts[i].as_ref().len();
        // Those of one length beside each other: threads that share out sequences have equal parts.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(length);
        let mut vectors = vec![Vec::new(); texts.len()];
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(fitting(rest.iter().map(length)));
            rest = later;
            let lengths = Lengths::of(batch.iter().map(length));
            let ids: Vec<u32> = batch
                .iter()
                .flat_map(|&i| texts[i].as_ref())
                .copied()
                .collect();
            let rows = self.rows(pool, &lengths, &ids);
            for (&i, range) in batch.iter().zip(lengths.ranges()) {
                let mut vector = self.pooling.of(&rows, range);
                if self.normalises {
                    pooling::normalise(&mut vector);
                }
                vectors[i] = vector;
            }
            progress(batch.len());
        }
        Ok(vectors)
    }

    /// The vector of each position, [ΣT,D].
    fn rows(&self, pool: &Pool, lengths: &Lengths, ids: &[u32]) -> Tensor {
        let run = self.model.run(pool, &self.buffers);
        let mut pass = Pass::over(run, lengths.clone(), Mode::Inference);
        self.model.vectors(&mut pass, ids).tensor().clone()
    }

    fn check<T: AsRef<[u32]>>(&self, texts: &[T]) -> Result<(), EmbedError> {
        let dimensions = self.model.dimensions();
        for (text, ids) in texts.iter().map(AsRef::as_ref).enumerate() {
            if ids.is_empty() {
                return Err(EmbedError::Empty { text });
            }
            if ids.len() > dimensions.n_ctx {
                return Err(EmbedError::TooLong {
                    text,
                    tokens: ids.len(),
                    most: dimensions.n_ctx,
                });
            }
            if let Some(&id) = ids.iter().find(|&&id| id as usize >= dimensions.vocab) {
                return Err(EmbedError::NoToken {
                    text,
                    id,
                    vocab: dimensions.vocab,
                });
            }
        }
        Ok(())
    }
}

/// How many of the next texts, of these lengths, are one batch: at least one.
fn fitting(lengths: impl Iterator<Item = usize>) -> usize {
    let mut rows = 0;
    let fits = lengths.take_while(|length| {
        rows += length;
        rows <= ROWS
    });
    fits.count().max(1)
}
