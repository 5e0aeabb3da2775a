//! A file mapped into memory, read-only.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

/// The bytes of a file, paged in by the operating system as they are touched.
#[derive(Debug)]
pub struct MappedFile {
    // An empty file cannot be mapped on every system.
    map: Option<memmap2::Mmap>,
}

impl MappedFile {
    /// Maps the file at `path`. Fails as opening and mapping do.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                "is a folder, not a file",
            ));
        }
        if metadata.len() == 0 {
            return Ok(Self { map: None });
        }
        // SAFETY: the map is read-only and private to this value. As with every memory map, another process that
        // truncates the file meanwhile would fault us; the project itself replaces files by rename, never in place.
        #[expect(unsafe_code, reason = "the one memory map of the project")]
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self { map: Some(map) })
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&[])
    }
}
