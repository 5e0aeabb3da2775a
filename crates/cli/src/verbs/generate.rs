//! `generate`: continues a text.

use std::io::Read;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use glassformer_generate::{Generation, Sampling, TextStream, Work};
use glassformer_tensor::Pool;
use glassformer_tokens::Tokenizer;
use serde_json::json;

use crate::source::{Loaded, ModelFlag, Suggested};
use crate::terminal::{note, write};
use crate::verbs::running::{RunningFlags, SamplingFlags};

/// Continue a text, streaming it as it comes.
#[derive(Args)]
#[command(after_help = "\
Examples:
  glassformer generate \"Once upon a time\"
  glassformer generate \"从前有一只小狐狸\" --temperature 0.6 --seed 3
  echo \"One day\" | glassformer generate - --max-tokens 50 --stop \"\\n\"
  glassformer generate \"The cat\" --temperature 0 --json")]
pub(crate) struct Generate {
    /// The text to continue; `-` reads it from standard input.
    prompt: String,
    #[command(flatten)]
    model: ModelFlag,
    /// Most tokens to add.
    #[arg(long, default_value_t = 200)]
    max_tokens: usize,
    #[command(flatten)]
    sampling: SamplingFlags,
    /// End before this text; may be given several times. `\n` is a line break.
    #[arg(long)]
    stop: Vec<String>,
    /// Compute every position again at every step (slow; for checking the cache).
    #[arg(long)]
    no_cache: bool,
    /// One JSON object with the text, the ids and the probabilities, instead of streaming.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    running: RunningFlags,
}

/// What came out.
struct Produced {
    text: String,
    ids: Vec<u32>,
    probs: Vec<f32>,
}

impl Generate {
    pub(crate) fn run(&self) -> Result<()> {
        self.sampling.with(&Suggested::default())?;
        let prompt = self.prompt()?;
        let mut loaded = self.model.open()?.continuing()?;
        let sampling = self.sampling.with(&loaded.about.sampling)?;
        let ids = prompt_ids(&loaded.tokenizer, &prompt)?;
        let n_ctx = loaded.model.dimensions().n_ctx;
        if ids.len() > n_ctx {
            note(&format!(
                "the prompt has {} tokens; the model reads the last {n_ctx}",
                ids.len()
            ));
        }
        if !self.json {
            write(&prompt)?;
        }
        let pool = self.running.prepare(&mut loaded);
        let begin = Instant::now();
        let produced = self.produce(&loaded, &pool, &ids, sampling)?;
        let seconds = begin.elapsed().as_secs_f64();
        if self.json {
            let value = json!({
                "model": loaded.name, "prompt": prompt, "prompt_tokens": ids.len(), "text": produced.text,
                "ids": produced.ids, "probs": produced.probs, "seed": sampling.seed,
                "tokens_per_s": produced.ids.len() as f64 / seconds.max(1e-9),
            });
            write(&format!("{value}\n"))?;
        } else {
            write("\n")?;
        }
        Ok(())
    }

    fn prompt(&self) -> Result<String> {
        let mut prompt = self.prompt.clone();
        if prompt == "-" {
            prompt.clear();
            std::io::stdin()
                .read_to_string(&mut prompt)
                .context("standard input is not UTF-8 text")?;
            // A line from a pipe ends with a line break that nobody meant.
            if prompt.ends_with('\n') {
                prompt.pop();
            }
        }
        Ok(prompt)
    }

    fn produce(
        &self,
        loaded: &Loaded,
        pool: &Pool,
        ids: &[u32],
        sampling: Sampling,
    ) -> Result<Produced> {
        let work = if self.no_cache {
            Work::FromScratch
        } else {
            Work::Cached
        };
        let stops: Vec<String> = self
            .stop
            .iter()
            .map(|stop| stop.replace("\\n", "\n"))
            .collect();
        let mut generation = Generation::new(&loaded.model, pool, ids, sampling, work);
        let mut stream = TextStream::after(&loaded.tokenizer, ids, &stops);
        let mut produced = Produced {
            text: String::new(),
            ids: Vec::new(),
            probs: Vec::new(),
        };
        let mut emit = |text: String| -> Result<()> {
            if !self.json {
                write(&text)?;
            }
            produced.text.push_str(&text);
            Ok(())
        };
        for _ in 0..self.max_tokens {
            let step = generation.step();
            if loaded.tokenizer.stops().contains(&step.id) {
                break;
            }
            produced.ids.push(step.id);
            produced.probs.push(step.prob);
            emit(stream.push(step.id))?;
            if stream.stopped() {
                break;
            }
        }
        emit(stream.finish())?;
        Ok(produced)
    }
}

/// Ids of a prompt. An empty prompt begins a new document, where the model has a token for that.
pub(crate) fn prompt_ids(tokenizer: &Tokenizer, prompt: &str) -> Result<Vec<u32>> {
    let encoding = tokenizer.encode_prompt(prompt)?;
    if !encoding.unknown.is_empty() {
        let some: String = encoding.unknown.iter().take(10).collect();
        note(&format!(
            "this model does not know these characters and leaves them out: {some}"
        ));
    }
    match (encoding.ids.is_empty(), tokenizer.end_of_text()) {
        (false, _) => Ok(encoding.ids),
        (true, Some(begin)) if prompt.is_empty() => Ok(vec![begin]),
        (true, _) if prompt.is_empty() => bail!("the prompt is empty; give the text to continue"),
        (true, _) => bail!(
            "this model knows none of the prompt's characters; give it a text like those it was trained on"
        ),
    }
}
