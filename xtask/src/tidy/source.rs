//! A Rust file as the rules see it: its tokens without comments, its functions, and which lines only tests compile.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::Meta;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};

pub(crate) struct RustFile {
    pub(crate) path: String,
    pub(crate) line_count: usize,
    pub(crate) tokens: Vec<Token>,
    pub(crate) functions: Vec<Function>,
    test_lines: Vec<RangeInclusive<usize>>,
}

/// One token with its line. Documentation comments, which are attributes to the compiler, leave none.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Word(String),
    Literal(String),
    Punct(char),
    Open(char),
    Close,
}

/// A function with a body, wherever it stands but in a macro's definition.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) lines: RangeInclusive<usize>,
}

#[derive(Debug)]
pub(crate) struct ParseError {
    pub(crate) line: usize,
    message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot be read as Rust ({})", self.message)
    }
}

impl From<syn::Error> for ParseError {
    fn from(error: syn::Error) -> Self {
        Self {
            line: error.span().start().line,
            message: error.to_string(),
        }
    }
}

impl RustFile {
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self, ParseError> {
        let line_count = text.lines().count();
        // A file's first line may be `#!…`, which syn takes off; the tokens must not see it either.
        let text = if text.starts_with("#!/") {
            &text[text.find('\n').unwrap_or(text.len())..]
        } else {
            text
        };
        let stream: TokenStream = text
            .parse()
            .map_err(|error: proc_macro2::LexError| syn::Error::from(error))?;
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        let mut shape = Shape::default();
        shape.visit_file(&syn::parse_file(text)?);
        let whole = is_test_path(path).then_some(1..=line_count.max(1));
        shape.test_lines.extend(whole);
        Ok(Self {
            path: path.into(),
            line_count,
            tokens,
            functions: shape.functions,
            test_lines: shape.test_lines,
        })
    }

    /// Whether only tests compile this line.
    pub(crate) fn in_tests(&self, line: usize) -> bool {
        self.test_lines.iter().any(|lines| lines.contains(&line))
    }

    /// How many lines are not only for tests.
    pub(crate) fn code_lines(&self) -> usize {
        (1..=self.line_count)
            .filter(|&line| !self.in_tests(line))
            .count()
    }

    /// Every path (`a::b::c`) in the file with its line, those of `use a::{b, c}` written out.
    pub(crate) fn paths(&self) -> Vec<(Vec<&str>, usize)> {
        let mut found = Vec::new();
        // For each open bracket, what stands before its words: empty but for `a::{…}`.
        let mut prefixes = vec![Vec::new()];
        let mut path: Vec<&str> = Vec::new();
        let mut at = 0;
        while let Some(token) = self.tokens.get(at) {
            at += 1;
            match &token.kind {
                Kind::Open(_) => prefixes.push(Vec::new()),
                Kind::Close => _ = prefixes.pop(),
                Kind::Word(word) => {
                    path.clone_from(prefixes.last().unwrap_or(&Vec::new()));
                    path.push(word);
                    while self.kind(at) == Some(&Kind::Punct(':'))
                        && self.kind(at + 1) == Some(&Kind::Punct(':'))
                    {
                        at += 2;
                        match self.kind(at) {
                            Some(Kind::Word(next)) => path.push(next),
                            Some(Kind::Punct('*')) => path.push("*"),
                            Some(Kind::Open('{')) => prefixes.push(path.clone()),
                            _ => break,
                        }
                        at += 1;
                    }
                    found.push((path.clone(), token.line));
                }
                Kind::Literal(_) | Kind::Punct(_) => {}
            }
        }
        found
    }

    pub(crate) fn kind(&self, at: usize) -> Option<&Kind> {
        self.tokens.get(at).map(|token| &token.kind)
    }
}

/// A file that holds nothing but tests, by its name.
fn is_test_path(path: &str) -> bool {
    let path = Path::new(path);
    path.file_name().is_some_and(|name| name == "tests.rs")
        || path.components().any(|part| part.as_os_str() == "tests")
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Ident(word) => tokens.push(Token {
                line,
                kind: Kind::Word(word.to_string()),
            }),
            TokenTree::Literal(literal) => tokens.push(Token {
                line,
                kind: Kind::Literal(literal.to_string()),
            }),
            TokenTree::Punct(punct) => tokens.push(Token {
                line,
                kind: Kind::Punct(punct.as_char()),
            }),
            TokenTree::Group(group) if is_doc_comment(&group.stream()) => {}
            TokenTree::Group(group) => {
                let open = match group.delimiter() {
                    Delimiter::Parenthesis => '(',
                    Delimiter::Brace => '{',
                    Delimiter::Bracket => '[',
                    Delimiter::None => ' ',
                };
                tokens.push(Token {
                    line,
                    kind: Kind::Open(open),
                });
                flatten(group.stream(), tokens);
                tokens.push(Token {
                    line: group.span_close().start().line,
                    kind: Kind::Close,
                });
            }
        }
    }
}

