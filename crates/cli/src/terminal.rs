//! How the program speaks: colours only on terminals, errors on one line.

use std::io::{self, IsTerminal, Write};

/// Whether standard error is a terminal that takes colours (`NO_COLOR` is honoured).
pub(crate) fn is_fancy() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// `text` in an ANSI style when standard error takes it.
pub(crate) fn style(code: &str, text: &str) -> String {
    if is_fancy() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// One line on standard error.
pub(crate) fn error(error: &anyhow::Error) {
    // A message may quote what the user gave; line breaks in it must not make it two lines.
    let line = message(error).replace(['\n', '\r'], " ");
    let _ = writeln!(io::stderr(), "{} {line}", style("1;31", "error:"));
}

/// The error and its causes, without those that the text before them already tells.
fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Something on standard error that the user should know before anything else.
pub(crate) fn warning(text: &str) {
    let line = text.replace(['\n', '\r'], " ");
    let _ = writeln!(io::stderr(), "{} {line}", style("1;33", "warning:"));
}

/// A remark on standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{} {text}", style("2", "note:"));
}

/// Writes to standard output and flushes, for text that streams.
pub(crate) fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Whether the reader of our output has gone (`… | head`): nothing to complain about.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// `1234567` as `1,234,567`.
pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// At most so many characters of a text, on one line.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let line = text.replace(char::is_control, " ");
    if line.chars().count() <= most {
        return line;
    }
    let begin: String = line.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", begin.trim_end())
}

#[cfg(test)]
mod tests {
    use super::{message, shortened, thousands};

    #[test]
    fn a_cause_is_told_once() {
        let inner = anyhow::anyhow!("disk full");
        let outer = inner
            .context("cannot save: disk full; make room")
            .context("the run ended");
        assert_eq!(
            message(&outer),
            "the run ended: cannot save: disk full; make room"
        );
    }

    #[test]
    fn long_texts_end_in_dots() {
        assert_eq!(shortened("a\nb", 3), "a b");
        assert_eq!(shortened("猫坐在垫子上", 4), "猫坐在…");
    }

    #[test]
    fn groups_of_three() {
        assert_eq!(thousands(7), "7");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(124_439_808), "124,439,808");
    }
}
