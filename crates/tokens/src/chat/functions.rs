//! What transformers gives to chat templates beyond the language itself.

use std::{fmt, io};

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::Serialize as _;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// The widest indentation of `tojson`.
const WIDEST: usize = 64;

/// The most digits that a width in a format may have.
const WIDTH_DIGITS: usize = 3;

pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.set_unknown_method_callback(method);
    environment.remove_global("debug");
    environment.add_function("raise_exception", raise_exception);
    environment.add_filter("tojson", to_json);
}

/// `strftime_now(format)`: the time, `seconds` after 1970 began, as Python's `strftime` writes it.
pub(super) fn add_clock(environment: &mut Environment<'static>, seconds: i64) {
    environment.add_function("strftime_now", move |format: &str| {
        let invalid = |error: jiff::Error| {
            Error::new(
                ErrorKind::InvalidOperation,
                format!("strftime_now: {error}"),
            )
        };
        let time = Timestamp::from_second(seconds).map_err(invalid)?;
        let time = time.to_zoned(TimeZone::UTC);
        strtime::format(format, &time).map_err(invalid)
    });
}

/// Python's methods of strings, maps and lists.
fn method(
    state: &mut State,
    value: &Value,
    name: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    if let Some(text) = value.as_str().filter(|_| name == "format") {
        // `"{:>999999999}"` would be filled up before anybody counts.
        let mut numbers = text.split(|letter: char| !letter.is_ascii_digit());
        if numbers.any(|number| number.len() > WIDTH_DIGITS) {
            let why = format!("format knows numbers of at most {WIDTH_DIGITS} digits");
            return Err(Error::new(ErrorKind::InvalidOperation, why));
        }
    }
    unknown_method_callback(state, value, name, arguments)
}

/// A template's own words for why it refuses a conversation.
#[derive(Debug)]
pub(super) struct Raised(pub(super) String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

/// `raise_exception(message)`: refuses the conversation.
fn raise_exception(message: &str) -> Result<Value, Error> {
    let raised = Raised(message.to_owned());
    Err(Error::new(ErrorKind::InvalidOperation, "raised by the template").with_source(raised))
}

/// `value | tojson(indent=…)` as Python's `json.dumps` writes it: a space after commas and colons, nothing escaped for
/// HTML.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the library hands arguments over by value"
)]
fn to_json(state: &State, value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // Python's default is to escape; transformers' is not.
    let escapes: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    if escapes == Some(true) || indent.is_some_and(|indent| indent > WIDEST) {
        let why = format!("tojson knows an indent of at most {WIDEST} and no ensure_ascii");
        return Err(Error::new(ErrorKind::InvalidOperation, why));
    }
    let mut paper = Paper {
        state,
        bytes: Vec::new(),
    };
    let written = match indent {
        None => value.serialize(&mut Serializer::with_formatter(&mut paper, Spaced)),
        Some(indent) => {
            let indent = " ".repeat(indent);
            let pretty = PrettyFormatter::with_indent(indent.as_bytes());
            value.serialize(&mut Serializer::with_formatter(&mut paper, pretty))
        }
    };
    if let Err(error) = written {
        // Out of fuel, then this fails in the same way.
        state.consume_fuel(1)?;
        return Err(Error::new(ErrorKind::BadSerialization, error.to_string()));
    }
    String::from_utf8(paper.bytes)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

/// Takes what is written, and pays for it: small values can write themselves at great length.
struct Paper<'a, 'template, 'env> {
    state: &'a State<'template, 'env>,
    bytes: Vec<u8>,
}

impl io::Write for Paper<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.bytes.len() / 64;
        self.bytes.extend_from_slice(bytes);
        let made = self.bytes.len() / 64 - before;
        let paid = self.state.consume_fuel(made as u64);
        paid.map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// JSON on one line, with Python's spaces.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }
}
