//! How texts are cut before BLEU counts: sacreBLEU's `13a`, `zh`, `char` and `none`.

use super::{is_space, words};

/// How texts are cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tokenize {
    /// As NIST's `mteval-v13a.pl`, the usual one for European languages.
    #[default]
    V13a,
    /// Each Chinese character by itself, the rest as in 13a.
    Zh,
    /// Each character by itself.
    Char,
    /// At white space: for texts that are cut already.
    None,
}

impl Tokenize {
    /// Its name in signatures.
    pub fn name(self) -> &'static str {
        match self {
            Self::V13a => "13a",
            Self::Zh => "zh",
            Self::Char => "char",
            Self::None => "none",
        }
    }

    /// `text` with spaces between its tokens.
    pub fn apply(self, text: &str) -> String {
        match self {
            Self::None => text.to_owned(),
            Self::Char => text
                .chars()
                .flat_map(|character| [character, ' '])
                .collect(),
            Self::V13a => {
                let mut line = text
                    .replace("<skipped>", "")
                    .replace("-\n", "")
                    .replace('\n', " ");
                for (escaped, plain) in [
                    ("&quot;", "\""),
                    ("&amp;", "&"),
                    ("&lt;", "<"),
                    ("&gt;", ">"),
                ] {
                    line = line.replace(escaped, plain);
                }
                western(&format!(" {line} "))
            }
            Self::Zh => {
                let mut line = String::new();
                for character in text.trim_matches(is_space).chars() {
                    if is_chinese(character) {
                        line.extend([' ', character, ' ']);
                    } else {
                        line.push(character);
                    }
                }
                western(&line)
            }
        }
    }
}

/// Sets signs apart: all of ASCII's but `'`, full stops and commas unless between digits, dashes after a digit.
///
/// Four substitutions one after the other, as in `mteval-v13a.pl`; each goes on behind what it has just replaced.
fn western(text: &str) -> String {
    let is_digit = |c: char| c.is_ascii_digit();
    let is_point = |c: char| matches!(c, '.' | ',');
    let mut line = String::with_capacity(2 * text.len());
    for character in text.chars() {
        if is_sign(character) {
            line.extend([' ', character, ' ']);
        } else {
            line.push(character);
        }
    }
    let line = after_pairs(&line, |a, b| {
        (!is_digit(a) && is_point(b)).then_some([a, ' ', b, ' '])
    });
    let line = after_pairs(&line, |a, b| {
        (is_point(a) && !is_digit(b)).then_some([' ', a, ' ', b])
    });
    let line = after_pairs(&line, |a, b| {
        (is_digit(a) && b == '-').then_some([a, ' ', b, ' '])
    });
    words(&line).collect::<Vec<_>>().join(" ")
}

/// Replaces pairs of neighbours from left to right, where `replace` says what by; a replaced one is no neighbour any more.
fn after_pairs(text: &str, replace: impl Fn(char, char) -> Option<[char; 4]>) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut characters = text.chars().peekable();
    while let Some(a) = characters.next() {
        match characters.peek().and_then(|&b| replace(a, b)) {
            Some(new) => {
                out.extend(new);
                characters.next();
            }
            None => out.push(a),
        }
    }
    out
}

/// The signs of ASCII but `'`, `,`, `-` and `.`; the space too.
fn is_sign(c: char) -> bool {
    matches!(c, ' '..='&' | '('..='+' | '/' | ':'..='@' | '['..='`' | '{'..='~')
}

/// What sacreBLEU takes for Chinese. It means the supplementary planes by two of its ranges, but writes them with four digits
/// and a fifth character: so they hold U+2001 to U+2A6D and U+2F81 to U+2FA1, and the planes are left out. Scores are to be
/// the same, and so is this.
fn is_chinese(c: char) -> bool {
    matches!(u32::from(c),
        0x3400..=0x4db5
        | 0x4e00..=0x9fbb
        | 0xf900..=0xfa2d
        | 0xfa30..=0xfa6a
        | 0xfa70..=0xfad9
        | 0x2001..=0x2a6d
        | 0x2f81..=0x2fa1
        | 0xff00..=0xffef
        | 0x2e80..=0x2eff
        | 0x3000..=0x303f
        | 0x31c0..=0x31ef
        | 0x2f00..=0x2fdf
        | 0x2ff0..=0x2fff
        | 0x3100..=0x312f
        | 0x31a0..=0x31bf
        | 0xfe10..=0xfe1f
        | 0xfe30..=0xfe4f
        | 0x3200..=0x33ff)
}
