//! From a command to a [`Trainer`]: a new run, or one taken up again.

use std::fs;
use std::path::{Path, PathBuf};

use glassformer_model::families::{self, gpt2};
use glassformer_model::{Adapter, Marks, Model};
use glassformer_tensor::Pool;
use glassformer_tokens::{PAD, Tokenizer};
use glassformer_weights::atomic;
use serde::{Deserialize, Serialize};

use crate::adapter::Lora;
use crate::checkpoint::{Checkpoints, Progress, Resumed};
use crate::data::pairs::{PairTokenizers, PairsFrom};
use crate::data::{self, Batches, CorpusOptions, Shard, Windows};
use crate::memory;
use crate::source::{self, Source};
use crate::translation;
use crate::{Material, Optimizer, Options, TrainError, Trainer, Vocabulary};

/// What a run was started with; `run.json` in its folder, so that `--resume` needs nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Files and folders of text, or one folder with `train.bin` and `val.bin`.
    pub corpora: Vec<PathBuf>,
    /// How text files are read.
    pub reading: CorpusOptions,
    /// All hyper-parameters.
    pub options: Options,
    /// The model that an adapter is trained on, if one is.
    #[serde(default)]
    pub base: Option<PathBuf>,
    /// Pairs of sentences, in place of corpora, for a model that translates.
    #[serde(default)]
    pub pairs: Option<PairsFrom>,
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

/// The shortest context of a run over a text in memory.
pub const LEAST_CONTEXT: usize = 8;

/// Whether the folder holds a run.
pub fn is_run(folder: &Path) -> bool {
    folder.join(RUN).exists()
}

/// A new run in `folder`, from fresh parameters or from a model (fine-tuning).
///
/// Its beginning is a checkpoint like any other (step 0), so that it can be taken up again from its first moment on.
pub fn start(
    folder: &Path,
    mut request: Request,
    init: Option<(Model, Tokenizer)>,
    pool: &Pool,
    report: &dyn Fn(Stage),
) -> Result<Ready, TrainError> {
    request.options.check().map_err(TrainError::Options)?;
    let checkpoints = Checkpoints::of(folder);
    if is_run(folder) || checkpoints.list().iter().any(|(step, _)| *step > 0) {
        return Err(TrainError::RunExists {
            path: folder.to_owned(),
        });
    }
    // Before the folder is touched: a wrong path must leave nothing behind.
    let source = Source::open(&request)?;
    let init = init.map(|(model, tokenizer)| (model, PairTokenizers::joint(tokenizer)));
    let (model, tokenizers) = match (&request.options.lora, init) {
        (Some(lora), init) => with_adapter(lora, &request, init, pool)?,
        (None, Some(given)) => given,
        (None, None) => fresh(&source, &request.options, pool, report)?,
    };
    adopt_sizes(&mut request.options, &model);
    checkpoints
        .clear_beginning()
        .map_err(|source| TrainError::Write {
            path: folder.to_owned(),
            source,
        })?;
    let optimizer = Optimizer::new(model.parameters.trained().arena().len());
    let begin = Beginning {
        model,
        optimizer,
        progress: Progress::default(),
        notes: source.notes(),
    };
    let ready = assemble(folder, request, &source, tokenizers, begin, pool, report)?;
    let Trainer {
        model,
        tokenizers,
        optimizer,
        progress,
        ..
    } = &ready.trainer;
    let first = checkpoints.save(model, tokenizers, optimizer, progress);
    // There is no checkpoint before this one that the message could point to.
    first.map_err(|error| match error {
        TrainError::Save { path, source } => TrainError::Write { path, source },
        other => other,
    })?;
    // Last: the folder is a run once this file stands.
    tokenizers
        .write(folder)
        .map_err(|source| TrainError::Write {
            path: folder.to_owned(),
            source,
        })?;
    write_request(folder, &ready.request)?;
    Ok(ready)
}

