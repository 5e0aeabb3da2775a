//! `king - man + woman`.

use std::str::FromStr;

/// Texts with a sign each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expression {
    pub(super) terms: Vec<Term>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) is_minus: bool,
    pub(super) text: String,
}

impl Term {
    /// 1 or −1.
    pub(super) fn sign(&self) -> f32 {
        if self.is_minus { -1.0 } else { 1.0 }
    }
}

impl FromStr for Expression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        let (mut is_minus, mut rest) = sign(text.trim()).unwrap_or((false, text.trim()));
        loop {
            let (term, after) = term(rest)?;
            if term.is_empty() || sign(rest).is_some() {
                return Err(format!("{text:?} has a sign without a term behind it"));
            }
            terms.push(Term {
                is_minus,
                text: term.to_owned(),
            });
            let after = after.trim_start();
            if after.is_empty() {
                return Ok(Self { terms });
            }
            (is_minus, rest) = sign(after).ok_or_else(|| {
                format!("{text:?} needs + or - before {after:?}, with white space around it")
            })?;
        }
    }
}

/// A leading sign that stands alone, and what follows.
fn sign(text: &str) -> Option<(bool, &str)> {
    let (is_minus, rest) = match text.strip_prefix(['-', '−']) {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+')?),
    };
    let stands_alone = rest.is_empty() || rest.starts_with(char::is_whitespace);
    stands_alone.then(|| (is_minus, rest.trim_start()))
}

/// The term at the beginning of `text`, and the rest: up to the closing quote, or to the next sign that stands alone.
fn term(text: &str) -> Result<(&str, &str), String> {
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted
            .split_once('"')
            .ok_or_else(|| format!("the quote at {text:?} is not closed"));
    }
    let blanks = text.char_indices().filter(|(_, c)| c.is_whitespace());
    let end = blanks
        .map(|(at, _)| at)
        .find(|&at| sign(text[at..].trim_start()).is_some());
    let (term, rest) = text.split_at(end.unwrap_or(text.len()));
    Ok((term.trim_end(), rest))
}

#[cfg(test)]
mod tests {
    use super::Expression;

    fn terms(text: &str) -> Vec<(bool, String)> {
        let expression: Expression = text.parse().unwrap();
        let pairs = expression.terms.into_iter();
        pairs.map(|term| (term.is_minus, term.text)).collect()
    }

    #[test]
    fn signs_stand_between_terms() {
        let plus = |text: &str| (false, text.to_owned());
        let minus = |text: &str| (true, text.to_owned());
        assert_eq!(terms("king"), [plus("king")]);
        assert_eq!(
            terms("king - man + woman"),
            [plus("king"), minus("man"), plus("woman")]
        );
        assert_eq!(terms(" − man  +  a b "), [minus("man"), plus("a b")]);
        assert_eq!(terms("well-known + C++"), [plus("well-known"), plus("C++")]);
        assert_eq!(terms("\"a - b\" - \" c\""), [plus("a - b"), minus(" c")]);
        assert_eq!(terms("国王 - 男人"), [plus("国王"), minus("男人")]);
    }

    #[test]
    fn what_is_no_sum_is_refused() {
        for (text, word) in [
            ("", "without a term"),
            ("king -", "without a term"),
            ("king - + man", "without a term"),
            ("\"king", "not closed"),
            ("\"king\" man", "before \"man\""),
        ] {
            let error = text.parse::<Expression>().unwrap_err();
            assert!(error.contains(word), "{text:?}: {error}");
        }
    }
}
