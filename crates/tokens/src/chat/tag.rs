//! One tag of a template, word by word: where in it values are put together.

use minijinja::machinery::{Span, Token};

use super::ChatError;
use super::rewrite::{Change, To, Word, refused};
use super::weight::{KEPT, WEIGHED};

/// Words that stand between values, never for one.
const KEYWORDS: [&str; 9] = [
    "in",
    "is",
    "not",
    "and",
    "or",
    "if",
    "else",
    "elif",
    "recursive",
];

/// The largest number that `*` may have beside it, and how often in one tag.
const LARGEST_FACTOR: u64 = 64;
const MOST_FACTORS: usize = 2;

/// What a bracket does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Makes a list or a map.
    Literal,
    /// Groups, or makes a tuple.
    Group,
    /// Holds a call's arguments.
    Call,
    /// Indexes, or names parameters.
    Other,
}

struct Bracket {
    start: usize,
    role: Role,
    has_comma: bool,
}

/// A value that is being passed or assigned: its words so far.
#[derive(Default)]
struct Slot {
    start: usize,
    end: usize,
    words: usize,
}

/// The reader of a tag.
pub(super) struct Tag<'a, 'w> {
    words: &'w [Word<'a>],
    changes: &'w mut Vec<Change>,
    open: Vec<Bracket>,
    /// Slots of the calls around here, the innermost last.
    slots: Vec<Slot>,
    /// Left of `=` in `set` and `with`, left of `in` in `for`: names, not values.
    in_target: bool,
    /// The target is part of a namespace: `ns.x`.
    is_dotted: bool,
    factors: usize,
}

