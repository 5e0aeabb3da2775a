//! cargo-deny: the licences, the origin and the doubles of what we depend on.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{Arguments, Outcome};
use crate::process::{command, run, succeeds};

const VERSION: &str = "0.20.2";

pub(super) fn check(root: &Path, arguments: &Arguments) -> Result<Outcome> {
    let deny = match find(root).map_or_else(|| install(root), Ok) {
        Ok(deny) => deny,
        Err(error) => {
            let todo = format!("install it with `cargo install --locked cargo-deny@{VERSION}`");
            return Ok(Outcome::Skipped(format!("{error:#}; {todo}")));
        }
    };
    let what = if arguments.advisories {
        "check advisories bans licenses sources"
    } else {
        "check bans licenses sources"
    };
    run(&mut command(
        root,
        &deny.to_string_lossy(),
        &format!("--log-level error {what}"),
    ))?;
    Ok(Outcome::Passed)
}

/// The user's own cargo-deny, else the one that an earlier run has installed.
fn find(root: &Path) -> Option<PathBuf> {
    let places = [
        PathBuf::from("cargo-deny"),
        folder(root).join("bin/cargo-deny"),
    ];
    places
        .into_iter()
        .find(|place| succeeds(&mut command(root, &place.to_string_lossy(), "--version")))
}

/// Builds it into `target/tools`: unoptimised, which takes a third of the time and is fast enough for our tree.
fn install(root: &Path) -> Result<PathBuf> {
    println!("cargo-deny is not here: building it once into target/tools (a minute or two)");
    let arguments = format!("install --quiet --locked --debug cargo-deny@{VERSION}");
    run(command(root, "cargo", &arguments)
        .arg("--root")
        .arg(folder(root)))?;
    find(root).map_or_else(|| bail!("cargo-deny was installed and does not run"), Ok)
}

fn folder(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |target| root.join(target))
        .join("tools")
}
