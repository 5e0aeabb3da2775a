//! Where a run's tokens come from: text to be tokenised, or ready tokens.

use std::fs;
use std::path::{Path, PathBuf};

use glassformer_model::Model;
use glassformer_tensor::Pool;
use glassformer_tokens::Tokenizer;

use crate::data::pairs::{
    PairBatches, PairFiles, PairShards, PairTokenizers, PairsFrom, PreparePairs,
};
use crate::data::{Batches, Corpus, DataError, Prepare, Shards, Windows};
use crate::setup::{Request, Stage};
use crate::{Material, Options, TrainError, Translation, Vocabulary};

/// Where the tokens come from.
pub(crate) enum Source {
    Text(Corpus),
    /// A folder with `train.bin` and `val.bin`, as nanoGPT prepares them.
    Tokens(PathBuf, Box<Shards>),
    /// Sentences and their translations.
    Pairs(PairsFrom),
}

impl Source {
    pub(crate) fn open(request: &Request) -> Result<Self, TrainError> {
        if let Some(pairs) = &request.pairs {
            pairs.train.open()?;
            pairs.val.as_ref().map(PairFiles::open).transpose()?;
            return Ok(Self::Pairs(pairs.clone()));
        }
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
        options: &Options,
        pool: &Pool,
        report: &dyn Fn(Stage),
    ) -> Result<PairTokenizers, TrainError> {
        let translation = options.translation.clone().unwrap_or_default();
        let tokenizer = match (self, &options.vocabulary) {
            (_, Vocabulary::File(path)) => read_tokenizer(path)?,
            // Ready tokens come with their tokenizer, or with one that is named.
            (Self::Tokens(folder, _), _) => read_tokenizer(&folder.join("tokenizer.json"))?,
            (Self::Pairs(_), Vocabulary::Characters) => {
                let reason = "pairs are cut by byte-level BPE: give --tokenizer a size, such as 8000, or a tokenizer.json";
                return Err(TrainError::Options(reason.to_owned()));
            }
            (Self::Pairs(from), &Vocabulary::Bpe(size)) => {
                report(Stage::Vocabulary);
                let Translation {
                    separate,
                    lowercase,
                    ..
                } = translation;
                let files = &from.train;
                return Ok(PairTokenizers::learn(
                    files, size, separate, lowercase, pool,
                )?);
            }
            (Self::Text(corpus), Vocabulary::Characters) => {
                report(Stage::Vocabulary);
                corpus.learn_characters()?
            }
            (Self::Text(corpus), &Vocabulary::Bpe(size)) => {
                report(Stage::Vocabulary);
                corpus.learn_bpe(size, pool)?
            }
        };
        Ok(PairTokenizers::joint(tokenizer))
    }

    /// Batches of it, made ready in `folder`, and remarks on what was left out.
    pub(crate) fn material(
        &self,
        folder: &Path,
        options: &Options,
        tokenizers: &PairTokenizers,
        model: &Model,
        pool: &Pool,
        report: &dyn Fn(Stage),
    ) -> Result<(Material, Vec<String>), TrainError> {
        let &Options {
            n_ctx,
            batch_size,
            seed,
            eval_batches,
            ..
        } = options;
        let vocab = model.dimensions().vocab;
        if let Self::Pairs(from) = self {
            let Some(start) = model.network.pair().and_then(|pair| pair.marks().start) else {
                let reason = "pairs need an encoder–decoder that says with which token it begins to write; leave --init out, or name one such as Marian";
                return Err(TrainError::Options(reason.to_owned()));
            };
            let progress = |progress| report(Stage::Tokens(progress));
            let prepare = PreparePairs {
                from,
                tokenizers,
                val_fraction: options.val_fraction,
                context: n_ctx,
                pool,
                progress: &progress,
            };
            let PairShards { train, val, meta } = prepare.shards_in(&folder.join("data"))?;
            let most = options.translation.clone().unwrap_or_default().batch_tokens;
            let material = Material::Pairs {
                train: PairBatches::new(train, most, start, seed)?,
                validation: Box::new(PairBatches::new(val, most, start, seed)?),
                at_most: eval_batches,
            };
            return Ok((material, meta.skipped.notes(n_ctx)));
        }
        model.check_reads_alone("the model of --init")?;
        let shards = self.shards(folder, options, &tokenizers.source, pool, report)?;
        for shard in [&shards.train, &shards.val] {
            shard.check_vocab(vocab.min(tokenizers.source.vocab_size()))?;
        }
        let notes = left_out(&shards).into_iter().collect();
        let material = Material::Text {
            train: Batches::new(shards.train, n_ctx, batch_size, seed)?,
            validation: Windows::new(shards.val, n_ctx, batch_size, Some(eval_batches))?,
        };
        Ok((material, notes))
    }

    fn shards(
        &self,
        folder: &Path,
        options: &Options,
        tokenizer: &Tokenizer,
        pool: &Pool,
        report: &dyn Fn(Stage),
    ) -> Result<Shards, TrainError> {
        match self {
            Self::Pairs(_) => unreachable!("pairs have shards of their own"),
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

/// Characters of the corpus that the vocabulary does not know, as a remark.
fn left_out(shards: &Shards) -> Option<String> {
    let unknown = &shards.meta.as_ref()?.unknown;
    let some: String = unknown.chars().take(20).collect();
    let count = unknown.chars().count();
    (count > 0)
        .then(|| format!("{count} characters are not in the vocabulary and were left out: {some}"))
}

/// Reads a `tokenizer.json`.
pub(crate) fn read_tokenizer(path: &Path) -> Result<Tokenizer, TrainError> {
    let bytes = fs::read(path).map_err(|source| TrainError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(Tokenizer::from_json(&bytes).map_err(DataError::from)?)
}