impl<'a, 'w> Tag<'a, 'w> {
    /// `words` of the tag, its opening first.
    pub(super) fn new(words: &'w [Word<'a>], changes: &'w mut Vec<Change>) -> Self {
        Self {
            words,
            changes,
            open: Vec::new(),
            slots: Vec::new(),
            in_target: false,
            is_dotted: false,
            factors: 0,
        }
    }

    /// Adds what is to be changed in the tag.
    pub(super) fn read(mut self) -> Result<(), ChatError> {
        let statement = self.statement();
        self.in_target = matches!(statement, "set" | "for" | "with");
        if let Some(plain) = without_generation(statement) {
            self.change(1, 1, To::Other(plain));
        }
        let first = if statement.is_empty() { 1 } else { 2 };
        for at in first..self.words.len() {
            self.word(at, statement)?;
        }
        if matches!(statement, "set" | "with") && !self.in_target {
            self.assigned(self.words.len());
        }
        Ok(())
    }

    /// The name of a block's statement; empty for `{{ … }}`.
    fn statement(&self) -> &'a str {
        match self.words {
            [(Token::BlockStart, _), (Token::Ident(name), _), ..] => name,
            _ => "",
        }
    }

    fn word(&mut self, at: usize, statement: &str) -> Result<(), ChatError> {
        let (token, span) = &self.words[at];
        match token {
            Token::Assign if self.in_target && self.open.is_empty() => {
                self.in_target = false;
                self.is_dotted = self.words[..at]
                    .iter()
                    .any(|(token, _)| matches!(token, Token::Dot));
                self.slots.push(Slot::default());
                return Ok(());
            }
            Token::Ident("in") if statement == "for" && self.open.is_empty() => {
                self.in_target = false;
            }
            Token::Comma if statement == "with" && self.open.is_empty() => {
                self.assigned(at);
                self.in_target = true;
                return Ok(());
            }
            Token::Mul => self.factor(at)?,
            _ => {}
        }
        match token {
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => self.open(at, statement),
            Token::ParenClose | Token::BracketClose | Token::BraceClose => self.close(*span),
            Token::Comma => self.comma(),
            // The name of a keyword argument is no part of its value.
            Token::Assign => self.reset_slot(),
            _ => self.extend_slot(*span),
        }
        Ok(())
    }

    fn open(&mut self, at: usize, statement: &str) {
        let (token, span) = &self.words[at];
        let after_value =
            at > 1 && is_value(&self.words[at - 1].0) && !self.begins_statement(at - 1);
        let names_parameters = match statement {
            "macro" => at == 3,
            "call" => at == 2,
            _ => false,
        };
        let role = match token {
            _ if names_parameters || self.in_target => Role::Other,
            Token::ParenOpen if after_value => Role::Call,
            Token::ParenOpen => Role::Group,
            Token::BracketOpen if after_value => Role::Other,
            _ => Role::Literal,
        };
        self.extend_slot(*span);
        self.open.push(Bracket {
            start: span.start_offset as usize,
            role,
            has_comma: false,
        });
        if role == Role::Call {
            self.slots.push(Slot::default());
        }
    }

    fn close(&mut self, span: Span) {
        let Some(bracket) = self.open.pop() else {
            return;
        };
        if bracket.role == Role::Call {
            self.passed();
        }
        self.extend_slot(span);
        let makes =
            bracket.role == Role::Literal || (bracket.role == Role::Group && bracket.has_comma);
        if makes {
            self.changes.push(Change {
                start: bracket.start,
                end: span.end_offset as usize,
                to: To::Filtered(WEIGHED),
            });
        }
    }

    fn comma(&mut self) {
        match self.open.last_mut() {
            Some(bracket) if bracket.role == Role::Call => {
                self.passed();
                self.slots.push(Slot::default());
            }
            Some(bracket) => bracket.has_comma = true,
            None => {}
        }
    }

    /// The innermost slot belongs to the innermost bracket if that is a call's.
    fn reset_slot(&mut self) {
        let in_call = self
            .open
            .last()
            .is_some_and(|bracket| bracket.role == Role::Call);
        if let Some(slot) = self.slots.last_mut().filter(|_| in_call) {
            *slot = Slot::default();
        }
    }

    fn extend_slot(&mut self, span: Span) {
        if let Some(slot) = self.slots.last_mut() {
            if slot.words == 0 {
                slot.start = span.start_offset as usize;
            }
            slot.end = span.end_offset as usize;
            slot.words += 1;
        }
    }

    /// An argument ends. A single word was weighed where it was made.
    fn passed(&mut self) {
        let Some(slot) = self.slots.pop() else {
            return;
        };
        if let Some(outer) = self.slots.last_mut() {
            outer.end = outer.end.max(slot.end);
            outer.words += slot.words;
        }
        if slot.words > 1 {
            self.changes.push(Change {
                start: slot.start,
                end: slot.end,
                to: To::Filtered(WEIGHED),
            });
        }
    }

    /// An assigned value ends before word `at`. What goes into a namespace must hold none.
    fn assigned(&mut self, at: usize) {
        let Some(slot) = self.slots.pop() else {
            return;
        };
        if slot.words > 1 || (slot.words == 1 && self.is_dotted) {
            self.changes.push(Change {
                start: slot.start,
                end: self.words[at - 1].1.end_offset as usize,
                to: To::Filtered(if self.is_dotted { KEPT } else { WEIGHED }),
            });
        }
    }

    fn begins_statement(&self, at: usize) -> bool {
        at == 1 && matches!(self.words[0].0, Token::BlockStart)
    }

    fn change(&mut self, first: usize, last: usize, to: To) {
        self.changes.push(Change {
            start: self.words[first].1.start_offset as usize,
            end: self.words[last].1.end_offset as usize,
            to,
        });
    }

    /// `*` repeats a string, which the library counts, or is small and rare.
    fn factor(&mut self, at: usize) -> Result<(), ChatError> {
        let token = |at: usize| self.words.get(at).map(|(token, _)| token);
        let goes_on = matches!(
            token(at + 2),
            Some(Token::Dot | Token::Pipe | Token::BracketOpen | Token::ParenOpen)
        );
        let after = token(at + 1).filter(|_| !goes_on);
        let sides = [token(at - 1), after];
        let is_text = |side: Option<&Token>| matches!(side, Some(Token::Str(_) | Token::String(_)));
        if sides.iter().any(|side| is_text(*side)) {
            return Ok(());
        }
        let is_small = |side: Option<&Token>| matches!(side, Some(Token::Int(number)) if *number <= LARGEST_FACTOR);
        self.factors += 1;
        if sides.iter().any(|side| is_small(*side)) && self.factors <= MOST_FACTORS {
            return Ok(());
        }
        let why = "`*` needs a string or a number up to 64 beside it";
        Err(refused(self.words[at].1, why))
    }
}

fn without_generation(statement: &str) -> Option<&'static str> {
    match statement {
        "generation" => Some("if true"),
        "endgeneration" => Some("endif"),
        _ => None,
    }
}

/// Can a value end with `token`? Then a bracket after it calls or indexes.
fn is_value(token: &Token) -> bool {
    match token {
        Token::Ident(name) => !KEYWORDS.contains(name),
        Token::Str(_)
        | Token::String(_)
        | Token::ParenClose
        | Token::BracketClose
        | Token::BraceClose => true,
        _ => false,
    }
}
