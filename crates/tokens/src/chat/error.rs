//! What can go wrong with a chat template. Each message is one line; the caller, who knows the file, adds its name.

use std::error::Error as _;

use minijinja::ErrorKind;

use super::functions::Raised;
use crate::error::one_line;

/// Why a conversation could not be written as the model wants it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// What the template says in its language makes no sense, or is not known here.
    #[error(
        "unusable chat template, line {line}: {why}; pass another template, or write the prompt without one"
    )]
    Syntax {
        /// The line in the template, from 1.
        line: usize,
        /// What is wrong there.
        why: String,
    },
    /// Something that the template asks for cannot be done.
    #[error(
        "the chat template fails in line {line}: {why}; pass another template, or write the prompt without one"
    )]
    Render {
        /// The line in the template, from 1.
        line: usize,
        /// What failed there.
        why: String,
    },
    /// The template itself refuses the conversation.
    #[error("the chat template refuses this conversation: {0}")]
    Refused(String),
    /// The template does more than any for such a conversation has to.
    #[error(
        "the chat template was stopped in line {line}: it does far more than writing a conversation takes; pass another template"
    )]
    TooMuch {
        /// The line in the template, from 1.
        line: usize,
    },
    /// A variable's value is no JSON.
    #[error(
        "the chat template's variable {name:?} has no value in JSON: {why}; strings need quotes"
    )]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong with the value.
        why: String,
    },
    /// The source is too long to be a template.
    #[error("the chat template has {length} bytes, more than {most}: this is no chat template")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The most that is read.
        most: usize,
    },
}

impl ChatError {
    pub(super) fn syntax(error: &minijinja::Error) -> Self {
        Self::Syntax {
            line: error.line().unwrap_or(1),
            why: why(error),
        }
    }

    pub(super) fn render(error: &minijinja::Error) -> Self {
        let line = error.line().unwrap_or(1);
        if let Some(Raised(message)) = find_raised(error) {
            return Self::Refused(one_line(message));
        }
        match error.kind() {
            ErrorKind::OutOfFuel => Self::TooMuch { line },
            _ => Self::Render {
                line,
                why: why(error),
            },
        }
    }
}

fn find_raised(error: &minijinja::Error) -> Option<&Raised> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(raised) = inner.downcast_ref() {
            return Some(raised);
        }
        cause = inner.source();
    }
    None
}

fn why(error: &minijinja::Error) -> String {
    let kind = error.kind();
    match error.detail() {
        Some(detail) => one_line(&format!("{kind}: {detail}")),
        None => kind.to_string(),
    }
}
