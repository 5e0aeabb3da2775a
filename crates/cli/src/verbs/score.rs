//! `score`: how near translations are to references.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use glassformer_generate::score::{Bleu, Chrf, Signature, Tokenize};
use glassformer_train::data::{DataError, read_lines};
use serde_json::{Map, Value, json};

use crate::terminal::{note, write};

/// Score translations against references: BLEU, chrF and chrF++ over the whole text, with sacreBLEU's numbers.
///
/// Line n of HYP is a translation, line n of each REF what it should be. Give texts as people read them, not cut into tokens:
/// the metric cuts both in the same way, and says how in its signature. Scores with different signatures cannot be compared.
#[derive(Args)]
#[command(after_help = "\
Examples:
  glassformer score mine.de reference.de
  glassformer score mine.zh reference.zh --tokenize zh
  zcat mine.de.gz | glassformer score - reference.de --metrics bleu,chrf,chrf++ --json
  glassformer score mine.tok.de reference.tok.de --tokenize none --lowercase      texts that are cut already

BLEU: how many n-grams of 1 to 4 tokens stand in the reference, with a penalty for being short. chrF: the same of 1 to 6
characters, recall counting twice; chrF++ with words too. All go from 0 to 100. Files may be packed (.gz, .zst).")]
pub(crate) struct Score {
    /// Translations, one a line; - for standard input.
    hypotheses: PathBuf,
    /// References, one a line; several files give each line several.
    #[arg(required = true, value_name = "REF")]
    references: Vec<PathBuf>,
    /// Which scores, with commas between them.
    #[arg(short, long, value_enum, value_delimiter = ',', default_values = ["bleu", "chrf"])]
    metrics: Vec<Metric>,
    /// How BLEU cuts texts.
    #[arg(long, value_enum, default_value = "13a")]
    tokenize: TokenizeName,
    /// Make all letters small before.
    #[arg(long, visible_alias = "lc")]
    lowercase: bool,
    /// Digits behind the point.
    #[arg(short, long, default_value_t = 2, value_name = "N")]
    width: usize,
    /// A list of JSON objects, one for each metric, scores in full.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Metric {
    Bleu,
    Chrf,
    #[value(name = "chrf++")]
    ChrfPlusPlus,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum TokenizeName {
    /// As NIST's mteval-v13a, for European languages.
    #[value(name = "13a")]
    V13a,
    /// Each Chinese character by itself, the rest as 13a.
    Zh,
    /// Each character by itself.
    Char,
    /// At white space alone.
    None,
}

/// One result.
struct Scored {
    name: String,
    score: f64,
    verbose: String,
    signature: Signature,
}

impl Score {
    pub(crate) fn run(&self) -> Result<()> {
        let hypotheses = read(&self.hypotheses)?;
        let mut references = vec![Vec::new(); hypotheses.len()];
        for path in &self.references {
            let lines = read(path)?;
            if lines.len() != hypotheses.len() {
                return Err(DataError::Lengths {
                    paths: [self.hypotheses.clone(), path.clone()],
                    lines: [hypotheses.len() as u64, lines.len() as u64],
                }
                .into());
            }
            for (all, line) in references.iter_mut().zip(lines) {
                all.push(line);
            }
        }
        self.remark(&references);
        let scored: Vec<Scored> = self
            .metrics
            .iter()
            .map(|&metric| self.score(metric, &hypotheses, &references))
            .collect();
        self.tell(&scored)
    }

    fn score(&self, metric: Metric, hypotheses: &[String], references: &[Vec<String>]) -> Scored {
        let segments = hypotheses
            .iter()
            .map(String::as_str)
            .zip(references.iter().map(Vec::as_slice));
        let (count, lowercase) = (self.references.len(), self.lowercase);
        if metric == Metric::Bleu {
            let tokenize = match self.tokenize {
                TokenizeName::V13a => Tokenize::V13a,
                TokenizeName::Zh => Tokenize::Zh,
                TokenizeName::Char => Tokenize::Char,
                TokenizeName::None => Tokenize::None,
            };
            let bleu = Bleu {
                tokenize,
                lowercase,
            };
            let score = bleu.score(segments);
            return Scored {
                name: "BLEU".to_owned(),
                score: score.score,
                verbose: score.to_string(),
                signature: bleu.signature(count),
            };
        }
        let words = if metric == Metric::ChrfPlusPlus { 2 } else { 0 };
        let chrf = Chrf { words, lowercase };
        Scored {
            name: chrf.name(),
            score: chrf.score(segments).score,
            verbose: String::new(),
            signature: chrf.signature(count),
        }
    }

    /// What would surprise.
    fn remark(&self, references: &[Vec<String>]) {
        if !self.metrics.contains(&Metric::Bleu) {
            return;
        }
        let texts = || references.iter().flatten();
        if self.tokenize == TokenizeName::V13a {
            let is_chinese =
                |text: &&String| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
            if 2 * texts().filter(is_chinese).count() > texts().count() {
                note("most references hold Chinese, which 13a does not cut; take --tokenize zh");
            }
        }
        if self.tokenize != TokenizeName::None
            && texts().filter(|text| text.ends_with(" .")).count() >= 100
        {
            note(
                "a hundred references end in \" .\": they seem to be cut into tokens already; then take --tokenize none",
            );
        }
    }

    fn tell(&self, scored: &[Scored]) -> Result<()> {
        if self.json {
            let object = |one: &Scored| {
                let mut object = Map::new();
                object.insert("name".to_owned(), json!(one.name));
                object.insert("score".to_owned(), json!(one.score));
                object.insert("signature".to_owned(), json!(one.signature.to_string()));
                if !one.verbose.is_empty() {
                    object.insert("verbose_score".to_owned(), json!(one.verbose));
                }
                let parts = one.signature.parts();
                object.extend(parts.map(|(name, value)| (name.to_owned(), json!(value))));
                Value::Object(object)
            };
            let all: Vec<Value> = scored.iter().map(object).collect();
            return Ok(write(&format!("{}\n", Value::Array(all)))?);
        }
        let line = |one: &Scored| {
            let text = format!(
                "{}|{} = {:.*} {}",
                one.name, one.signature, self.width, one.score, one.verbose
            );
            format!("{}\n", text.trim_end())
        };
        Ok(write(&scored.iter().map(line).collect::<String>())?)
    }
}

/// The lines of a file, or of standard input.
fn read(path: &Path) -> Result<Vec<String>> {
    if path != Path::new("-") {
        return Ok(read_lines(path)?);
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().read_to_end(&mut bytes);
    read.context("cannot read standard input")?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) => {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + String::from_utf8_lossy(before).matches('\n').count();
            bail!("standard input is no UTF-8 text: see its line {line}")
        }
    }
}