/// A run over `text` alone, from fresh parameters and a vocabulary that is learned from it, that touches no file but a vocabulary's, if one is named: the text's end is for
/// validation, and a context longer than this end allows is halved until it fits.
///
/// Errors: options out of range, a text too short for a context of [`LEAST_CONTEXT`], too little memory.
pub fn in_memory(text: &str, mut options: Options, pool: &Pool) -> Result<Trainer, TrainError> {
    let once = std::iter::once(text.to_owned());
    let tokenizer = match &options.vocabulary {
        Vocabulary::File(path) => source::read_tokenizer(path)?,
        Vocabulary::Characters => Tokenizer::characters(once).map_err(data::DataError::from)?,
        &Vocabulary::Bpe(size) => {
            Tokenizer::train_bpe(once, size).map_err(data::DataError::from)?
        }
    };
    let mut ids = tokenizer.encode(text).map_err(data::DataError::from)?.ids;
    let kept = (ids.len() as f64 * options.val_fraction).ceil() as usize;
    while options.n_ctx > LEAST_CONTEXT && options.n_ctx >= kept {
        options.n_ctx /= 2;
    }
    options.check().map_err(TrainError::Options)?;
    let dimensions = options.dimensions(tokenizer.vocab_size());
    memory::check(&options, &dimensions, memory::available())?;
    let val = Shard::from_ids(ids.split_off(ids.len() - kept.min(ids.len())), "validation");
    let train = Shard::from_ids(ids, "training");
    let Options {
        n_ctx,
        batch_size,
        seed,
        eval_batches,
        ..
    } = options;
    let train = Batches::new(train, n_ctx, batch_size, seed)?;
    let validation = Windows::new(val, n_ctx, batch_size, Some(eval_batches))?;
    let mut model = gpt2::new(&options.config(tokenizer.vocab_size()), seed, pool);
    prepare(&mut model, &options, pool);
    Ok(Trainer {
        optimizer: Optimizer::new(model.parameters.layout().len()),
        options,
        model,
        tokenizers: PairTokenizers::joint(tokenizer),
        progress: Progress::default(),
        material: Material::Text { train, validation },
    })
}

/// What the run in `folder` was started with.
pub fn request(folder: &Path) -> Result<Request, TrainError> {
    let path = folder.join(RUN);
    let bytes = fs::read(&path).map_err(|_| TrainError::NoRun {
        path: folder.to_owned(),
    })?;
    serde_json::from_slice(&bytes).map_err(|source| TrainError::Progress { path, source })
}

/// The run in `folder`, at its newest whole checkpoint, on `base` if it trains an adapter ([`Request::base`]).
///
/// `change` may alter the stored options: more steps, another learning rate.
pub fn resume(
    folder: &Path,
    change: impl FnOnce(&mut Options),
    base: Option<Model>,
    pool: &Pool,
    report: &dyn Fn(Stage),
) -> Result<Ready, TrainError> {
    let no_run = || TrainError::NoRun {
        path: folder.to_owned(),
    };
    let mut request = request(folder)?;
    if let Some(path) = request.base.as_ref().filter(|_| base.is_none()) {
        return Err(TrainError::NoBase {
            path: folder.to_owned(),
            base: path.clone(),
        });
    }
    change(&mut request.options);
    request.options.check().map_err(TrainError::Options)?;
    let tokenizers = PairTokenizers::read(folder)?;
    let Resumed {
        model,
        optimizer,
        progress,
        damaged,
    } = Checkpoints::of(folder).resume(base)?.ok_or_else(no_run)?;
    let passed_over = |error| format!("passed over a checkpoint: {error}");
    let notes = damaged.iter().map(passed_over).collect();
    // A checkpoint's sizes are what they are; of the flags, those that can change do so for good.
    adopt_sizes(&mut request.options, &model);
    let source = Source::open(&request)?;
    let begin = Beginning {
        model,
        optimizer,
        progress,
        notes,
    };
    let ready = assemble(folder, request, &source, tokenizers, begin, pool, report)?;
    write_request(folder, &ready.request)?;
    Ok(ready)
}

/// What the run is started, or gone on, with: the next `--resume` takes it from here.
fn write_request(folder: &Path, request: &Request) -> Result<(), TrainError> {
    write(
        &folder.join(RUN),
        &serde_json::to_vec_pretty(request).expect("plain data"),
    )
}

