//! Where lines come from: arguments, a file, or standard input while it is being written.

use std::io::{self, BufRead};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use glassformer_train::data::read_lines;

/// How long a line waits for others to go with it.
const PATIENCE: Duration = Duration::from_millis(10);

/// A line of what is to be translated.
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: u64,
    pub(super) text: String,
}

/// Lines in their order.
pub(super) enum Input {
    /// All are there.
    Whole(std::vec::IntoIter<String>),
    /// They come as they are written.
    Piped(Receiver<Result<String>>),
}

impl Input {
    /// The lines of a file.
    pub(super) fn file(path: &Path) -> Result<Self> {
        Ok(Self::Whole(read_lines(path)?.into_iter()))
    }

    /// Standard input, which is read at most so many lines ahead.
    pub(super) fn piped(ahead: usize) -> Self {
        let (sender, receiver) = sync_channel(ahead);
        // It ends with the program, should the program be done before its input.
        thread::spawn(move || {
            let mut lines = io::stdin().lock();
            for number in 1.. {
                let line = match line(&mut lines, number) {
                    Ok(None) => return,
                    Ok(Some(line)) => Ok(line),
                    Err(error) => Err(error),
                };
                let is_last = line.is_err();
                if sender.send(line).is_err() || is_last {
                    return;
                }
            }
        });
        Self::Piped(receiver)
    }

    /// The next lines, at most so many and at least one, unless there are no more. Of a pipe those that are there: nobody
    /// who waits for an answer must write more first. With them what went wrong behind them.
    pub(super) fn next(&mut self, most: usize) -> (Vec<String>, Option<anyhow::Error>) {
        let receiver = match self {
            Self::Whole(lines) => return (lines.take(most).collect(), None),
            Self::Piped(receiver) => receiver,
        };
        let mut lines = Vec::new();
        while lines.len() < most {
            let next = if lines.is_empty() {
                receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                receiver.recv_timeout(PATIENCE)
            };
            match next {
                Ok(Ok(line)) => lines.push(line),
                Ok(Err(error)) => return (lines, Some(error)),
                Err(_) => break,
            }
        }
        (lines, None)
    }

    /// How many are still to come, where that is known.
    pub(super) fn left(&self) -> Option<usize> {
        match self {
            Self::Whole(lines) => Some(lines.len()),
            Self::Piped(_) => None,
        }
    }
}

/// The next line without its end.
fn line(lines: &mut impl BufRead, number: u64) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    let read = lines.read_until(b'\n', &mut bytes);
    if read.map_err(|error| anyhow!("cannot read standard input: {error}"))? == 0 {
        return Ok(None);
    }
    while bytes.last().is_some_and(|end| matches!(end, b'\n' | b'\r')) {
        bytes.pop();
    }
    let text = String::from_utf8(bytes);
    let text =
        text.map_err(|_| anyhow!("standard input is no UTF-8 text: see its line {number}"))?;
    Ok(Some(text))
}
