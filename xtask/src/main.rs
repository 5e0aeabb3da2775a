//! The project's own automation: `cargo xtask test`, `tidy`, `fixtures`, `bench`, `loss-curve`.

mod bench;
mod curve;
mod fixtures;
mod process;
mod python;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own automation.")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Checks what the compiler cannot: layers, sizes, boundaries, documents.
    Tidy,
    /// Runs every check and every test, as CI does.
    Test(test::Arguments),
    /// Makes the golden files in parity/golden with PyTorch and transformers.
    Fixtures(fixtures::Arguments),
    /// Measures the engine; with --peers, next to PyTorch on the same machine.
    Bench(bench::Arguments),
    LossCurve(curve::Curve),
}

fn main() -> ExitCode {
    let root = process::root();
    let done: Result<()> = match Arguments::parse().verb {
        Verb::Tidy => tidy::run(&root),
        Verb::Test(arguments) => test::run(&root, &arguments),
        Verb::Bench(arguments) => bench::run(&root, &arguments),
        Verb::LossCurve(curve) => curve.run(),
        Verb::Fixtures(arguments) => fixtures::run(&root, &arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
