//! The `glassformer` command: one file per verb under [`verbs`].

mod builtin;
mod interrupt;
mod source;
mod terminal;
mod verbs;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// A vocabulary is a hundred thousand small strings: with it a model starts a tenth sooner.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// A Transformer that can be seen through: train it, run it, watch every step of it.
///
/// Without a verb it opens the animated explainer on the built-in model.
#[derive(Parser)]
#[command(name = "glassformer", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
}

const EXAMPLES: &str = "\
Examples:
  glassformer                                              the explainer, on the built-in model
  glassformer film --chapter 3 --lang zh --out attention.mp4   a chapter as a film, drawn frame by frame
  glassformer generate \"Once upon a time\"                  continue a text
  glassformer generate \"从前有一只小狐狸\" --temperature 0.6
  glassformer train shakespeare.txt --preset nano --out runs/nano
  glassformer generate -m runs/nano \"ROMEO:\"               run what was just trained
  glassformer translate \"The sun is warm today.\"            English into Chinese, Chinese into English
  glassformer translate -m runs/en-de < news.en > news.de   a line in, a line out
  glassformer similar -m hf:sentence-transformers/all-MiniLM-L6-v2 \"a cat\" \"a kitten\" \"a car\"
  glassformer trace --text \"Hello\" --out hello.safetensors  every activation, by name

A MODEL is `builtin`, `builtin-translator`, a folder with config.json, model.safetensors and tokenizer.json, a .gguf file, the --out folder of a
training run, or hf:org/name (hf:org/name@revision, hf:org/name:file.gguf) on the Hugging Face hub.";

#[derive(Subcommand)]
enum Verb {
    Explain(verbs::explain::Explain),
    Film(Box<verbs::film::Film>),
    Train(Box<verbs::train::Train>),
    Generate(verbs::generate::Generate),
    Translate(Box<verbs::translate::Translate>),
    Chat(verbs::chat::Chat),
    Embed(verbs::embed::Embed),
    Similar(Box<verbs::similar::Similar>),
    Eval(verbs::eval::Eval),
    Score(verbs::score::Score),
    Trace(verbs::trace::Trace),
    Tokenize(verbs::tokenize::Tokenize),
    Info(verbs::info::Info),
    Convert(verbs::convert::Convert),
    Bench(verbs::bench::Bench),
}

fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        None => verbs::explain::Explain::default().run(),
        Some(Verb::Explain(verb)) => verb.run(),
        Some(Verb::Film(verb)) => verb.run(),
        Some(Verb::Train(verb)) => verb.run(),
        Some(Verb::Generate(verb)) => verb.run(),
        Some(Verb::Translate(verb)) => verb.run(),
        Some(Verb::Chat(verb)) => verb.run(),
        Some(Verb::Embed(verb)) => verb.run(),
        Some(Verb::Similar(verb)) => verb.run(),
        Some(Verb::Eval(verb)) => verb.run(),
        Some(Verb::Score(verb)) => verb.run(),
        Some(Verb::Trace(verb)) => verb.run(),
        Some(Verb::Tokenize(verb)) => verb.run(),
        Some(Verb::Info(verb)) => verb.run(),
        Some(Verb::Convert(verb)) => verb.run(),
        Some(Verb::Bench(verb)) => verb.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if terminal::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::error(&error);
            ExitCode::FAILURE
        }
    }
}
