//! The page's own checks, through npm.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{Arguments, Outcome};
use crate::process::{command, output, run};

const NODE_MAJOR: u32 = 20;

pub(super) fn build(root: &Path, _: &Arguments) -> Result<Outcome> {
    let web = root.join("web");
    install(&web)?;
    run(&mut npm(&web, "run build"))?;
    Ok(Outcome::Passed)
}

pub(super) fn test(root: &Path, _: &Arguments) -> Result<Outcome> {
    let web = root.join("web");
    install(&web)?;
    run(&mut npm(&web, "run check"))?;
    run(&mut npm(&web, "test"))?;
    Ok(Outcome::Passed)
}

/// npm in `web/`. Browsers that packages would download are not wanted: the browser step brings its own.
pub(super) fn npm(web: &Path, arguments: &str) -> std::process::Command {
    let mut npm = command(
        web,
        if cfg!(windows) { "npm.cmd" } else { "npm" },
        arguments,
    );
    npm.env("PUPPETEER_SKIP_DOWNLOAD", "1")
        .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    npm
}

/// Installs the packages of `package-lock.json` unless they are in place.
pub(super) fn install(web: &Path) -> Result<()> {
    ensure!(
        web.join("package.json").exists(),
        "web/package.json is missing: this is not the whole repository"
    );
    check_node(web)?;
    if is_stale(web) {
        run(&mut npm(web, "ci --no-audit --no-fund"))?;
    }
    Ok(())
}

/// npm writes its own lock file when it has installed everything; one older than ours is out of date.
fn is_stale(web: &Path) -> bool {
    let changed = |path: &str| {
        fs::metadata(web.join(path))
            .and_then(|metadata| metadata.modified())
            .ok()
    };
    match (
        changed("node_modules/.package-lock.json"),
        changed("package-lock.json"),
    ) {
        (Some(installed), Some(wanted)) => installed < wanted,
        _ => true,
    }
}

fn check_node(web: &Path) -> Result<()> {
    let wanted = format!(
        "Node.js {NODE_MAJOR} or newer with npm is needed to build the page: https://nodejs.org"
    );
    let version = output(&mut command(web, "node", "--version")).with_context(|| wanted.clone())?;
    output(&mut npm(web, "--version")).with_context(|| wanted.clone())?;
    ensure!(
        major(&version) >= Some(NODE_MAJOR),
        "{wanted} (found {})",
        version.trim()
    );
    Ok(())
}

/// The first number of `v20.11.1`.
fn major(version: &str) -> Option<u32> {
    version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(major("v20.11.1\n"), Some(20));
        assert!(major("v9.0.0") < Some(NODE_MAJOR));
        assert!(major("nonsense") < Some(NODE_MAJOR));
    }
}
