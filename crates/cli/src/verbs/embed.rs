//! `embed`: texts to vectors.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use glassformer_weights::{DataType, NewTensor, Values, safetensors};
use serde::Serialize;

use crate::source::ModelFlag;
use crate::terminal::write;
use crate::verbs::running::RunningFlags;
use crate::verbs::vectors::{Embedded, TextEmbedder, VectorFlags, given};

/// Turn texts into vectors, one for each.
///
/// A model reads a text and leaves a vector for each of its tokens; these become one vector, whose direction says what
/// the text is about: texts of like meaning have vectors of like direction (`similar` compares them). Encoders such as
/// BERT, RoBERTa and MiniLM are made for this; any decoder can be asked too.
#[derive(Args)]
#[command(after_help = "\
Examples:
  glassformer embed -m all-MiniLM-L6-v2 \"A cat sits on the mat.\" \"猫坐在垫子上。\"
  glassformer embed -m all-MiniLM-L6-v2 --file sentences.txt --json > vectors.jsonl
  glassformer embed -m all-MiniLM-L6-v2 --file sentences.txt --out vectors.safetensors
  cat sentences.txt | glassformer embed -m hf:sentence-transformers/all-MiniLM-L6-v2 --json
  glassformer embed -m SmolLM2-135M.gguf --pooling mean --normalize \"Once upon a time\"

How vectors are pooled, whether they are made 1 long, and how much of a text is read is taken from the files that
sentence-transformers writes beside a model (modules.json, 1_Pooling/config.json, sentence_bert_config.json), or from the
metadata of a GGUF file; flags override them. Texts of any lengths are read together without padding.")]
pub(crate) struct Embed {
    /// The texts; without any, and without --file, each line of standard input is one.
    texts: Vec<String>,
    /// Each line of FILE is a text; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    model: ModelFlag,
    #[command(flatten)]
    vectors: VectorFlags,
    /// Make vectors 1 long, so that their products are cosines [default: as the model's files say, else no].
    #[arg(long, conflicts_with = "raw")]
    normalize: bool,
    /// Leave vectors as long as they come, whatever the model's files say.
    #[arg(long)]
    raw: bool,
    /// One JSON object a line, in the order of the texts: index (from 0), tokens, vector.
    #[arg(long, conflicts_with = "out")]
    json: bool,
    /// Write a safetensors file: `vectors` [texts, width] in f32, `tokens` [texts] in i32.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    running: RunningFlags,
}

/// One line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    index: usize,
    tokens: usize,
    vector: &'a [f32],
}

impl Embed {
    pub(crate) fn run(&self) -> Result<()> {
        let texts = given(&self.texts, self.file.as_deref())?;
        let mut model = self.vectors.open(&self.model, &self.running)?;
        if self.normalize || self.raw {
            model.embedder.normalises = self.normalize;
        }
        if let Some(path) = &self.out {
            return write_file(&model, &texts, path);
        }
        // On a terminal the vectors themselves show how far it is.
        let shows_progress = !std::io::stdout().is_terminal();
        model.each(
            &texts,
            shows_progress,
            |index, Embedded { tokens, vector }| {
                let line = if self.json {
                    serde_json::to_string(&Line {
                        index,
                        tokens,
                        vector: &vector,
                    })?
                } else {
                    shown(&texts[index], tokens, &vector)
                };
                Ok(write(&format!("{line}\n"))?)
            },
        )
    }
}

fn write_file(model: &TextEmbedder, texts: &[String], path: &Path) -> Result<()> {
    let (mut vectors, mut tokens) = (Vec::new(), Vec::new());
    model.each(texts, true, |_, embedded| {
        vectors.extend(embedded.vector);
        tokens.extend((embedded.tokens as i32).to_le_bytes());
        Ok(())
    })?;
    let (rows, width) = (texts.len(), vectors.len() / texts.len());
    let tensors = vec![
        NewTensor::from_slice("vectors", &[rows, width], DataType::F32, &vectors),
        NewTensor::new("tokens", &[rows], DataType::I32, || {
            Ok(Values::Encoded(tokens.into()))
        }),
    ];
    let about = BTreeMap::from([
        ("model".to_owned(), model.name.clone()),
        ("pooling".to_owned(), model.embedder.pooling.to_string()),
        (
            "normalized".to_owned(),
            model.embedder.normalises.to_string(),
        ),
    ]);
    safetensors::write(path, tensors, &about, &model.pool)?;
    eprintln!(
        "Wrote {}: {rows} vectors of {width} numbers.",
        path.display()
    );
    Ok(())
}

/// The beginning of a vector and of its text.
fn shown(text: &str, tokens: usize, vector: &[f32]) -> String {
    const NUMBERS: usize = 4;
    let first: Vec<String> = vector
        .iter()
        .take(NUMBERS)
        .map(|x| format!("{x:+.4}"))
        .collect();
    let more = if vector.len() > NUMBERS { " …" } else { "" };
    format!(
        "{tokens:>5} tokens  {:>5} numbers  [{}{more}]  {}",
        vector.len(),
        first.join(" "),
        crate::terminal::shortened(text, 60)
    )
}