/// `doc = "…"`: what a documentation comment is to the compiler.
fn is_doc_comment(stream: &TokenStream) -> bool {
    let mut trees = stream.clone().into_iter();
    let doc = matches!(trees.next(), Some(TokenTree::Ident(word)) if word == "doc");
    doc && matches!(trees.next(), Some(TokenTree::Punct(punct)) if punct.as_char() == '=')
}

/// Finds the functions and the items that only tests compile.
#[derive(Default)]
struct Shape {
    functions: Vec<Function>,
    test_lines: Vec<RangeInclusive<usize>>,
}

impl Shape {
    fn function(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let lines = signature.fn_token.span.start().line..=body.brace_token.span.close().end().line;
        self.functions.push(Function {
            name: signature.ident.to_string(),
            lines,
        });
    }

    fn test_item(&mut self, attributes: &[syn::Attribute], item: &dyn syn::spanned::Spanned) {
        if attributes.iter().any(is_for_tests) {
            self.test_lines
                .push(item.span().start().line..=item.span().end().line);
        }
    }
}

impl<'ast> Visit<'ast> for Shape {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        self.test_item(attributes(item), item);
        visit::visit_item(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    /// Functions handed to a macro (`multiversion! { fn … }`) count like others.
    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        if let Ok(inside) = syn::parse2::<syn::File>(item.mac.tokens.clone()) {
            let mut shape = Shape::default();
            shape.visit_file(&inside);
            self.functions.extend(shape.functions);
            self.test_lines.extend(shape.test_lines);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        self.test_item(&item.attrs, item);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

/// `#[test]` (any crate's), `#[cfg(test)]` and `#[cfg(all(test, …))]`.
fn is_for_tests(attribute: &syn::Attribute) -> bool {
    match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            list.parse_args().is_ok_and(|meta| needs_test(&meta))
        }
        meta => meta
            .path()
            .segments
            .last()
            .is_some_and(|segment| segment.ident == "test"),
    }
}

/// Whether a `cfg` condition holds only in tests.
fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::List(list) if list.path.is_ident("all") => {
            let parts = list.parse_args_with(Punctuated::<Meta, syn::Token![,]>::parse_terminated);
            parts.is_ok_and(|parts| parts.iter().any(needs_test))
        }
        meta => meta.path().is_ident("test"),
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    use syn::Item;
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> RustFile {
        RustFile::parse("src/a.rs", text).expect("valid Rust")
    }

    #[test]
    fn comments_leave_no_tokens() {
        let file =
            parse("//! unsafe\n/// unsafe\n// unsafe\nfn f() { /* unsafe */ g(\"unsafe\") }\n");
        assert!(
            !file
                .tokens
                .iter()
                .any(|token| token.kind == Kind::Word("unsafe".into()))
        );
        assert!(
            file.tokens
                .iter()
                .any(|token| token.kind == Kind::Literal("\"unsafe\"".into()))
        );
    }

    #[test]
    fn only_what_tests_compile_is_test_code() {
        let file = parse(
            "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\n#[cfg(not(test))]\nfn h() {}\n",
        );
        let tested: Vec<usize> = (1..=8).filter(|&line| file.in_tests(line)).collect();
        assert_eq!(tested, [3, 4, 5, 6]);
        assert_eq!(file.code_lines(), 4);
        let first_is_tested =
            |cfg: &str| parse(&format!("#[cfg({cfg})]\nfn f() {{}}\n")).in_tests(1);
        assert!(first_is_tested("all(unix, test)"));
        assert!(!first_is_tested("all(unix, not(test))") && !first_is_tested("any(unix, test)"));
        assert!(
            RustFile::parse("crates/a/tests/it/main.rs", "fn f() {}\n")
                .expect("valid")
                .in_tests(1)
        );
    }

    #[test]
    fn paths_are_written_out() {
        let file = parse(
            "use std::{fs, io::{self, Read}};\nfn f() { m!(a::b::<C>::d()); std::thread::spawn(g) }\n",
        );
        let paths: Vec<String> = file
            .paths()
            .iter()
            .map(|(path, _)| path.join("::"))
            .collect();
        for path in [
            "std::fs",
            "std::io::self",
            "std::io::Read",
            "a::b",
            "std::thread::spawn",
            "g",
        ] {
            assert!(
                paths.iter().any(|found| found == path),
                "{path} is not among {paths:?}"
            );
        }
    }

    #[test]
    fn a_broken_file_says_where() {
        let error = RustFile::parse("src/a.rs", "fn f() {}\nfn {}\n")
            .err()
            .expect("not Rust");
        assert_eq!(error.line, 2);
    }
}
