//! ARCHITECTURE.md is short and true; the two READMEs say the same.

use serde_json::Value;

use super::Finding;
use super::repository::{Texts, packages};

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const ENGLISH: &str = "README.md";
const CHINESE: &str = "README.zh.md";
const ARCHITECTURE_LINES: usize = 200;

pub(crate) fn check(metadata: &Value, texts: &Texts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in [ARCHITECTURE, ENGLISH, CHINESE] {
        if !texts.contains_key(path) {
            findings.push(Finding::new(path, 1, "missing", "write it"));
        }
    }
    if let Some(text) = texts.get(ARCHITECTURE) {
        let crates: Vec<&str> = packages(metadata)
            .filter_map(|package| package["name"].as_str()?.strip_prefix("glassformer-"))
            .collect();
        findings.extend(architecture(text, &crates));
    }
    if let (Some(english), Some(chinese)) = (texts.get(ENGLISH), texts.get(CHINESE)) {
        findings.extend(readmes(english, chinese));
    }
    findings
}

fn architecture(text: &str, crates: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > ARCHITECTURE_LINES {
        let what = format!("{lines} lines, more than {ARCHITECTURE_LINES}");
        findings.push(Finding::new(
            ARCHITECTURE,
            lines,
            what,
            "shorten it: what changes often belongs to the code",
        ));
    }
    for (at, line) in text.lines().enumerate() {
        for name in crates_named(line).filter(|name| !crates.contains(name)) {
            let what = format!("there is no crate `{name}`");
            findings.push(Finding::new(
                ARCHITECTURE,
                at + 1,
                what,
                "name the crate it is now",
            ));
        }
    }
    for name in crates {
        if !text.contains(&format!("`{name}`"))
            && !text
                .lines()
                .any(|line| crates_named(line).any(|n| n == *name))
        {
            findings.push(Finding::new(
                ARCHITECTURE,
                1,
                format!("the crate `{name}` is not named"),
                "say what it holds",
            ));
        }
    }
    findings
}

/// The names after `crates/` and `glassformer-` (or `glassformer_`) in a line.
fn crates_named(line: &str) -> impl Iterator<Item = &str> {
    let marks = ["crates/", "glassformer-", "glassformer_"];
    let rests = marks
        .into_iter()
        .flat_map(move |mark| line.split(mark).skip(1));
    rests.filter_map(|rest| {
        let end = rest
            .find(|letter: char| !letter.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        (end > 0).then(|| &rest[..end])
    })
}

fn readmes(english: &str, chinese: &str) -> Vec<Finding> {
    let (ours, theirs) = (outline(english), outline(chinese));
    if ours == theirs {
        return Vec::new();
    }
    let what = format!("{theirs}, where {ENGLISH} has {ours}");
    vec![Finding::new(
        CHINESE,
        1,
        what,
        "let the two say the same, section by section",
    )]
}

/// How many headings of each rank and how many code blocks.
fn outline(text: &str) -> String {
    let (mut ranks, mut fences) = ([0; 6], 0);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fences += 1;
        }
        let rank = line.bytes().take_while(|&byte| byte == b'#').count();
        // A `#` in a code block is a comment.
        if fences % 2 == 0 && (1..=6).contains(&rank) && line[rank..].starts_with(' ') {
            ranks[rank - 1] += 1;
        }
    }
    format!("{ranks:?} headings by rank and {} code blocks", fences / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_architecture_is_found() {
        assert_eq!(architecture(&"x\n".repeat(200), &[]), []);
        assert_eq!(architecture(&"x\n".repeat(201), &[]).len(), 1);
    }

    #[test]
    fn unknown_and_unnamed_crates_are_found() {
        let text = "see crates/model/src/site.rs and `kernels`\nglassformer-tensor too\n";
        assert_eq!(architecture(text, &["kernels", "model", "tensor"]), []);
        let found = architecture(text, &["kernels", "model", "train"]);
        let found: Vec<_> = found
            .iter()
            .map(|finding| (finding.line, finding.what.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                (2, "there is no crate `tensor`"),
                (1, "the crate `train` is not named")
            ]
        );
    }

    #[test]
    fn readmes_that_differ_are_found() {
        let english = "# Glassformer\n## Run\n```sh\n# a comment\ncargo run\n```\n";
        assert_eq!(
            readmes(english, "# 玻璃\n## 运行\n```sh\n# 注释\ncargo run\n```\n"),
            []
        );
        assert_eq!(
            readmes(english, "# 玻璃\n```sh\ncargo run\n```\n").len(),
            1,
            "a heading less"
        );
        assert_eq!(
            readmes(english, "# 玻璃\n## 运行\n").len(),
            1,
            "a code block less"
        );
    }

    #[test]
    fn missing_documents_are_found() {
        assert_eq!(check(&Value::Null, &Texts::new()).len(), 3);
    }
}
