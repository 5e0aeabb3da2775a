//! What may be said where: `unsafe`, the operating system, kernels, families.

use super::Finding;
use super::source::{Kind, RustFile};

/// The only places for `unsafe`.
const UNSAFE: [&str; 2] = ["crates/kernels/", "crates/weights/src/mapped.rs"];

/// These crates also compile to WebAssembly: they read no files, open no sockets, start no programs or threads.
const PURE: [&str; 6] = ["kernels", "tokens", "tensor", "model", "generate", "trace"];
const SYSTEM: [&str; 3] = ["fs", "net", "process"];
const THREADS: [&str; 4] = ["spawn", "scope", "Builder", "*"];

/// The pool that is handed in has to start its threads somewhere.
const POOL: &str = "crates/kernels/src/pool.rs";

/// Layers take no family's name; new behaviour is a new layer.
const LAYERS: [&str; 3] = ["embed", "block", "unembed"];
const FAMILIES: [&str; 22] = [
    "bert", "bloom", "clip", "deepseek", "deit", "falcon", "gemma", "gpt", "gptj", "llama",
    "marian", "mistral", "mixtral", "opt", "pythia", "qwen", "roberta", "smollm", "t5", "videomae",
    "vit", "whisper",
];

pub(crate) fn check(file: &RustFile) -> Vec<Finding> {
    let mut findings = unsafe_code(file);
    if PURE
        .iter()
        .any(|name| file.path.starts_with(&format!("crates/{name}/src/")))
    {
        findings.extend(system_calls(file));
    }
    if file.path.starts_with("crates/model/src/families/") {
        findings.extend(kernels_in_families(file));
    }
    if LAYERS
        .iter()
        .any(|name| file.path.starts_with(&format!("crates/model/src/{name}/")))
    {
        findings.extend(families_in_layers(file));
    }
    findings
}

fn unsafe_code(file: &RustFile) -> Vec<Finding> {
    if UNSAFE.iter().any(|place| file.path.starts_with(place)) {
        return Vec::new();
    }
    let words = file
        .tokens
        .iter()
        .filter(|token| token.kind == Kind::Word("unsafe".into()));
    let todo = "move it to crates/kernels (or the memory map in crates/weights/src/mapped.rs)";
    words
        .map(|token| {
            Finding::new(
                &file.path,
                token.line,
                "`unsafe` outside of its places",
                todo,
            )
        })
        .collect()
}

fn system_calls(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, line) in file.paths() {
        let reaches_out = match path.as_slice() {
            ["std", module, ..] if SYSTEM.contains(module) => true,
            ["std", "thread", call, ..] | ["thread", call, ..] => {
                THREADS.contains(call) && file.path != POOL
            }
            _ => false,
        };
        if reaches_out && !file.in_tests(line) {
            let what = format!(
                "`{}` in a crate that must also run in a browser",
                path.join("::")
            );
            findings.push(Finding::new(
                &file.path,
                line,
                what,
                "let the caller hand in bytes, or the pool",
            ));
        }
    }
    findings
}

fn kernels_in_families(file: &RustFile) -> Vec<Finding> {
    let words = file
        .tokens
        .iter()
        .filter(|token| token.kind == Kind::Word("glassformer_kernels".into()));
    let what = "a family calls a kernel";
    words
        .map(|token| {
            Finding::new(
                &file.path,
                token.line,
                what,
                "call a layer, or write the layer first",
            )
        })
        .collect()
}

fn families_in_layers(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for token in &file.tokens {
        let (Kind::Word(text) | Kind::Literal(text)) = &token.kind else {
            continue;
        };
        if let Some(family) = words(text).into_iter().find(|word| is_family(word)) {
            let what = format!("a layer names the family `{family}`");
            findings.push(Finding::new(
                &file.path,
                token.line,
                what,
                "say what the layer does instead",
            ));
        }
    }
    findings
}

