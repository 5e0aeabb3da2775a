//! What takes too long, or needs too much, for every run.

use std::path::Path;

use anyhow::Result;

use super::{Arguments, Outcome};
use crate::fixtures;
use crate::process::{command, run as run_command, succeeds};

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

/// Tests of kernels that Miri runs: one property of each kind of unsafe code, in few cases (a worker's panic takes it minutes).
const UNDER_MIRI: &str = "rows:: activation:: softmax:: pool:: product::rounded_rows product::extremes --skip pool::a_panic";

/// The kernels' portable path under Miri, which sees reads and writes out of bounds, and threads that race.
pub(super) fn miri(root: &Path, _: &Arguments) -> Result<Outcome> {
    if !succeeds(&mut command(root, "cargo", "+nightly miri --version")) {
        return Ok(Outcome::Skipped(
            "no Miri: `rustup toolchain install nightly --component miri` installs it".into(),
        ));
    }
    let test = "+nightly miri test -p glassformer-kernels --test it --";
    let mut miri = command(root, "cargo", &format!("{test} {UNDER_MIRI}"));
    miri.env("MIRIFLAGS", "-Zmiri-disable-isolation -Zmiri-ignore-leaks")
        .env("GLASSFORMER_ISA", "baseline")
        .env("PROPTEST_CASES", "2")
        // Tests of panics would take minutes to print where they are.
        .env("RUST_BACKTRACE", "0");
    run_command(&mut miri)?;
    Ok(Outcome::Passed)
}
