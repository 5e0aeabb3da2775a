//! `cargo xtask fixtures`: runs `parity/export.py` in a Python environment of its own.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};

use crate::process::{command, run as run_command};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Make everything again elsewhere and compare it with the committed files; write nothing.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    install(root)?;
    export(root, arguments.check)
}

/// The environment's interpreter, when `parity/requirements.txt` as it stands is installed in it.
pub(crate) fn python(root: &Path) -> Option<PathBuf> {
    let wanted = fs::read(root.join("parity/requirements.txt")).ok()?;
    let installed = fs::read(installed_list(root)).ok()?;
    (wanted == installed).then(|| interpreter(root))
}

/// Runs the script that makes, or checks, the golden files.
pub(crate) fn export(root: &Path, check: bool) -> Result<()> {
    let mut script = command(
        root,
        &interpreter(root).to_string_lossy(),
        "parity/export.py",
    );
    if check {
        script.arg("--check");
    }
    run_command(script.env("PYTHONDONTWRITEBYTECODE", "1"))
}

/// Makes `parity/.venv` with the pinned packages, unless it is there. Python to start from: `$PYTHON`, else `python3`.
fn install(root: &Path) -> Result<()> {
    if python(root).is_some() {
        return Ok(());
    }
    let start = env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    run_command(&mut command(root, &start, "-m venv parity/.venv")).context(
        "Python 3.11 or newer with its venv module is needed (Debian: python3-venv); or set PYTHON",
    )?;
    let pip = "-m pip install --disable-pip-version-check -r parity/requirements.txt";
    run_command(&mut command(
        root,
        &interpreter(root).to_string_lossy(),
        pip,
    ))?;
    fs::copy(root.join("parity/requirements.txt"), installed_list(root))?;
    Ok(())
}

fn interpreter(root: &Path) -> PathBuf {
    root.join("parity/.venv").join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    })
}

/// A copy of the list that was installed: written last, so that a half-made environment is made again.
fn installed_list(root: &Path) -> PathBuf {
    root.join("parity/.venv/installed-requirements.txt")
}
