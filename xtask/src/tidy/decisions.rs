//! Every dependency has a line in DECISIONS.md that names it in backticks and says why it is there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Finding;
use super::repository::{Texts, key_line, manifest_path, packages};

const DECISIONS: &str = "DECISIONS.md";
const PAGE: &str = "web/package.json";

pub(crate) fn check(metadata: &Value, texts: &Texts) -> Vec<Finding> {
    let Some(decisions) = texts.get(DECISIONS) else {
        return vec![Finding::new(
            DECISIONS,
            1,
            "missing",
            "write it: one line for each dependency",
        )];
    };
    let mut findings = Vec::new();
    for (name, path) in dependencies(metadata, texts) {
        if !decisions.contains(&format!("`{name}`")) {
            let line = key_line(texts, &path, &name);
            let todo =
                format!("add a line to {DECISIONS} with `{name}` and the reason, or do without it");
            findings.push(Finding::new(
                &path,
                line,
                format!("`{name}` has no line in {DECISIONS}"),
                todo,
            ));
        }
    }
    findings
}

/// The outside crates and packages, each with the manifest that names it.
fn dependencies(metadata: &Value, texts: &Texts) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for package in packages(metadata) {
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            // A crate of the workspace has a path and no source.
            if let (Some(name), Some(_)) =
                (dependency["name"].as_str(), dependency["source"].as_str())
            {
                found.insert(name.to_owned(), manifest_path(metadata, package));
            }
        }
    }
    let root = texts.get("Cargo.toml").map_or("", String::as_str);
    found.extend(
        workspace_dependencies(root).map(|name| (name.to_owned(), "Cargo.toml".to_owned())),
    );
    let page: Value = texts
        .get(PAGE)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    for table in ["dependencies", "devDependencies"] {
        let names = page[table]
            .as_object()
            .into_iter()
            .flat_map(serde_json::Map::keys);
        found.extend(names.map(|name| (name.clone(), PAGE.to_owned())));
    }
    found
}

/// The keys of `[workspace.dependencies]` that are not crates of ours.
fn workspace_dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let lines = manifest
        .lines()
        .skip_while(|line| line.trim() != "[workspace.dependencies]")
        .skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let names = lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().trim_matches('"'));
    names.filter(|name| !name.starts_with("glassformer-") && !name.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn findings(decisions: &str) -> Vec<Finding> {
        let metadata = json!({"workspace_root": "/r", "packages": [{
            "manifest_path": "/r/crates/a/Cargo.toml",
            "dependencies": [{"name": "divan", "source": "registry"}, {"name": "glassformer-model", "source": null}]}]});
        let manifest = "[workspace.dependencies]\n# why = \"\"\nglassformer-model = { path = \"\" }\n\nhalf = \"2\"\n[profile.dev]\nlto = 1\n";
        let page = "{\n  \"dependencies\": {\n    \"@a/b\": \"1\"\n  }\n}\n";
        let texts = [
            ("Cargo.toml", manifest),
            (PAGE, page),
            (DECISIONS, decisions),
        ];
        check(
            &metadata,
            &texts
                .map(|(path, text)| (path.to_owned(), text.to_owned()))
                .into(),
        )
    }

    #[test]
    fn a_dependency_without_a_line_is_found() {
        let found: Vec<_> = findings("")
            .into_iter()
            .map(|finding| (finding.path, finding.line))
            .collect();
        let expected = [(PAGE, 3), ("crates/a/Cargo.toml", 1), ("Cargo.toml", 5)];
        assert_eq!(found, expected.map(|(path, line)| (path.to_owned(), line)));
    }

    #[test]
    fn dependencies_with_lines_pass() {
        assert_eq!(findings("- `half`: f16.\n- `divan`, `@a/b`: speed.\n"), []);
    }

    #[test]
    fn the_file_must_exist() {
        assert_eq!(check(&json!({}), &Texts::new()).len(), 1);
    }
}
