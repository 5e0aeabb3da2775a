//! What takes too long, or needs too much, for every run.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Arguments, Outcome};
use crate::fixtures;
use crate::process::{command, output, run as run_command, succeeds, target_folder};

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
            "no Miri: `rustup toolchain install nightly --component miri,rust-src` installs it"
                .into(),
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

/// The kernels on each instruction set that this processor has, and the layers that call them, under AddressSanitizer.
///
/// It comes with the compiler, sees vector instructions and takes seconds where Miri takes hours; but it knows only
/// reads and writes outside of a block, or after its end.
pub(super) fn addresses(root: &Path, _: &Arguments) -> Result<Outcome> {
    let tests = "test -p glassformer-kernels -p glassformer-model --lib --tests";
    sanitized(root, "address", "-Zsanitizer=address", tests)
}

/// What ThreadSanitizer misunderstands, as it does not see into the standard library.
const NOT_RACES: &str = "xtask/src/test/not-races.txt";

/// The kernels under ThreadSanitizer, which sees accesses that no atomic of the pool, read and written in the right
/// order, puts one after the other.
pub(super) fn races(root: &Path, _: &Arguments) -> Result<Outcome> {
    // The standard library comes without the sanitizer, which is to be allowed. One test at a time: those that run
    // side by side meet in the library's lazy values, where the sanitizer would see races.
    let flags = "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer";
    let tests = "test -p glassformer-kernels --test it -- --skip isa:: --test-threads=1";
    sanitized(root, "thread", flags, tests)
}

/// Runs cargo's `arguments` with a sanitizer in all code but the standard library's, built in a folder of its own.
fn sanitized(root: &Path, sanitizer: &str, flags: &str, arguments: &str) -> Result<Outcome> {
    if !has_runtime(root, sanitizer)? {
        return Ok(Outcome::Skipped(format!(
            "this toolchain has no {sanitizer} sanitizer: rustup's for Linux (gnu) and macOS have it"
        )));
    }
    let folder = target_folder(root)?.join(sanitizer);
    let mut test = command(root, "cargo", arguments);
    test.env("CARGO_BUILD_TARGET", host(root)?)
        .env("CARGO_TARGET_DIR", folder)
        .env("RUSTFLAGS", flags)
        // The flag is unstable, and the toolchain is whichever the workspace is built with.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUST_BACKTRACE", "0")
        // The pool forgets the payloads of a job's later panics on purpose.
        .env("ASAN_OPTIONS", "detect_leaks=0")
        .env(
            "TSAN_OPTIONS",
            format!("suppressions={}", root.join(NOT_RACES).display()),
        );
    run_command(&mut test)?;
    Ok(Outcome::Passed)
}

/// What the compiler calls this machine.
fn host(root: &Path) -> Result<String> {
    let version = output(&mut command(root, "rustc", "-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// Whether the toolchain brings the sanitizer's library for this machine.
fn has_runtime(root: &Path, sanitizer: &str) -> Result<bool> {
    let folder = output(&mut command(root, "rustc", "--print target-libdir"))?;
    let short = format!("_rt.{}san.", &sanitizer[..1]);
    let mut files = fs::read_dir(folder.trim())?.flatten();
    Ok(files.any(|file| file.file_name().to_string_lossy().contains(&short)))
}
