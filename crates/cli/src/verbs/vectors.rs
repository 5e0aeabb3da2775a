//! Texts to vectors, for the verbs that need them.

use std::io::{BufRead, BufReader, IsTerminal};
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use glassformer_generate::embed::{Cut, Encoded};
use glassformer_generate::{Embedder, Pooling};
use glassformer_tensor::Pool;
use glassformer_tokens::Tokenizer;
use indicatif::{ProgressBar, ProgressStyle};

use crate::source::{Loaded, ModelFlag, Said};
use crate::terminal::{note, thousands};
use crate::verbs::running::RunningFlags;

/// Texts that are embedded before the first of them is told: enough that there are others of about its length.
const TEXTS: usize = 1024;

/// How a text becomes a vector.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct VectorFlags {
    /// How the vectors of a text's tokens become one: their mean, that of the first token ([CLS]), that of the last, the
    /// largest of each number [default: as the model's files say; else mean for an encoder, last for a decoder].
    #[arg(long, value_name = "WAY", value_parser = poolings())]
    pooling: Option<Pooling>,
    /// Tokens of a text that are read, those around it counted; the end of a longer one is left out [default: as the
    /// model's files say; else its context].
    #[arg(long, value_name = "N")]
    max_tokens: Option<usize>,
}

fn poolings() -> impl TypedValueParser<Value = Pooling> {
    PossibleValuesParser::new(Pooling::ALL.map(Pooling::name))
        .map(|name| name.parse().expect("one of them"))
}

/// A model that is ready to embed texts.
pub(crate) struct TextEmbedder {
    /// For people.
    pub(crate) name: String,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) embedder: Embedder,
    pub(crate) pool: Pool,
    /// Most tokens of a text.
    pub(crate) most: usize,
}

/// What became of a text.
pub(crate) struct Embedded {
    /// Tokens read.
    pub(crate) tokens: usize,
    /// [D].
    pub(crate) vector: Vec<f32>,
}

impl VectorFlags {
    /// Opens a model and lays it out.
    pub(crate) fn open(&self, model: &ModelFlag, running: &RunningFlags) -> Result<TextEmbedder> {
        let mut loaded = model.open()?;
        let pool = running.prepare(&mut loaded);
        self.of(loaded, pool)
    }

    /// What turns texts into vectors as the model's files say, and these flags; the vectors are as long as the files say.
    pub(crate) fn of(&self, loaded: Loaded, pool: Pool) -> Result<TextEmbedder> {
        loaded.model.check_reads_alone(&loaded.name)?;
        // Where both are told, nobody needs to read files that may say what cannot be computed.
        let said = match (self.pooling, Said::of(loaded.about.found.as_ref())) {
            (Some(_), Err(error)) => {
                note(&format!("{error:#}; --pooling decides"));
                Said::default()
            }
            (_, said) => said?,
        };
        let n_ctx = loaded.model.dimensions().n_ctx;
        let most = self.max_tokens.or(said.most).unwrap_or(n_ctx).min(n_ctx);
        if most == 0 {
            bail!("--max-tokens 0 leaves nothing to read");
        }
        let usual = if loaded.model.network.is_encoder() {
            Pooling::Mean
        } else {
            Pooling::Last
        };
        let pooling = self.pooling.or(said.pooling).unwrap_or_else(|| {
            note(&format!(
                "the model's files do not say how vectors are pooled: {usual} is taken (--pooling chooses)"
            ));
            usual
        });
        let mut embedder = Embedder::new(loaded.model, pooling);
        embedder.normalises = said.normalises;
        Ok(TextEmbedder {
            name: loaded.name,
            tokenizer: loaded.tokenizer,
            embedder,
            pool,
            most,
        })
    }
}

