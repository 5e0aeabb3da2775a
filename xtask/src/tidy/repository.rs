//! What the rules look at: the workspace's metadata, the text of every file, every Rust file's tokens.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::source::{ParseError, RustFile};
use crate::process::{command, output};

/// Path from the root, with `/` on every system, to the file's text.
pub(crate) type Texts = BTreeMap<String, String>;

/// Folders that hold nothing written here. Those whose name begins with a dot are left out too.
const LEFT_OUT: [&str; 4] = ["target", "node_modules", "dist", "test-results"];
/// The kinds of file that some rule looks at.
const READ: [&str; 7] = ["rs", "ts", "svelte", "js", "toml", "md", "json"];

pub(crate) struct Repository {
    /// What `cargo metadata` says.
    pub(crate) metadata: Value,
    pub(crate) texts: Texts,
    pub(crate) rust: BTreeMap<String, Result<RustFile, ParseError>>,
}

impl Repository {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let metadata = output(&mut command(
            root,
            "cargo",
            "metadata --no-deps --offline --format-version 1",
        ))?;
        let metadata =
            serde_json::from_str(&metadata).context("`cargo metadata` did not write JSON")?;
        let mut texts = Texts::new();
        read_folder(root, "", &mut texts)?;
        let rust = texts
            .iter()
            .filter(|(path, _)| Path::new(path).extension().is_some_and(|end| end == "rs"))
            .map(|(path, text)| (path.clone(), RustFile::parse(path, text)))
            .collect();
        Ok(Self {
            metadata,
            texts,
            rust,
        })
    }

    pub(crate) fn file_count(&self) -> usize {
        self.texts.len()
    }
}

fn read_folder(root: &Path, folder: &str, texts: &mut Texts) -> Result<()> {
    for entry in fs::read_dir(root.join(folder)).with_context(|| format!("cannot list {folder}"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() {
            name.clone()
        } else {
            format!("{folder}/{name}")
        };
        let kind = entry.file_type()?;
        if kind.is_dir() && !name.starts_with('.') && !LEFT_OUT.contains(&name.as_str()) {
            read_folder(root, &path, texts)?;
        }
        let end = Path::new(&name).extension().and_then(|end| end.to_str());
        if kind.is_file() && end.is_some_and(|end| READ.contains(&end)) {
            let text =
                fs::read_to_string(entry.path()).with_context(|| format!("cannot read {path}"))?;
            texts.insert(path, text);
        }
    }
    Ok(())
}

/// The crates of the workspace as `cargo metadata` lists them.
pub(crate) fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

/// The path from the root of a package's Cargo.toml.
pub(crate) fn manifest_path(metadata: &Value, package: &Value) -> String {
    let root = metadata["workspace_root"].as_str().unwrap_or_default();
    let path = package["manifest_path"].as_str().unwrap_or_default();
    path.strip_prefix(root)
        .unwrap_or(path)
        .trim_start_matches(['/', '\\'])
        .replace('\\', "/")
}

/// The line of a manifest (TOML or JSON) that begins with this key, from 1; 1 when there is none.
pub(crate) fn key_line(texts: &Texts, path: &str, key: &str) -> usize {
    let begins = |line: &str| {
        let rest = line.trim_start().trim_start_matches('"').strip_prefix(key);
        rest.is_some_and(|rest| rest.starts_with([' ', '.', '=', '"']))
    };
    let place = texts
        .get(path)
        .and_then(|text| text.lines().position(begins));
    place.map_or(1, |line| line + 1)
}