/// Where a run begins or goes on.
struct Beginning {
    model: Model,
    optimizer: Optimizer,
    progress: Progress,
    notes: Vec<String>,
}

/// A fresh model with a vocabulary learned from the corpus (or read, if the options name a file).
fn fresh(
    source: &Source,
    options: &Options,
    pool: &Pool,
    report: &dyn Fn(Stage),
) -> Result<(Model, PairTokenizers), TrainError> {
    let tokenizers = source.vocabulary(options, pool, report)?;
    let vocab = tokenizers.source.vocab_size();
    let model = if let Source::Pairs(_) = source {
        let own = tokenizers.target.as_ref().map(Tokenizer::vocab_size);
        let written = tokenizers.written();
        let end = tokenizers.ends()?[1];
        let pad = written.id_of(PAD);
        let marks = Marks {
            start: pad.or(Some(end)),
            end: Some(end),
            pad,
        };
        let config = translation::config(options, [Some(vocab), own], marks);
        config.check().map_err(TrainError::Options)?;
        let parameters = translation::parameters(options, [Some(vocab), own]);
        let vocab = written.vocab_size();
        memory::check_pairs(options, parameters, vocab, memory::available())?;
        families::new_pair(&config, options.seed, pool).map_err(TrainError::Options)?
    } else {
        let config = options.config(vocab);
        config.check().map_err(TrainError::Options)?;
        memory::check(options, &options.dimensions(vocab), memory::available())?;
        gpt2::new(&config, options.seed, pool)
    };
    Ok((model, tokenizers))
}

/// The model given, with a fresh adapter.
fn with_adapter(
    lora: &Lora,
    request: &Request,
    init: Option<(Model, PairTokenizers)>,
    pool: &Pool,
) -> Result<(Model, PairTokenizers), TrainError> {
    let Some(((mut model, tokenizers), base)) = init.zip(request.base.as_deref()) else {
        let reason = "an adapter is trained on a model that exists; name it with --init";
        return Err(TrainError::Options(reason.to_owned()));
    };
    let seed = request.options.seed;
    model.adapt(Adapter::new(&model, lora.config(base), seed, pool)?);
    Ok((model, tokenizers))
}

/// Adds the data to what a run begins with.
fn assemble(
    folder: &Path,
    mut request: Request,
    source: &Source,
    tokenizers: PairTokenizers,
    begin: Beginning,
    pool: &Pool,
    report: &dyn Fn(Stage),
) -> Result<Ready, TrainError> {
    let Beginning {
        mut model,
        optimizer,
        progress,
        mut notes,
    } = begin;
    prepare(&mut model, &request.options, pool);
    if model.parameters.adapter().is_some() {
        memory::check_adapter(&request.options, &model, memory::available())?;
    }
    let options = &request.options;
    let (material, left_out) =
        source.material(folder, options, &tokenizers, &model, pool, report)?;
    notes.extend(left_out);
    // Absolute, so that the run can be taken up from anywhere.
    for path in &mut request.corpora {
        *path = fs::canonicalize(&*path).unwrap_or_else(|_| path.clone());
    }
    if let Some(pairs) = &mut request.pairs {
        pairs.make_absolute();
    }
    let options = request.options.clone();
    let trainer = Trainer {
        options,
        model,
        tokenizers,
        optimizer,
        progress,
        material,
    };
    Ok(Ready {
        trainer,
        request,
        notes,
    })
}

/// Sets a model up for steps of training: its precision, and operands of its weights that serve all of them.
pub fn prepare(model: &mut Model, options: &Options, pool: &Pool) {
    model.precision = options.precision.into();
    if model.parameters.adapter().is_some() {
        model.pack_frozen(pool, model.precision);
    } else if options.keeps_operands() {
        model.pack_trained(pool, model.precision);
    }
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

fn write(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    atomic::write_file(path, bytes).map_err(|source| TrainError::Write {
        path: path.to_owned(),
        source,
    })
}
