//! `similar`: which texts mean alike, and which tokens a model thinks of as alike.

mod expression;
mod texts;
mod tokens;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::source::ModelFlag;
use crate::verbs::running::RunningFlags;
use crate::verbs::vectors::VectorFlags;
use expression::Expression;

/// Find the texts, or the tokens, that are most alike.
///
/// Alike is what points the same way: the cosine of two vectors is 1 for the same direction, 0 for nothing in common.
/// Texts have the vectors that `embed` makes of them; tokens have their rows of the embedding, the table with which
/// every model begins.
#[derive(Args)]
#[command(after_help = "\
Examples:
  glassformer similar -m all-MiniLM-L6-v2 \"A cat sleeps.\" \"A kitten naps.\" \"Stocks fell.\"     each with each
  glassformer similar -m all-MiniLM-L6-v2 \"how do I boil an egg\" --file recipes.txt -k 5      a search
  glassformer similar -m all-MiniLM-L6-v2 --sum \"king - man + woman\" queen prince castle
  glassformer similar -m SmolLM2-135M.gguf --tokens king                                      nearest rows
  glassformer similar -m SmolLM2-135M.gguf --tokens \"king - man + woman\"

An EXPRESSION has terms with + or - between them, and white space around these signs; \"double quotes\" around a term keep
signs inside of it. Each term counts with a vector of length 1 (Mikolov et al. 2013), and what the expression itself names
is left out of the answers. A word that is several tokens has the mean of their rows.")]
pub(crate) struct Similar {
    /// The texts: compared with each other; with --file, each is a question that the lines of FILE answer.
    #[arg(conflicts_with = "tokens")]
    texts: Vec<String>,
    /// Each line of FILE is a text; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "tokens")]
    file: Option<PathBuf>,
    /// Find the texts and lines nearest to this sum of texts.
    #[arg(
        long,
        value_name = "EXPRESSION",
        allow_hyphen_values = true,
        conflicts_with = "tokens"
    )]
    sum: Option<Expression>,
    /// Find the tokens nearest to a token, or to a sum of tokens.
    #[arg(long, value_name = "EXPRESSION", allow_hyphen_values = true)]
    tokens: Option<Expression>,
    #[command(flatten)]
    model: ModelFlag,
    /// How many to tell of each question.
    #[arg(short, long = "top", value_name = "K", default_value_t = 10)]
    k: usize,
    #[command(flatten)]
    vectors: VectorFlags,
    /// One JSON object a line: for each text its cosines with all (up to 1,000) and the nearest; for each question, or
    /// the expression, the nearest.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    running: RunningFlags,
}

impl Similar {
    pub(crate) fn run(&self) -> Result<()> {
        match &self.tokens {
            Some(expression) => tokens::run(self, expression),
            None => texts::run(self),
        }
    }
}
