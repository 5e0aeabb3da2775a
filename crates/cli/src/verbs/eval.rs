//! `eval`: how well a model predicts a text.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use glassformer_generate::perplexity::{Perplexity, count, perplexity};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::source::ModelFlag;
use crate::terminal::{thousands, write};
use crate::verbs::running::RunningFlags;

/// Measure the perplexity of a model on a text: exp of the mean of −ln p(token).
#[derive(Args)]
#[command(after_help = "\
Examples:
  glassformer eval -m SmolLM2-135M-Instruct.Q4_1.gguf wikitext-2-valid.txt --context 512
  glassformer eval -m runs/nano shakespeare.txt --json

Windows of --context tokens overlap: they begin --stride tokens apart, and each token is counted once. Perplexities of models
with different tokenizers cannot be compared; bits per byte can.")]
pub(crate) struct Eval {
    /// The text.
    text: PathBuf,
    #[command(flatten)]
    model: ModelFlag,
    /// Tokens of a window [default: 1,024, or the model's context when that is shorter].
    #[arg(long, value_name = "N")]
    context: Option<usize>,
    /// Tokens between the beginnings of two windows [default: half a window].
    #[arg(long, value_name = "N")]
    stride: Option<usize>,
    /// Read only the first N tokens of the text.
    #[arg(long, value_name = "N")]
    max_tokens: Option<usize>,
    #[command(flatten)]
    running: RunningFlags,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

impl Eval {
    pub(crate) fn run(&self) -> Result<()> {
        let bytes = std::fs::read(&self.text)
            .with_context(|| format!("cannot read {}", self.text.display()))?;
        let text = String::from_utf8(bytes)
            .with_context(|| format!("{} is not UTF-8 text", self.text.display()))?;
        let mut loaded = self.model.open()?.continuing()?;
        let sizes = self.sizes(loaded.model.dimensions().n_ctx)?;
        let mut ids = loaded.tokenizer.encode_prompt(&text)?.ids;
        ids.truncate(self.max_tokens.unwrap_or(usize::MAX));
        if ids.len() < 2 {
            bail!(
                "{} has {} tokens; there is nothing to predict in fewer than 2",
                self.text.display(),
                ids.len()
            );
        }
        let read: usize = ids[1..]
            .iter()
            .map(|&id| loaded.tokenizer.token_bytes(id).len())
            .sum();
        let pool = self.running.prepare(&mut loaded);
        let bar = ProgressBar::new(count(ids.len(), sizes[0], sizes[1]) as u64);
        bar.set_style(ProgressStyle::with_template(
            "{bar:30} {pos}/{len} windows, {eta} left, perplexity {msg}",
        )?);
        let found = perplexity(&loaded.model, &pool, &ids, sizes, |found| {
            bar.inc(1);
            bar.set_message(format!("{:.3}", found.value()));
        });
        bar.finish_and_clear();
        self.tell(&loaded.name, sizes, found, read)
    }

    /// Context and stride.
    fn sizes(&self, n_ctx: usize) -> Result<[usize; 2]> {
        let context = self.context.unwrap_or(n_ctx.min(1024));
        if context < 2 || context > n_ctx {
            bail!(
                "--context {context} must lie between 2 and the model's context, which is {n_ctx}"
            );
        }
        let stride = self.stride.unwrap_or(context / 2);
        if stride == 0 || stride >= context {
            bail!("--stride {stride} must lie between 1 and {}", context - 1);
        }
        Ok([context, stride])
    }

    fn tell(&self, name: &str, sizes: [usize; 2], found: Perplexity, bytes: usize) -> Result<()> {
        let [context, stride] = sizes;
        let loss = found.nats / found.tokens as f64;
        let bits_per_byte = found.nats / std::f64::consts::LN_2 / bytes as f64;
        if self.json {
            let value = json!({
                "model": name, "text": self.text.display().to_string(), "perplexity": found.value(), "loss": loss,
                "bits_per_byte": bits_per_byte, "tokens": found.tokens, "windows": found.windows,
                "context": context, "stride": stride,
            });
            return Ok(write(&format!("{value}\n"))?);
        }
        Ok(write(&format!(
            "perplexity {:.4} over {} tokens (loss {loss:.4} nats, {bits_per_byte:.4} bits per byte; {} windows of {context}, {stride} apart)\n",
            found.value(),
            thousands(found.tokens as u64),
            found.windows,
        ))?)
    }
}
