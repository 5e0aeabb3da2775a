//! The documents of one file, read as they are needed.

use std::collections::VecDeque;

use glassformer_tokens::{ChatTemplate, Message};
use serde_json::Value;

use super::conversation::{self, Stretch};
use super::corpus::{CorpusOptions, DocumentSplit, SourceFile};
use super::error::DataError;
use super::lines::Lines;

/// Written in a text, it separates documents, whatever the [`DocumentSplit`].
pub const DOCUMENT_MARKER: &str = "<|endoftext|>";

/// The field of a JSON object that holds a conversation.
const MESSAGES: &str = "messages";

/// One document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// A text, to be learned as a whole.
    Text(String),
    /// A conversation, of which the answers are learned.
    Conversation(Vec<Stretch>),
}

impl Document {
    /// All its text.
    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Conversation(stretches) => stretches.into_iter().map(|s| s.text).collect(),
        }
    }

    /// Bytes of its text.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Conversation(stretches) => stretches.iter().map(|s| s.text.len()).sum(),
        }
    }
}

/// The documents of one file, in order: none of them blank, line ends as `\n`, no byte order mark.
/// Line ends beside a [`DOCUMENT_MARKER`] or a blank line belong to no document.
pub struct Documents<'a> {
    lines: Lines<'a>,
    options: &'a CorpusOptions,
    /// Made when the first conversation comes.
    template: Option<ChatTemplate>,
    ready: VecDeque<Document>,
    /// The document being read.
    text: String,
    /// It began with a marker.
    after_marker: bool,
    given: usize,
    is_done: bool,
}

impl<'a> Documents<'a> {
    pub(super) fn open(
        file: &'a SourceFile,
        options: &'a CorpusOptions,
    ) -> Result<Self, DataError> {
        Ok(Self {
            lines: Lines::open(file)?,
            options,
            template: None,
            ready: VecDeque::new(),
            text: String::new(),
            after_marker: false,
            given: 0,
            is_done: false,
        })
    }

    /// Bytes of the file read so far, as they are on disk.
    pub fn position(&self) -> u64 {
        self.lines.position()
    }

    /// Reads on until a document is complete; `None` at the end.
    fn read(&mut self) -> Result<Option<Document>, DataError> {
        let split = if self.lines.file.is_json {
            DocumentSplit::Whole
        } else {
            self.options.split
        };
        while self.ready.is_empty() && !self.is_done {
            let Some(line) = self.lines.next()? else {
                if split == DocumentSplit::BlankLine {
                    trim_end(&mut self.text);
                }
                self.end_document();
                self.is_done = true;
                break;
            };
            if self.lines.file.is_json {
                match object_of(&line, &self.options.text_field, &self.lines)? {
                    None => {}
                    Some(Object::Text(text)) => {
                        self.take(&text, split);
                        self.end_document();
                    }
                    Some(Object::Messages(messages)) => {
                        let stretches = self.conversation(&messages)?;
                        self.ready.push_back(Document::Conversation(stretches));
                    }
                }
            } else {
                self.take(&line, split);
            }
        }
        let document = self.ready.pop_front();
        self.given += usize::from(document.is_some());
        if document.is_none() && self.given == 0 && self.lines.file.is_named {
            return Err(DataError::Empty {
                path: self.lines.file.path.clone(),
            });
        }
        Ok(document)
    }

    /// Adds a line, or for JSON a whole text, to the documents.
    fn take(&mut self, line: &str, split: DocumentSplit) {
        let is_blank = line.trim().is_empty();
        for (n, part) in line.split(DOCUMENT_MARKER).enumerate() {
            if n > 0 {
                trim_end(&mut self.text);
                self.end_document();
                self.after_marker = true;
            }
            let bare = self.text.is_empty() && self.after_marker;
            self.text.push_str(if bare {
                part.trim_start_matches('\n')
            } else {
                part
            });
        }
        if split == DocumentSplit::Line || (split == DocumentSplit::BlankLine && is_blank) {
            trim_end(&mut self.text);
            self.end_document();
        }
    }

    fn end_document(&mut self) {
        let text = std::mem::take(&mut self.text);
        self.after_marker = false;
        if !text.trim().is_empty() {
            self.ready.push_back(Document::Text(text));
        }
    }

    fn conversation(&mut self, messages: &[Message]) -> Result<Vec<Stretch>, DataError> {
        let error = |why| DataError::Conversation {
            path: self.lines.file.path.clone(),
            line: self.lines.number,
            why,
        };
        if self.template.is_none() {
            let chat = self.options.chat.as_ref().ok_or_else(|| {
                error(
                    "a conversation needs a model with a chat template; name one with --init"
                        .to_owned(),
                )
            })?;
            self.template = Some(chat.template().map_err(error)?);
        }
        let template = self.template.as_ref().expect("made above");
        conversation::stretches(template, messages).map_err(error)
    }
}

impl Iterator for Documents<'_> {
    type Item = Result<Document, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done && self.ready.is_empty() {
            return None;
        }
        let document = self.read();
        self.is_done |= document.is_err();
        document.transpose()
    }
}

fn trim_end(text: &mut String) {
    text.truncate(text.trim_end().len());
}

/// What a line of JSON holds.
enum Object {
    Text(String),
    Messages(Vec<Message>),
}

/// The text, or else the messages, in one line of JSON; `None` for a blank line.
fn object_of(line: &str, field: &str, lines: &Lines) -> Result<Option<Object>, DataError> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    let (path, line_number) = (lines.file.path.clone(), lines.number);
    let mut value: Value = match serde_json::from_str(line) {
        Ok(value) => value,
        // The parser counts lines of its own; ours is the one that helps.
        Err(error) => {
            let why = error.to_string();
            let why = why.split(" at line ").next().unwrap_or_default().to_owned();
            let why = format!("{why} (column {})", error.column());
            return Err(DataError::Json {
                path,
                line: line_number,
                why,
            });
        }
    };
    if !value.is_object() {
        return Err(DataError::Json {
            path,
            line: line_number,
            why: "it is no object".into(),
        });
    }
    match value.get_mut(field).map(Value::take) {
        Some(Value::String(text)) => Ok(Some(Object::Text(text.replace("\r\n", "\n")))),
        None if value.get(MESSAGES).is_some() => {
            let messages = serde_json::from_value(value[MESSAGES].take());
            let messages = messages.map_err(|error| DataError::Conversation {
                path,
                line: line_number,
                why: format!("{MESSAGES:?} is no list of messages with role and content: {error}"),
            })?;
            Ok(Some(Object::Messages(messages)))
        }
        _ => Err(DataError::NoField {
            path,
            line: line_number,
            field: field.to_owned(),
        }),
    }
}
