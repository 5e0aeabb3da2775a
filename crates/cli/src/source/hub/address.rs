//! `hf:org/name[@revision][:file.gguf]`.

use std::fmt;
use std::path::{Component, Path};
use std::str::FromStr;

use anyhow::{Result, bail};

/// The revision of which nothing is said.
const MAIN: &str = "main";

/// A model on a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// `org/name`, or a name alone for the hub's oldest.
    pub(super) repository: String,
    /// A branch, tag or commit.
    pub(super) revision: String,
    /// The one file that is meant.
    pub(super) file: Option<String>,
}

impl FromStr for Address {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let rest = text.strip_prefix("hf:").unwrap_or(text);
        let (rest, file) = match rest.split_once(':') {
            Some((rest, file)) => (rest, Some(file.to_owned())),
            None => (rest, None),
        };
        let (repository, revision) = rest.split_once('@').unwrap_or((rest, MAIN));
        let parts = repository.split('/').count();
        if parts > 2 || !repository.split('/').all(is_name) {
            bail!(
                "{text}: a model on a hub is written hf:org/name, and can have @revision and :file.gguf behind it"
            );
        }
        if !is_path(revision) {
            bail!(
                "{text}: {revision:?} is no revision; that is the name of a branch or tag, or a commit"
            );
        }
        if let Some(file) = &file
            && !(is_path(file) && is_gguf(file))
        {
            bail!(
                "{text}: {file:?} is not the name of a .gguf file, which alone can stand behind the second colon"
            );
        }
        Ok(Self {
            repository: repository.to_owned(),
            revision: revision.to_owned(),
            file,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hf:{}", self.repository)?;
        if self.revision != MAIN {
            write!(f, "@{}", self.revision)?;
        }
        match &self.file {
            Some(file) => write!(f, ":{file}"),
            None => Ok(()),
        }
    }
}

/// Letters, digits, `.`, `_` and `-`, as names on the hub have; no name that means a folder above.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && !name.starts_with(['.', '-']) && name.chars().all(plain)
}

/// Whether a file is a GGUF file by its name.
pub(super) fn is_gguf(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "gguf")
}

/// A path that stays within its folder and needs no escapes in an address.
pub(super) fn is_path(path: &str) -> bool {
    let plain = |c: char| !c.is_control() && !matches!(c, '\\' | '?' | '#' | '%' | ':' | ' ');
    let mut parts = Path::new(path).components();
    !path.is_empty()
        && !path.ends_with('/')
        && path.chars().all(plain)
        && parts.all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn addresses_are_taken_apart_and_put_together() {
        let address = |text: &str| text.parse::<Address>().unwrap();
        for (text, [repository, revision, file]) in [
            ("hf:gpt2", ["gpt2", "main", ""]),
            ("hf:org/name", ["org/name", "main", ""]),
            ("hf:org/na.me-1@v1.0", ["org/na.me-1", "v1.0", ""]),
            ("hf:org/name@refs/pr/1", ["org/name", "refs/pr/1", ""]),
            ("hf:org/name:q4.gguf", ["org/name", "main", "q4.gguf"]),
            (
                "hf:org/name@abc:sub/q4.gguf",
                ["org/name", "abc", "sub/q4.gguf"],
            ),
        ] {
            let found = address(text);
            assert_eq!(found.repository, repository);
            assert_eq!(found.revision, revision);
            assert_eq!(found.file.as_deref().unwrap_or_default(), file);
            assert_eq!(found.to_string(), text);
        }
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        for text in [
            "hf:",
            "hf:/name",
            "hf:org/",
            "hf:a/b/c",
            "hf:../../etc",
            "hf:org/..",
            "hf:org/name@",
            "hf:org/name@../x",
            "hf:org/name:",
            "hf:org/name:config.json",
            "hf:org/name:../x.gguf",
            "hf:org/na me",
            "hf:-org/name",
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.starts_with(text) && !error.contains('\n'), "{error}");
        }
    }
}
