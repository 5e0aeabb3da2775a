//! `cargo xtask tidy`: the rules of the house that neither the compiler nor clippy can check.
//!
//! Each rule is a function from what it looks at to findings, in a file of its own. A finding says where, what and
//! what to do about it.

mod boundaries;
mod decisions;
mod documents;
mod leftovers;
mod levels;
mod repository;
mod sizes;
mod source;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

use repository::Repository;

/// One place where a rule is broken.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
    todo: String,
    /// A warning is shown and does not fail.
    warning: bool,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line,
            what: what.into(),
            todo: todo.into(),
            warning: false,
        }
    }

    fn warn(self) -> Self {
        Self {
            warning: true,
            ..self
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.warning { "warning: " } else { "" };
        write!(
            f,
            "{kind}{}:{}: {} — {}",
            self.path, self.line, self.what, self.todo
        )
    }
}

/// Checks the whole repository; an error when anything but warnings was found.
pub(crate) fn run(root: &Path) -> Result<()> {
    let repository = Repository::read(root)?;
    let mut findings = check(&repository);
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    let warnings = findings.iter().filter(|finding| finding.warning).count();
    let errors = findings.len() - warnings;
    if errors > 0 {
        bail!("tidy: {errors} to mend, {warnings} warnings");
    }
    println!(
        "tidy: {} files, nothing to mend, {warnings} warnings",
        repository.file_count()
    );
    Ok(())
}

fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = levels::check(&repository.metadata, &repository.texts);
    findings.extend(decisions::check(&repository.metadata, &repository.texts));
    findings.extend(documents::check(&repository.metadata, &repository.texts));
    for (path, text) in &repository.texts {
        findings.extend(leftovers::words(path, text));
        findings.extend(sizes::page_file(path, text));
    }
    for (path, parsed) in &repository.rust {
        match parsed {
            Ok(file) => {
                findings.extend(sizes::rust_file(file));
                findings.extend(boundaries::check(file));
                findings.extend(leftovers::macros(file));
            }
            Err(error) => findings.push(Finding::new(
                path,
                error.line,
                error.to_string(),
                "make it valid Rust",
            )),
        }
    }
    findings
}
