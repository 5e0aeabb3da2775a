//! Files and functions stay short enough to be read in one go. Tests do not count.

use std::path::Path;

use super::Finding;
use super::source::RustFile;

const FILE_FAIL: usize = 700;
const FILE_WARN: usize = 400;
const FUNCTION_FAIL: usize = 60;
const KERNEL_FAIL: usize = 100;

pub(crate) fn rust_file(file: &RustFile) -> Vec<Finding> {
    let limit = if file.path.starts_with("crates/kernels/") {
        KERNEL_FAIL
    } else {
        FUNCTION_FAIL
    };
    let mut findings: Vec<Finding> = file_length(&file.path, file.code_lines())
        .into_iter()
        .collect();
    for function in &file.functions {
        let (start, length) = (*function.lines.start(), function.lines.clone().count());
        if length > limit && !file.in_tests(start) {
            let what = format!("fn {} has {length} lines, more than {limit}", function.name);
            findings.push(Finding::new(
                &file.path,
                start,
                what,
                "give its parts names of their own",
            ));
        }
    }
    findings
}

/// A TypeScript, JavaScript or Svelte file.
pub(crate) fn page_file(path: &str, text: &str) -> Option<Finding> {
    let end = Path::new(path).extension().and_then(|end| end.to_str())?;
    let is_test = [".test.", ".spec.", "/tests/", "/e2e/"]
        .iter()
        .any(|mark| path.contains(mark));
    if !["ts", "js", "svelte"].contains(&end) || is_test {
        return None;
    }
    file_length(path, text.lines().count())
}

fn file_length(path: &str, lines: usize) -> Option<Finding> {
    let (limit, warning) = if lines > FILE_FAIL {
        (FILE_FAIL, false)
    } else {
        (FILE_WARN, true)
    };
    let finding = Finding::new(
        path,
        1,
        format!("{lines} lines without tests, more than {limit}"),
        "split it by what it does",
    );
    (lines > limit).then(|| if warning { finding.warn() } else { finding })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function of this many lines.
    fn function(lines: usize) -> String {
        format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2))
    }

    fn findings(path: &str, text: &str) -> Vec<Finding> {
        rust_file(&RustFile::parse(path, text).expect("valid Rust"))
    }

    #[test]
    fn long_functions_are_found() {
        assert_eq!(findings("crates/model/src/a.rs", &function(60)), []);
        assert_eq!(findings("crates/model/src/a.rs", &function(61)).len(), 1);
        assert_eq!(findings("crates/kernels/src/a.rs", &function(100)), []);
        assert_eq!(findings("crates/kernels/src/a.rs", &function(101)).len(), 1);
        let method = format!("impl A {{\n{}}}\n", function(61));
        assert_eq!(findings("crates/model/src/a.rs", &method)[0].line, 2);
        let in_macro = format!("multiversion! {{\n{}}}\n", function(61));
        assert_eq!(findings("crates/model/src/a.rs", &in_macro)[0].line, 2);
    }

    #[test]
    fn long_files_are_found() {
        let short = "fn f() {}\n".repeat(400);
        assert_eq!(findings("a.rs", &short), []);
        assert!(findings("a.rs", &format!("{short}\n"))[0].warning);
        assert!(!findings("a.rs", &"fn f() {}\n".repeat(701))[0].warning);
        assert!(
            !page_file("web/src/a.svelte", &"x\n".repeat(701))
                .expect("too long")
                .warning
        );
        assert!(
            page_file("web/src/a.ts", &"x\n".repeat(401))
                .expect("long")
                .warning
        );
    }

    #[test]
    fn tests_do_not_count() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(800));
        assert_eq!(findings("crates/model/src/a.rs", &tests), []);
        assert_eq!(findings("crates/model/src/tests.rs", &function(800)), []);
        assert_eq!(page_file("web/src/a.test.ts", &"x\n".repeat(800)), None);
    }
}
