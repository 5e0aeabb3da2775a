//! From a command to a [`Trainer`]: a new run, or one taken up again.

use std::fs;
use std::path::{Path, PathBuf};

use glassformer_model::{Model, families::gpt2};
use glassformer_tensor::Pool;
use glassformer_tokens::Tokenizer;
use glassformer_weights::atomic;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoints, Progress, Resumed};
use crate::data::{self, Batches, Corpus, CorpusOptions, Prepare, Shards, Windows};
use crate::{Optimizer, Options, TrainError, Trainer, Vocabulary};

/// What a run was started with; `run.json` in its folder, so that `--resume` needs nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Files and folders of text, or one folder with `train.bin` and `val.bin`.
    pub corpora: Vec<PathBuf>,
    /// How text files are read.
    pub reading: CorpusOptions,
    /// All hyper-parameters.
    pub options: Options,
}

/// What goes on before the first step, for people who wait.
#[derive(Clone, Copy, Debug)]
pub enum Stage {
    /// Learning the vocabulary.
    Vocabulary,
    /// Turning text into tokens.
    Tokens(data::Progress),
}

/// A run that is ready, and what there is to say about it.
pub struct Ready {
    /// Ready to run.
    pub trainer: Trainer,
    /// What the run was started with.
    pub request: Request,
    /// Things to tell: characters left out, files passed over, damaged checkpoints.
    pub notes: Vec<String>,
}

const RUN: &str = "run.json";

/// Whether the folder holds a run.
pub fn is_run(folder: &Path) -> bool {
    folder.join(RUN).exists()
}

/// A new run in `folder`, from fresh parameters or from a model (fine-tuning).
pub fn start(
    folder: &Path,
    mut request: Request,
    init: Option<(Model, Tokenizer)>,
    pool: &Pool,
    report: &dyn Fn(Stage),
) -> Result<Ready, TrainError> {
    let options = &request.options;
    options.check().map_err(TrainError::Options)?;
    if is_run(folder) && !Checkpoints::of(folder).list().is_empty() {
        return Err(TrainError::RunExists {
            path: folder.to_owned(),
        });
    }
    // Before the folder is touched: a wrong path must leave nothing behind.
    let source = Source::open(&request)?;
    let tokenizer = match &init {
        Some((_, tokenizer)) => tokenizer.clone(),
        None => source.vocabulary(&options.vocabulary, pool, report)?,
    };
    let model = match init {
        Some((model, _)) => model,
        None => {
            let config = options.config(tokenizer.vocab_size());
            config.check().map_err(TrainError::Options)?;
            gpt2::new(&config, options.seed)
        }
    };
    fs::create_dir_all(folder).map_err(|source| TrainError::Write {
        path: folder.to_owned(),
        source,
    })?;
    adopt_sizes(&mut request.options, &model);
    let mut notes = source.notes();
    let (train, validation) = batches(
        &source,
        folder,
        &request.options,
        &tokenizer,
        pool,
        report,
        &mut notes,
    )?;
    write(
        &folder.join("tokenizer.json"),
        tokenizer.to_json().as_bytes(),
    )?;
    // Absolute, so that the run can be taken up from anywhere.
    for path in &mut request.corpora {
        *path = fs::canonicalize(&*path).unwrap_or_else(|_| path.clone());
    }
    write(
        &folder.join(RUN),
        &serde_json::to_vec_pretty(&request).expect("plain data"),
    )?;
    let optimizer = Optimizer::new(model.parameters.arena().len());
    let options = request.options.clone();
    let progress = Progress::default();
    let trainer = Trainer {
        options,
        model,
        tokenizer,
        optimizer,
        progress,
        train,
        validation,
    };
    Ok(Ready {
        trainer,
        request,
        notes,
    })
}

