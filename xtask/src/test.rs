//! `cargo xtask test`: every check and every test in one command, the quick ones first.
//!
//! It stops at the first step that fails. A step that cannot run here (no network for a tool, a system package that
//! only root may install) is skipped and says what to do; under `CI` such a step fails.

mod browser;
mod deep;
mod licences;
mod page;

use std::env;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::process::{command, run as run_command};
use crate::tidy;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Also make the golden files again and compare (needs `cargo xtask fixtures` once), and run kernels under
    /// sanitizers and Miri.
    #[arg(long)]
    deep: bool,
    /// Run this step alone (may be given several times).
    #[arg(long, value_name = "STEP", value_parser = STEPS.map(|step| step.name))]
    only: Vec<String>,
    /// Also look for security advisories (needs the network).
    #[arg(long)]
    advisories: bool,
}

enum Outcome {
    Passed,
    /// Could not run here, and what to do about it.
    Skipped(String),
}

struct Step {
    name: &'static str,
    about: &'static str,
    /// Only with `--deep` (or by name).
    deep: bool,
    run: fn(&Path, &Arguments) -> Result<Outcome>,
}

const STEPS: [Step; 12] = [
    step("format", "cargo fmt --check", format),
    step(
        "page",
        "installs the page's packages and builds it",
        page::build,
    ),
    step("clippy", "cargo clippy, no warnings", clippy),
    step("tidy", "layers, sizes, boundaries, documents", |root, _| {
        passed(tidy::run(root))
    }),
    step(
        "licences",
        "cargo deny: licences, bans, sources",
        licences::check,
    ),
    step(
        "rust",
        "cargo test: unit, layer, parity, command line, HTTP, documentation",
        rust,
    ),
    step("web", "type check and unit tests of the page", page::test),
    step(
        "browser",
        "the real page on the real server in Chromium",
        browser::test,
    ),
    Step {
        deep: true,
        ..step("parity", "the golden files, made again", deep::parity)
    },
    Step {
        deep: true,
        ..step(
            "addresses",
            "kernels and layers under AddressSanitizer",
            deep::addresses,
        )
    },
    Step {
        deep: true,
        ..step("races", "kernels under ThreadSanitizer", deep::races)
    },
    Step {
        deep: true,
        ..step("miri", "kernels' portable path under Miri", deep::miri)
    },
];

const fn step(
    name: &'static str,
    about: &'static str,
    run: fn(&Path, &Arguments) -> Result<Outcome>,
) -> Step {
    Step {
        name,
        about,
        deep: false,
        run,
    }
}

/// What became of a step.
struct Report {
    name: &'static str,
    took: Duration,
    result: Result<Outcome>,
}

pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    let chosen = |step: &&Step| match arguments.only.as_slice() {
        [] => arguments.deep || !step.deep,
        only => only.iter().any(|name| name == step.name),
    };
    let steps: Vec<&Step> = STEPS.iter().filter(chosen).collect();
    let mut reports = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        println!(
            "\n=== {}/{} {}: {}",
            at + 1,
            steps.len(),
            step.name,
            step.about
        );
        let start = Instant::now();
        let result = (step.run)(root, arguments).and_then(strict_in_ci);
        let report = Report {
            name: step.name,
            took: start.elapsed(),
            result,
        };
        println!("{}", line(&report));
        let failed = report.result.is_err();
        reports.push(report);
        if failed {
            break;
        }
    }
    summary(reports, steps.len())
}

/// Under CI nothing may be skipped in silence.
fn strict_in_ci(outcome: Outcome) -> Result<Outcome> {
    match outcome {
        Outcome::Skipped(why) if env::var_os("CI").is_some() => bail!("could not run: {why}"),
        outcome => Ok(outcome),
    }
}

fn line(report: &Report) -> String {
    let (word, why) = match &report.result {
        Ok(Outcome::Passed) => ("passed", String::new()),
        Ok(Outcome::Skipped(why)) => ("skipped", format!("  {why}")),
        Err(error) => ("FAILED", format!("  {error:#}")),
    };
    format!(
        "{:<9} {word:<7} {:>7.1} s{why}",
        report.name,
        report.took.as_secs_f64()
    )
}

/// Prints the table and the count; the error of the step that failed.
fn summary(reports: Vec<Report>, planned: usize) -> Result<()> {
    println!("\n=== summary");
    for report in &reports {
        println!("{}", line(report));
    }
    println!("{}", count(&reports, planned));
    match reports
        .into_iter()
        .find_map(|report| report.result.err().map(|error| (report.name, error)))
    {
        Some((name, error)) => Err(error.context(format!(
            "{name} (again with: cargo xtask test --only {name})"
        ))),
        None => Ok(()),
    }
}

fn count(reports: &[Report], planned: usize) -> String {
    let passed = reports
        .iter()
        .filter(|report| matches!(report.result, Ok(Outcome::Passed)))
        .count();
    let failed = reports
        .iter()
        .filter(|report| report.result.is_err())
        .count();
    let skipped = reports.len() - passed - failed;
    let left = [("skipped", skipped), ("not run", planned - reports.len())];
    let left = left.iter().filter(|(_, number)| *number > 0);
    left.fold(
        format!("{passed} passed, {failed} failed"),
        |text, (word, number)| format!("{text}, {number} {word}"),
    )
}

fn passed(result: Result<()>) -> Result<Outcome> {
    result.map(|()| Outcome::Passed)
}

fn cargo(root: &Path, arguments: &str) -> Result<Outcome> {
    passed(run_command(&mut command(root, "cargo", arguments)))
}

fn format(root: &Path, _: &Arguments) -> Result<Outcome> {
    cargo(root, "fmt --all --check")
}

fn clippy(root: &Path, _: &Arguments) -> Result<Outcome> {
    cargo(root, "clippy --workspace --all-targets -- -D warnings")
}

fn rust(root: &Path, _: &Arguments) -> Result<Outcome> {
    cargo(root, "test --workspace")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(result: Result<Outcome>) -> Report {
        Report {
            name: "step",
            took: Duration::from_millis(1500),
            result,
        }
    }

    #[test]
    fn the_count_tells_what_was_not_run() {
        let passed = || report(Ok(Outcome::Passed));
        assert_eq!(count(&[passed(), passed()], 2), "2 passed, 0 failed");
        let skipped = report(Ok(Outcome::Skipped("why".into())));
        assert_eq!(
            count(&[passed(), skipped], 2),
            "1 passed, 0 failed, 1 skipped"
        );
        let failed = report(Err(anyhow::anyhow!("why")));
        assert_eq!(
            count(&[passed(), failed], 8),
            "1 passed, 1 failed, 6 not run"
        );
    }

    #[test]
    fn a_failed_step_fails_the_run() {
        let error =
            summary(vec![report(Err(anyhow::anyhow!("why")))], 1).expect_err("a step failed");
        assert_eq!(
            format!("{error:#}"),
            "step (again with: cargo xtask test --only step): why"
        );
        assert_eq!(
            line(&report(Ok(Outcome::Skipped("why".into())))),
            "step      skipped     1.5 s  why"
        );
    }
}
