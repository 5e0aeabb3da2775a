//! One file: fetching it, going on where a transfer broke off, checking what came.

use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;
use std::thread::sleep;
use std::time::Duration;

use hf_hub::CacheRepo;
use hf_hub::api::Progress;
use hf_hub::api::sync::{ApiError, ApiRepo};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use super::error::is_broken_off;

/// How often a transfer that broke off is taken up again, and how long to wait before; each time twice as long.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(250);

/// Digits of a SHA-256.
const DIGITS: usize = 64;

/// Why there is no file.
#[derive(Debug)]
pub(super) enum Failure {
    /// It did not come.
    Api(ApiError),
    /// It could not be read again.
    Io(std::io::Error),
    /// It came, but not as the hub told: expected, found.
    Differs(String, String),
}

/// Fetches a file and gives the size that the hub told. What had come when a transfer broke off stays, also when the
/// program ends, and is not fetched again.
///
/// The library would try again too, but from the beginning onto what is there already.
pub(super) fn fetch(remote: &ApiRepo, name: &str) -> Result<u64, Failure> {
    let size = Rc::new(Cell::new(0));
    let mut tries = 0;
    loop {
        let bar = Bar {
            bar: ProgressBar::new(0),
            size: Rc::clone(&size),
        };
        match remote.download_with_progress(name, bar) {
            Ok(_) => return Ok(size.get()),
            Err(error) if tries < TRIES && is_broken_off(&error) => {
                sleep(PAUSE * 2u32.pow(tries));
                tries += 1;
            }
            Err(error) => return Err(Failure::Api(error)),
        }
    }
}

/// Compares what came with the size told and, where the hub names content by its SHA-256, with that. What differs is
/// removed.
pub(super) fn check(local: &CacheRepo, path: &Path, size: u64) -> Result<(), Failure> {
    // A link to the content, which has the name that the hub gave it.
    let content = std::fs::canonicalize(path).map_err(Failure::Io)?;
    let found = compare(&content, size);
    if let Err(Failure::Differs(..)) = found {
        // Whatever cannot be removed would be found wrong again.
        let _ = std::fs::remove_file(path);
        let blobs = local.blob_path("");
        if content.parent() == Some(blobs.as_path()) || content.starts_with(&blobs) {
            let _ = std::fs::remove_file(&content);
        }
    }
    found
}

fn compare(content: &Path, size: u64) -> Result<(), Failure> {
    let found = content.metadata().map_err(Failure::Io)?.len();
    if found != size {
        return Err(Failure::Differs(
            format!("{size} bytes"),
            format!("{found} bytes"),
        ));
    }
    let name = content.file_name().unwrap_or_default().to_string_lossy();
    if name.len() != DIGITS || !name.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(());
    }
    let found = sha256(content).map_err(Failure::Io)?;
    if found.eq_ignore_ascii_case(&name) {
        Ok(())
    } else {
        let told = |digits: &str| format!("SHA-256 {digits}");
        Err(Failure::Differs(told(&name), told(&found)))
    }
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hash.update(&buffer[..n]),
        }
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// How far a file is, on a terminal; and how large it will be.
struct Bar {
    bar: ProgressBar,
    size: Rc<Cell<u64>>,
}

impl Progress for Bar {
    fn init(&mut self, size: usize, name: &str) {
        self.size.set(size as u64);
        self.bar.set_length(size as u64);
        self.bar.set_position(0);
        self.bar.set_message(name.to_owned());
        let style = "{bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left, {msg}";
        self.bar
            .set_style(ProgressStyle::with_template(style).expect("a template"));
    }

    fn update(&mut self, bytes: usize) {
        self.bar.inc(bytes as u64);
    }

    fn finish(&mut self) {
        self.bar.finish_and_clear();
    }
}