/// A family's name, with or without a version: `qwen`, `qwen3`.
fn is_family(word: &str) -> bool {
    FAMILIES.iter().any(|name| {
        word.strip_prefix(name)
            .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// The words of a name or a text, in small letters: `DistilBertConfig`, `gpt2_block` → distil bert config, gpt2 block.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let letters: Vec<char> = text.chars().collect();
    for (at, &letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map_or(' ', |at| letters[at]);
        let after = letters.get(at + 1).copied().unwrap_or(' ');
        let starts = letter.is_uppercase() && (!before.is_uppercase() || after.is_lowercase());
        if starts || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if letter.is_alphanumeric() {
            words
                .last_mut()
                .expect("there is always one")
                .extend(letter.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&RustFile::parse(path, text).expect("valid Rust")).len()
    }

    #[test]
    fn unsafe_is_found_in_code_and_in_macros() {
        for text in [
            "fn f() { unsafe { g() } }",
            "unsafe fn f() {}",
            "unsafe impl S for T {}",
            "m!(unsafe { g() });",
        ] {
            assert_eq!(found("crates/tensor/src/a.rs", text), 1, "{text}");
            assert_eq!(found("crates/kernels/src/a.rs", text), 0, "{text}");
            assert_eq!(found("crates/weights/src/mapped.rs", text), 0, "{text}");
        }
        assert_eq!(
            found(
                "crates/tensor/src/a.rs",
                "#![deny(unsafe_code)]\n// unsafe\n"
            ),
            0
        );
    }

    #[test]
    fn the_system_is_found_in_pure_crates() {
        let texts = [
            "use std::{io::Read, fs::File};",
            "fn f() { std::net::TcpStream::connect(a); }",
            "use std::thread; fn f() { thread::spawn(g); }",
            "use std::process as p;",
            "use std::thread::*;",
            "fn f() { assert!(std::fs::exists(a)); }",
        ];
        for text in texts {
            assert_eq!(found("crates/model/src/a.rs", text), 1, "{text}");
            assert_eq!(found("crates/cli/src/a.rs", text), 0, "{text}");
            assert_eq!(found("crates/model/src/tests.rs", text), 0, "{text}");
        }
        assert_eq!(
            found(
                "crates/model/src/a.rs",
                "use std::io::Read; use std::thread::available_parallelism;"
            ),
            0
        );
    }

    #[test]
    fn only_the_pool_starts_threads() {
        let text = "use std::thread; fn f() { thread::Builder::new(); }";
        assert_eq!(found("crates/kernels/src/pool.rs", text), 0);
        assert_eq!(found("crates/kernels/src/a.rs", text), 1);
        let text = "fn f() { std::fs::read(a); }";
        assert_eq!(found("crates/kernels/src/pool.rs", text), 1);
    }

    #[test]
    fn kernels_are_found_in_families() {
        assert_eq!(
            found(
                "crates/model/src/families/a.rs",
                "use glassformer_kernels::matmul;"
            ),
            1
        );
        assert_eq!(
            found(
                "crates/model/src/families/a.rs",
                "/// As `glassformer_kernels` does.\nfn f() {}"
            ),
            0
        );
        assert_eq!(
            found(
                "crates/model/src/block/a.rs",
                "use glassformer_kernels::matmul;"
            ),
            0
        );
    }

    #[test]
    fn families_are_found_in_layers() {
        for text in [
            "struct Gpt2Block;",
            "fn f(is_llama: bool) {}",
            "fn f() { g(\"Qwen3\") }",
            "struct DistilBERTNorm;",
        ] {
            assert_eq!(found("crates/model/src/block/a.rs", text), 1, "{text}");
            assert_eq!(found("crates/model/src/families/a.rs", text), 0, "{text}");
        }
        assert_eq!(
            found(
                "crates/model/src/embed/a.rs",
                "/// As in GPT-2.\n// llama too\nfn invite(bertha: u8) {}"
            ),
            0
        );
    }
}
