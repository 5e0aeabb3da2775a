//! `cargo xtask fixtures`: runs the scripts of `parity/` in a Python environment of their own.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::process::{command, run as run_command};
use crate::python::Environment;

const PARITY: Environment = Environment { folder: "parity" };

const SCRIPTS: [&str; 10] = [
    "parity/export.py",
    "parity/decoders.py",
    "parity/encoders.py",
    "parity/pairs.py",
    "parity/adapters.py",
    "parity/quantised.py",
    "parity/gguf_files.py",
    "parity/tokens.py",
    "parity/chat.py",
    "parity/scores.py",
];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Make everything again elsewhere and compare it with the committed files; write nothing.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    PARITY.install(root)?;
    export(root, arguments.check)
}

/// The environment's interpreter, when `parity/requirements.txt` as it stands is installed in it.
pub(crate) fn python(root: &Path) -> Option<PathBuf> {
    PARITY.ready(root)
}

/// Runs the scripts that make, or check, the golden files.
pub(crate) fn export(root: &Path, check: bool) -> Result<()> {
    let python = PARITY.interpreter(root);
    for script in SCRIPTS {
        let mut script = command(root, &python.to_string_lossy(), script);
        if check {
            script.arg("--check");
        }
        run_command(script.env("PYTHONDONTWRITEBYTECODE", "1"))?;
    }
    Ok(())
}
