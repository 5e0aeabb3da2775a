//! Every crate depends only on crates of a lower level, so that the dependencies can have no cycle and the order of
//! the levels is the order of the data's way through the engine.

use serde_json::Value;

use super::Finding;
use super::repository::{Texts, key_line, manifest_path, packages};

const PREFIX: &str = "glassformer-";

const LEVELS: [(&str, u8); 11] = [
    ("kernels", 0),
    ("tokens", 0),
    ("tensor", 1),
    ("weights", 2),
    ("model", 3),
    ("generate", 4),
    ("train", 4),
    ("trace", 4),
    ("server", 5),
    ("film", 6),
    ("cli", 7),
];

/// Edges within a level that are allowed, each with its reason.
const ALLOWED: [(&str, &str, &str); 1] = [(
    "train",
    "generate",
    "the trainer writes samples at every evaluation; generate knows nothing of train",
)];

fn level(crate_name: &str) -> Option<u8> {
    LEVELS
        .iter()
        .find(|(name, _)| *name == crate_name)
        .map(|(_, level)| *level)
}

fn is_allowed(from: &str, to: &str) -> bool {
    ALLOWED.iter().any(|(a, b, _reason)| (*a, *b) == (from, to))
}

pub(crate) fn check(metadata: &Value, texts: &Texts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages(metadata) {
        let Some(from) = package["name"]
            .as_str()
            .and_then(|name| name.strip_prefix(PREFIX))
        else {
            continue;
        };
        let path = manifest_path(metadata, package);
        let Some(from_level) = level(from) else {
            findings.push(Finding::new(
                &path,
                1,
                format!("{from} has no level"),
                "add it to xtask/src/tidy/levels.rs",
            ));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let Some(name) = dependency["name"]
                .as_str()
                .filter(|_| dependency["kind"] != "dev")
            else {
                continue;
            };
            let Some(to) = name.strip_prefix(PREFIX) else {
                continue;
            };
            if level(to).is_some_and(|to_level| to_level < from_level) || is_allowed(from, to) {
                continue;
            }
            let line = key_line(texts, &path, name);
            let what = format!(
                "{from} (level {from_level}) depends on {to}, which is not at a lower level"
            );
            findings.push(Finding::new(
                &path,
                line,
                what,
                "move the code to the level where it belongs",
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn findings(from: &str, to: &str, kind: Option<&str>) -> Vec<Finding> {
        let metadata = json!({"workspace_root": "/r", "packages": [{
            "name": format!("glassformer-{from}"), "manifest_path": format!("/r/crates/{from}/Cargo.toml"),
            "dependencies": [{"name": format!("glassformer-{to}"), "kind": kind}]}]});
        let manifest = format!("[dependencies]\nglassformer-{to}.workspace = true\n");
        check(
            &metadata,
            &Texts::from([(format!("crates/{from}/Cargo.toml"), manifest)]),
        )
    }

    #[test]
    fn an_upward_edge_is_found_with_its_line() {
        let found = findings("tensor", "model", None);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].path.as_str(), found[0].line),
            ("crates/tensor/Cargo.toml", 2)
        );
        assert_eq!(
            findings("trace", "generate", None).len(),
            1,
            "an edge within a level"
        );
        assert_eq!(
            findings("generate", "train", None).len(),
            1,
            "the allowed edge, turned round"
        );
        assert_eq!(findings("tensor", "model", Some("build")).len(), 1);
    }

    #[test]
    fn an_unknown_crate_is_found() {
        assert!(
            findings("novel", "kernels", None)[0]
                .what
                .contains("no level")
        );
        assert_eq!(findings("cli", "novel", None).len(), 1);
    }

    #[test]
    fn downward_dev_and_allowed_edges_pass() {
        assert_eq!(findings("model", "kernels", None), []);
        assert_eq!(findings("tensor", "model", Some("dev")), []);
        assert_eq!(findings("train", "generate", None), []);
    }
}
