//! `convert`: writes a model again, as a folder for transformers or as one file for llama.cpp.

mod folder;
mod gguf;
mod progress;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use glassformer_kernels::quantised::blocks::Kind;
use glassformer_tensor::Pool;
use glassformer_train::average::{Which, average};
use glassformer_train::setup;
use glassformer_weights::DataType;

use crate::source::{Loaded, ModelFlag};
use crate::terminal::{note, thousands};

/// Write a model again: as a folder that transformers loads, or as a .gguf file that llama.cpp runs.
///
/// Whatever -m takes can be converted. What --out is called decides what is written: a name that ends in .gguf becomes one
/// file with weights, sizes, tokenizer and chat template; any other name a folder with config.json, model.safetensors and the
/// tokenizer's files, in the names that the model has on the Hugging Face hub. The file or folder appears when it is whole.
#[derive(Args)]
#[command(after_help = "\
Types (--dtype), bytes per number, and where they can be written:
  f32     4      exact                                        folder, .gguf
  f16     2      11 bits of mantissa, up to 65,504            folder, .gguf
  bf16    2      8 bits of mantissa, all the range of f32     folder, .gguf
  q8_0    1.06   blocks of 32 with one scale                  .gguf
  q6_k    0.82   blocks of 256 with 16 scales                 .gguf
  q4_k    0.6    blocks of 256 with 8 scales and minima; some matrices q6_k (llama.cpp's Q4_K_M)    .gguf
  q4_0    0.56   blocks of 32 with one scale                  .gguf

Norms, biases and tables of positions stay f32 in a .gguf, what becomes logits is q6_k among smaller blocks, and rows that
are no whole blocks get another type, which is said: all as llama.cpp's llama-quantize does. Without --dtype nothing is
lost: numbers stay as they are, and in a folder, which has no blocks, blocks become f32.

Examples:
  glassformer convert -m SmolLM2.Q4_1.gguf --out smollm2              a folder for transformers, from llama.cpp's file
  glassformer convert -m smollm2 --dtype q4_k --out smollm2.gguf      a file for llama.cpp, a seventh of the size
  glassformer convert -m runs/stories --dtype f16 --out my-model      what was trained here, for everybody
  glassformer convert -m stories260K.bin --out stories.gguf           from llama2.c
  glassformer convert -m base --lora runs/adapter --out merged        an adapter, merged into its model
  glassformer convert -m runs/de --average 10 --out de                the mean of a run's last ten checkpoints

A nanoGPT checkpoint is a pickle, which is not read, for reading one can run code. In Python, once:
  import torch; from safetensors.torch import save_file
  ckpt = torch.load(\"ckpt.pt\", map_location=\"cpu\", weights_only=True)
  save_file({k: v.clone() for k, v in ckpt[\"model\"].items()}, \"ckpt.safetensors\",
            metadata={k: str(v) for k, v in ckpt[\"model_args\"].items()})
Beside it goes GPT-2's tokenizer.json (or vocab.json and merges.txt), or the characters of meta.pkl:
  import json, pickle; json.dump({\"stoi\": pickle.load(open(\"meta.pkl\", \"rb\"))[\"stoi\"]}, open(\"meta.json\", \"w\"))")]
pub(crate) struct Convert {
    #[command(flatten)]
    model: ModelFlag,
    /// The .gguf file or the folder to make; it must not exist yet.
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// How each number is stored [default: as it is now].
    #[arg(long, value_enum)]
    dtype: Option<Dtype>,
    /// Of a training run: the mean of its last N checkpoints, or, as best:N, of the N with the lowest validation loss. Only
    /// those count that the run has kept (train --keep).
    #[arg(long, value_name = "N|best:N", value_parser = which, conflicts_with = "lora")]
    average: Option<Which>,
    /// Threads; 0 for all cores.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

/// Which checkpoints a mean is of.
fn which(text: &str) -> Result<Which, String> {
    let (best, number) = match text.strip_prefix("best:") {
        Some(number) => (true, number),
        None => (false, text),
    };
    match number.parse() {
        Ok(number) if number > 0 && best => Ok(Which::Best(number)),
        Ok(number) if number > 0 => Ok(Which::Last(number)),
        _ => Err("give a number from 1 up, or best: and a number".to_owned()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Dtype {
    F32,
    F16,
    Bf16,
    #[value(name = "q8_0")]
    Q8_0,
    #[value(name = "q6_k")]
    Q6K,
    #[value(name = "q4_k", alias = "q4_k_m")]
    Q4K,
    #[value(name = "q4_0")]
    Q4_0,
}

impl Dtype {
    fn data_type(self) -> DataType {
        match self {
            Self::F32 => DataType::F32,
            Self::F16 => DataType::F16,
            Self::Bf16 => DataType::Bf16,
            Self::Q8_0 => DataType::Block(Kind::Q8_0),
            Self::Q6K => DataType::Block(Kind::Q6_K),
            Self::Q4K => DataType::Block(Kind::Q4_K),
            Self::Q4_0 => DataType::Block(Kind::Q4_0),
        }
    }
}

impl Convert {
    pub(crate) fn run(&self) -> Result<()> {
        let out = &self.out;
        if out.exists() {
            bail!(
                "{} exists already; name another with --out, or remove it",
                out.display()
            );
        }
        let is_file = out.extension().is_some_and(|extension| extension == "gguf");
        let wanted = self.dtype.map(Dtype::data_type);
        if let Some(DataType::Block(kind)) = wanted
            && !is_file
        {
            bail!(
                "a folder holds no blocks such as {kind:?}: name a .gguf file with --out, or take f32, f16 or bf16"
            );
        }
        let loaded = self.load()?;
        let pool = Pool::new(self.threads);
        let remarks = if is_file {
            gguf::write(&loaded, out, wanted, &pool)
        } else {
            folder::write(&loaded, out, wanted, &pool)
        };
        let remarks = remarks.with_context(|| format!("cannot write {}", out.display()))?;
        for remark in remarks {
            note(&remark);
        }
        eprintln!("Wrote {}, {} bytes.", out.display(), thousands(size(out)));
        Ok(())
    }

    /// The model, its weights still in their file; an adapter is merged into them, for which they are read.
    fn load(&self) -> Result<Loaded> {
        if let Some(which) = self.average {
            return self.averaged(which);
        }
        let loaded = self.model.open()?;
        if loaded.model.parameters.adapter().is_some() {
            return self.model.load();
        }
        Ok(loaded)
    }
}

impl Convert {
    /// The mean of a run's checkpoints.
    fn averaged(&self, which: Which) -> Result<Loaded> {
        let run = Path::new(&self.model.model);
        if !setup::is_run(run) {
            bail!(
                "--average takes the --out folder of a training run with -m; {} is none",
                run.display()
            );
        }
        let mean = average(run, which)?;
        let mut loaded = self.model.load()?;
        loaded
            .model
            .parameters
            .arena_mut()
            .copy_from_slice(&mean.parameters);
        let steps: Vec<_> = mean.steps.iter().map(|&step| thousands(step)).collect();
        note(&format!(
            "the mean of the checkpoints of steps {}",
            steps.join(", ")
        ));
        Ok(loaded)
    }
}

/// Bytes of a file, or of all files in a folder.
fn size(path: &Path) -> u64 {
    let length = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    match path.read_dir() {
        Err(_) => length(path),
        Ok(entries) => entries.flatten().map(|entry| length(&entry.path())).sum(),
    }
}