/// The run in `folder`, at its newest whole checkpoint (or at its beginning when it has none yet).
///
/// `change` may alter the stored options: more steps, another learning rate.
pub fn resume(
    folder: &Path,
    init: impl FnOnce() -> Result<Option<(Model, Tokenizer)>, TrainError>,
    change: impl FnOnce(&mut Options),
    pool: &Pool,
    report: &dyn Fn(Stage),
) -> Result<Ready, TrainError> {
    let path = folder.join(RUN);
    let bytes = fs::read(&path).map_err(|_| TrainError::NoRun {
        path: folder.to_owned(),
    })?;
    let mut request: Request =
        serde_json::from_slice(&bytes).map_err(|source| TrainError::Progress { path, source })?;
    change(&mut request.options);
    request.options.check().map_err(TrainError::Options)?;
    let path = folder.join("tokenizer.json");
    let tokenizer =
        Tokenizer::from_json(&fs::read(&path).map_err(|source| TrainError::Read { path, source })?)
            .map_err(data::DataError::from)?;
    let mut notes = Vec::new();
    let (model, optimizer, progress) = match Checkpoints::of(folder).resume()? {
        Some(Resumed {
            model,
            optimizer,
            progress,
            damaged,
        }) => {
            notes.extend(
                damaged
                    .iter()
                    .map(|error| format!("passed over a checkpoint: {error}")),
            );
            (model, optimizer, progress)
        }
        None => {
            let model = match init()? {
                Some((model, _)) => model,
                None => gpt2::new(
                    &request.options.config(tokenizer.vocab_size()),
                    request.options.seed,
                ),
            };
            let optimizer = Optimizer::new(model.parameters.arena().len());
            (model, optimizer, Progress::default())
        }
    };
    let source = Source::open(&request)?;
    let (train, validation) = batches(
        &source,
        folder,
        &request.options,
        &tokenizer,
        pool,
        report,
        &mut notes,
    )?;
    let options = request.options.clone();
    let trainer = Trainer {
        options,
        model,
        tokenizer,
        optimizer,
        progress,
        train,
        validation,
    };
    Ok(Ready {
        trainer,
        request,
        notes,
    })
}

/// The options of a fine-tuned run tell the sizes of the model that it began with.
fn adopt_sizes(options: &mut Options, model: &Model) {
    let dimensions = model.dimensions();
    options.n_layers = dimensions.n_layers;
    options.n_heads = dimensions.n_heads;
    options.d_model = dimensions.d_model;
    options.d_ff = Some(dimensions.d_ff);
    options.n_ctx = options.n_ctx.min(dimensions.n_ctx);
}

/// Where the tokens come from.
enum Source {
    Text(Corpus),
    /// A folder with `train.bin` and `val.bin`, as nanoGPT prepares them.
    Tokens(PathBuf, Box<Shards>),
}

impl Source {
    fn open(request: &Request) -> Result<Self, TrainError> {
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

    fn notes(&self) -> Vec<String> {
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

    fn vocabulary(
        &self,
        vocabulary: &Vocabulary,
        pool: &Pool,
        report: &dyn Fn(Stage),
    ) -> Result<Tokenizer, TrainError> {
        let from_file = |path: &Path| {
            let bytes = fs::read(path).map_err(|source| TrainError::Read {
                path: path.to_owned(),
                source,
            })?;
            Ok(Tokenizer::from_json(&bytes).map_err(data::DataError::from)?)
        };
        match (self, vocabulary) {
            (_, Vocabulary::File(path)) => from_file(path),
            // Ready tokens come with their tokenizer, or with one that is named.
            (Self::Tokens(folder, _), _) => from_file(&folder.join("tokenizer.json")),
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

    fn shards(
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

fn batches(
    source: &Source,
    folder: &Path,
    options: &Options,
    tokenizer: &Tokenizer,
    pool: &Pool,
    report: &dyn Fn(Stage),
    notes: &mut Vec<String>,
) -> Result<(Batches, Windows), TrainError> {
    let shards = source.shards(folder, options, tokenizer, pool, report)?;
    for shard in [&shards.train, &shards.val] {
        shard.check_vocab(tokenizer.vocab_size())?;
    }
    if let Some(meta) = &shards.meta
        && !meta.unknown.is_empty()
    {
        let some: String = meta.unknown.chars().take(20).collect();
        notes.push(format!(
            "{} characters are not in the vocabulary and were left out: {some}",
            meta.unknown.chars().count()
        ));
    }
    let Options {
        n_ctx,
        batch_size,
        seed,
        eval_batches,
        ..
    } = *options;
    let train = Batches::new(shards.train, n_ctx, batch_size, seed)?;
    Ok((
        train,
        Windows::new(shards.val, n_ctx, batch_size, Some(eval_batches))?,
    ))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    atomic::write_file(path, bytes).map_err(|source| TrainError::Write {
        path: path.to_owned(),
        source,
    })
}
