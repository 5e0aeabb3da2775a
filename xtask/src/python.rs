//! A folder's own Python environment, made from its pinned `requirements.txt`.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};

use crate::process::{command, run as run_command};

/// The environment `FOLDER/.venv` of a folder in the repository.
#[derive(Clone, Copy)]
pub(crate) struct Environment {
    pub(crate) folder: &'static str,
}

impl Environment {
    /// Its interpreter, when `requirements.txt` as it stands is installed in it.
    pub(crate) fn ready(self, root: &Path) -> Option<PathBuf> {
        let wanted = fs::read(self.wanted_list(root)).ok()?;
        let installed = fs::read(self.installed_list(root)).ok()?;
        (wanted == installed).then(|| self.interpreter(root))
    }

    /// Its interpreter; the environment is made unless it is there. Python to start from: `$PYTHON`, else `python3`.
    pub(crate) fn install(self, root: &Path) -> Result<PathBuf> {
        if let Some(python) = self.ready(root) {
            return Ok(python);
        }
        let Self { folder } = self;
        let start = env::var("PYTHON").unwrap_or_else(|_| "python3".into());
        let make = format!("-m venv {folder}/.venv");
        run_command(&mut command(root, &start, &make)).context(
            "Python 3.11 or newer with its venv module is needed (Debian: python3-venv); or set PYTHON",
        )?;
        let python = self.interpreter(root);
        let pip =
            format!("-m pip install --disable-pip-version-check -r {folder}/requirements.txt");
        run_command(&mut command(root, &python.to_string_lossy(), &pip))?;
        fs::copy(self.wanted_list(root), self.installed_list(root))?;
        Ok(python)
    }

    pub(crate) fn interpreter(self, root: &Path) -> PathBuf {
        root.join(self.folder).join(if cfg!(windows) {
            ".venv/Scripts/python.exe"
        } else {
            ".venv/bin/python"
        })
    }

    fn wanted_list(self, root: &Path) -> PathBuf {
        root.join(self.folder).join("requirements.txt")
    }

    /// A copy of the list that was installed: written last, so that a half-made environment is made again.
    fn installed_list(self, root: &Path) -> PathBuf {
        root.join(self.folder)
            .join(".venv/installed-requirements.txt")
    }
}