impl TextEmbedder {
    /// Embeds `texts` and gives each, with its number from 0, to `told` in their order. `shows_progress` as it goes on.
    pub(crate) fn each(
        &self,
        texts: &[String],
        shows_progress: bool,
        mut told: impl FnMut(usize, Embedded) -> Result<()>,
    ) -> Result<()> {
        let bar = if shows_progress {
            ProgressBar::new(texts.len() as u64)
        } else {
            ProgressBar::hidden()
        };
        bar.set_style(ProgressStyle::with_template(
            "{bar:30} {pos}/{len} texts, {per_sec}, {eta} left",
        )?);
        let mut cuts = Vec::new();
        for (i, chunk) in texts.chunks(TEXTS).enumerate() {
            let first = i * TEXTS;
            let encoded = Encoded::of(&self.pool, &self.tokenizer, chunk, self.most)?;
            if let Some(empty) = encoded.ids.iter().position(Vec::is_empty) {
                bail!(
                    "text {} has no tokens: there is nothing to make a vector of",
                    first + empty + 1
                );
            }
            cuts.extend(encoded.cuts.iter().map(|cut| Cut {
                text: first + cut.text,
                ..*cut
            }));
            let vectors = self
                .embedder
                .embed(&self.pool, &encoded.ids, |done| bar.inc(done as u64))?;
            for (j, (ids, vector)) in encoded.ids.iter().zip(vectors).enumerate() {
                let tokens = ids.len();
                told(first + j, Embedded { tokens, vector })?;
            }
        }
        bar.finish_and_clear();
        self.tell_cuts(texts.len(), &cuts);
        Ok(())
    }

    /// The vectors of `texts`, one behind the other [N,D].
    pub(crate) fn all(&self, texts: &[String]) -> Result<Vec<f32>> {
        let mut all = Vec::new();
        self.each(texts, true, |_, Embedded { vector, .. }| {
            all.extend(vector);
            Ok(())
        })?;
        Ok(all)
    }

    fn tell_cuts(&self, texts: usize, cuts: &[Cut]) {
        if let Some(first) = cuts.first() {
            note(&format!(
                "{} of {} texts are longer than the {} tokens that are read of each; their ends are left out (text {} has {})",
                thousands(cuts.len() as u64),
                thousands(texts as u64),
                self.most,
                first.text + 1,
                thousands(first.tokens as u64),
            ));
        }
    }
}

/// The lines of a file, each a text; `-` is standard input.
pub(crate) fn lines(path: &Path) -> Result<Vec<String>> {
    if path == Path::new("-") {
        return lines_of(std::io::stdin().lock(), "standard input");
    }
    let name = path.display().to_string();
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {name}"))?;
    lines_of(BufReader::new(file), &name)
}

/// The texts given, and the lines of `file`; without either, those of standard input.
pub(crate) fn given(texts: &[String], file: Option<&Path>) -> Result<Vec<String>> {
    let mut all = texts.to_vec();
    if let Some(path) = file {
        all.extend(lines(path)?);
    } else if all.is_empty() && !std::io::stdin().is_terminal() {
        all = lines(Path::new("-"))?;
    }
    if all.is_empty() {
        bail!("there is no text: give some, or --file FILE, or lines on standard input");
    }
    Ok(all)
}

fn lines_of(input: impl BufRead, name: &str) -> Result<Vec<String>> {
    let line = |(number, line): (usize, std::io::Result<String>)| {
        line.with_context(|| format!("{name}: cannot read line {} as UTF-8 text", number + 1))
    };
    input.lines().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::lines_of;

    #[test]
    fn each_line_is_a_text() {
        let lines = |bytes: &[u8]| lines_of(bytes, "x");
        assert_eq!(lines(b"a\n\nb c\r\n").unwrap(), ["a", "", "b c"]);
        assert_eq!(lines(b"a").unwrap(), ["a"]);
        let error = lines(b"a\n\xff\n").unwrap_err();
        assert!(
            error.to_string().contains("x: cannot read line 2"),
            "{error}"
        );
    }
}
