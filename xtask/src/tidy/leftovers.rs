//! Nothing unfinished is left behind: what is to be done stands in an issue, not in the code.

use std::path::Path;

use super::Finding;
use super::source::{Kind, RustFile};

/// Taken apart, so that this file passes its own rule.
const WORDS: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];
const MACROS: [&str; 2] = ["todo", "unimplemented"];
const REMEDY: &str = "finish it, or write it down where work is planned";

/// The marks of unfinished work, in comments, strings and code alike.
pub(crate) fn words(path: &str, text: &str) -> Vec<Finding> {
    let end = Path::new(path)
        .extension()
        .and_then(|end| end.to_str())
        .unwrap_or_default();
    if !["rs", "ts", "js", "svelte"].contains(&end) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        for word in words.filter(|word| WORDS.contains(word)) {
            findings.push(Finding::new(
                path,
                at + 1,
                format!("{word} left behind"),
                REMEDY,
            ));
        }
    }
    findings
}

/// The macros that panic where code is missing.
pub(crate) fn macros(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, token) in file.tokens.iter().enumerate() {
        let Kind::Word(word) = &token.kind else {
            continue;
        };
        if MACROS.contains(&word.as_str()) && file.kind(at + 1) == Some(&Kind::Punct('!')) {
            findings.push(Finding::new(
                &file.path,
                token.line,
                format!("{word}! left behind"),
                REMEDY,
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_found_as_a_word() {
        for word in WORDS {
            assert_eq!(words("a.rs", &format!("// {word}: later\n")).len(), 1);
            assert_eq!(
                words("web/src/a.svelte", &format!("<!-- {word} -->\n"))[0].line,
                1
            );
            assert_eq!(words("a.rs", &format!("// {word}ED, A_{word}\n")), []);
            assert_eq!(words("a.md", word), []);
        }
    }

    #[test]
    fn each_macro_is_found_in_code_only() {
        for word in MACROS {
            let file = RustFile::parse("a.rs", &format!("fn f() {{\n    {word}!()\n}}\n"))
                .expect("valid Rust");
            assert_eq!(macros(&file)[0].line, 2);
            let file = RustFile::parse("a.rs", &format!("// {word}!()\nfn f({word}: u8) {{}}\n"))
                .expect("valid Rust");
            assert_eq!(macros(&file), []);
        }
    }
}
