//! The documents of one file, read as they are needed.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use glassformer_tokens::{ChatTemplate, Message};
use serde_json::Value;

use super::conversation::{self, Stretch};
use super::corpus::{CorpusOptions, DocumentSplit, Packing, SourceFile};
use super::error::DataError;

/// Written in a text, it separates documents, whatever the [`DocumentSplit`].
pub const DOCUMENT_MARKER: &str = "<|endoftext|>";

/// The field of a JSON object that holds a conversation.
const MESSAGES: &str = "messages";

/// Bytes read at a time.
const BUFFER: usize = 1 << 16;

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
        self.lines.position.load(Ordering::Relaxed)
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

/// The lines of a file, unpacked and checked, each with its `\n`.
struct Lines<'a> {
    reader: Box<dyn BufRead + Send>,
    file: &'a SourceFile,
    /// Bytes read from disk.
    position: Arc<AtomicU64>,
    /// Unpacked bytes before the next line.
    offset: u64,
    /// Lines so far.
    number: u64,
}

impl<'a> Lines<'a> {
    fn open(file: &'a SourceFile) -> Result<Self, DataError> {
        let opened = File::open(&file.path).map_err(|error| DataError::read(&file.path, error))?;
        let position = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            file: opened,
            position: Arc::clone(&position),
        };
        let buffered = BufReader::with_capacity(BUFFER, counted);
        let reader: Box<dyn BufRead + Send> = match file.packing {
            Packing::Plain => Box::new(buffered),
            Packing::Gzip => Box::new(BufReader::with_capacity(
                BUFFER,
                MultiGzDecoder::new(buffered),
            )),
            Packing::Zstandard => {
                let decoder = zstd::Decoder::with_buffer(buffered).and_then(|mut decoder| {
                    // Archives made with `--long` need larger windows than the default allows.
                    decoder.window_log_max(31)?;
                    Ok(decoder)
                });
                let decoder = decoder.map_err(|error| unpack_error(file, error))?;
                Box::new(BufReader::with_capacity(BUFFER, decoder))
            }
        };
        let mut lines = Self {
            reader,
            file,
            position,
            offset: 0,
            number: 0,
        };
        lines.check_first_bytes()?;
        Ok(lines)
    }

    /// Refuses a binary file before looking for the end of its first line, which may be far away.
    fn check_first_bytes(&mut self) -> Result<(), DataError> {
        let first = self
            .reader
            .fill_buf()
            .map_err(|error| unpack_error(self.file, error))?;
        // The last character may go on in the next bytes.
        let whole = match std::str::from_utf8(first) {
            Err(error) if error.error_len().is_none() => &first[..error.valid_up_to()],
            _ => first,
        };
        check(whole, 0, &self.file.path)
    }

    fn next(&mut self) -> Result<Option<String>, DataError> {
        let mut bytes = Vec::new();
        let read = self.reader.read_until(b'\n', &mut bytes);
        let read = read.map_err(|error| unpack_error(self.file, error))?;
        if read == 0 {
            return Ok(None);
        }
        check(&bytes, self.offset, &self.file.path)?;
        self.offset += read as u64;
        self.number += 1;
        if bytes.ends_with(b"\r\n") {
            bytes.truncate(bytes.len() - 2);
            bytes.push(b'\n');
        }
        if self.number == 1 && bytes.starts_with("\u{feff}".as_bytes()) {
            bytes.drain(..3);
        }
        Ok(Some(String::from_utf8(bytes).expect("checked above")))
    }
}

/// Are these bytes, of which the first is at `offset`, text? Tells of the first that is not.
fn check(bytes: &[u8], offset: u64, path: &Path) -> Result<(), DataError> {
    let wrong = |at: usize, what| {
        Err(DataError::NotText {
            path: path.to_owned(),
            offset: offset + at as u64,
            what,
        })
    };
    let valid = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    if let Some(at) = bytes[..valid].iter().position(|&byte| byte == 0) {
        return wrong(at, "a zero byte (binary data, or UTF-16)");
    }
    if valid < bytes.len() {
        wrong(valid, "a byte that UTF-8 does not allow")
    } else {
        Ok(())
    }
}

/// The system's errors carry a number; those of a decompressor do not.
fn unpack_error(file: &SourceFile, error: io::Error) -> DataError {
    if file.packing == Packing::Plain || error.raw_os_error().is_some() {
        return DataError::read(&file.path, error);
    }
    DataError::Damaged {
        path: file.path.clone(),
        why: error.to_string(),
    }
}

/// Counts what is read from disk, packed as it is.
struct Counted {
    file: File,
    position: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.position.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
