//! `convert`: writes a model again, in another number format.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use glassformer_train::checkpoint::write_model;
use glassformer_weights::{FloatType, atomic};

use crate::source::ModelFlag;

/// Write a model to a folder as Hugging Face lays it out (config.json, model.safetensors, tokenizer.json).
#[derive(Args)]
#[command(after_help = "\
Example:
  glassformer convert -m runs/stories --dtype f16 --out my-model")]
pub(crate) struct Convert {
    #[command(flatten)]
    model: ModelFlag,
    /// The folder to make; it must not exist yet.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How each number is stored.
    #[arg(long, value_enum, default_value = "f32")]
    dtype: Dtype,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Dtype {
    F32,
    F16,
    Bf16,
}

impl Convert {
    pub(crate) fn run(&self) -> Result<()> {
        let loaded = self.model.load()?;
        let dtype = match self.dtype {
            Dtype::F32 => FloatType::F32,
            Dtype::F16 => FloatType::F16,
            Dtype::Bf16 => FloatType::Bf16,
        };
        if self.out.exists() {
            anyhow::bail!(
                "{} exists already; name a new folder with --out",
                self.out.display()
            );
        }
        atomic::write_folder(&self.out, |folder| {
            write_model(folder, &loaded.model, &loaded.tokenizer, dtype)
        })
        .with_context(|| format!("cannot write {}", self.out.display()))?;
        eprintln!("Wrote {}.", self.out.display());
        Ok(())
    }
}
