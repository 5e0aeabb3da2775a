//! What takes too long, or needs too much, for every run.

use std::path::Path;

use anyhow::Result;

use super::{Arguments, Outcome};
use crate::fixtures;

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
