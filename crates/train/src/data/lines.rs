//! The lines of one file, unpacked and checked.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::corpus::{Packing, SourceFile};
use super::error::DataError;

/// Bytes read at a time.
const BUFFER: usize = 1 << 16;

/// The lines of a text file, which may be packed (`.gz`, `.zst`), without their ends and the byte order mark.
///
/// # Errors
/// [`DataError::Missing`], [`DataError::Read`], [`DataError::Empty`], [`DataError::Damaged`], [`DataError::NotText`].
pub fn read_lines(path: &Path) -> Result<Vec<String>, DataError> {
    let file = SourceFile::open(path)?;
    let mut lines = Lines::open(&file)?;
    let mut all = Vec::new();
    while let Some(mut line) = lines.next()? {
        if line.ends_with('\n') {
            line.pop();
        }
        all.push(line);
    }
    Ok(all)
}

/// The lines of a file, unpacked and checked, each with its `\n`.
pub(super) struct Lines<'a> {
    reader: Box<dyn BufRead + Send>,
    pub(super) file: &'a SourceFile,
    /// Bytes read from disk.
    position: Arc<AtomicU64>,
    /// Unpacked bytes before the next line.
    offset: u64,
    /// Lines so far.
    pub(super) number: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn open(file: &'a SourceFile) -> Result<Self, DataError> {
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

    /// Bytes of the file read so far, as they are on disk.
    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
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
        check(whole, [0, 1], &self.file.path)
    }

    /// The next line with its `\n`, whose `\r` is left out, as is the byte order mark of the first.
    pub(super) fn next(&mut self) -> Result<Option<String>, DataError> {
        let mut bytes = Vec::new();
        let read = self.reader.read_until(b'\n', &mut bytes);
        let read = read.map_err(|error| unpack_error(self.file, error))?;
        if read == 0 {
            return Ok(None);
        }
        check(&bytes, [self.offset, self.number + 1], &self.file.path)?;
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

/// Are these bytes, of which the first is at `offset` and in line `line`, text? Tells of the first that is not.
fn check(bytes: &[u8], [offset, line]: [u64; 2], path: &Path) -> Result<(), DataError> {
    let wrong = |at: usize, what| {
        Err(DataError::NotText {
            path: path.to_owned(),
            offset: offset + at as u64,
            line: line + String::from_utf8_lossy(&bytes[..at]).matches('\n').count() as u64,
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
