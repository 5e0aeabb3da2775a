//! What takes too long for every run.

use std::path::Path;

use anyhow::Result;

use super::{Arguments, Outcome};
use crate::fixtures;
use crate::process::{command, run, succeeds};

/// Makes the golden files again and compares.
pub(super) fn parity(root: &Path, _: &Arguments) -> Result<Outcome> {
    if fixtures::python(root).is_none() {
        return Ok(Outcome::Skipped(
            "no Python environment: `cargo xtask fixtures --check` makes one".into(),
        ));
    }
    fixtures::export(root, true)?;
    Ok(Outcome::Passed)
}

/// Runs the kernels' unit tests in an interpreter that sees undefined behaviour.
pub(super) fn miri(root: &Path, _: &Arguments) -> Result<Outcome> {
    if !succeeds(&mut command(root, "cargo", "+nightly miri --version")) {
        let todo = "no miri: `rustup +nightly component add miri rust-src` installs it";
        return Ok(Outcome::Skipped(todo.into()));
    }
    run(&mut command(
        root,
        "cargo",
        "+nightly miri test -p glassformer-kernels --lib",
    ))?;
    Ok(Outcome::Passed)
}
