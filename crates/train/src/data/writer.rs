//! A shard on its way to disk, under a temporary name until it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::error::DataError;
use super::shards::Width;

/// Appends tokens to `.NAME.PID.tmp` in the shard's folder; removes that file if it is not finished.
pub(super) struct ShardWriter {
    file: BufWriter<File>,
    temporary: PathBuf,
    target: PathBuf,
    width: Width,
    len: u64,
    is_finished: bool,
}

impl ShardWriter {
    pub(super) fn create(target: PathBuf, width: Width) -> Result<Self, DataError> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let temporary = target.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&temporary);
        let file = BufWriter::new(file.map_err(DataError::write(&temporary))?);
        Ok(Self {
            file,
            temporary,
            target,
            width,
            len: 0,
            is_finished: false,
        })
    }

    /// Tokens so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn push(&mut self, ids: &[u32]) -> Result<(), DataError> {
        let written = ids.iter().try_for_each(|&id| match self.width {
            Width::Two => self.file.write_all(&(id as u16).to_le_bytes()),
            Width::Four => self.file.write_all(&id.to_le_bytes()),
        });
        written.map_err(DataError::write(&self.temporary))?;
        self.len += ids.len() as u64;
        Ok(())
    }

    /// Moves everything from token `from` on to the end of `other`.
    pub(super) fn move_tail(&mut self, from: u64, other: &mut Self) -> Result<(), DataError> {
        let moved = self.copy_tail(from, &mut other.file);
        moved.map_err(DataError::write(&self.temporary))?;
        other.len += self.len - from;
        self.len = from;
        Ok(())
    }

    fn copy_tail(&mut self, from: u64, other: &mut impl Write) -> io::Result<()> {
        let bytes = from * self.width.bytes() as u64;
        self.file.flush()?;
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(bytes))?;
        io::copy(file, other)?;
        file.set_len(bytes)?;
        file.seek(SeekFrom::Start(bytes))?;
        Ok(())
    }

    /// Makes sure that all bytes are on disk. [`publish`](Self::publish) then gives the file its name.
    pub(super) fn sync(&mut self) -> Result<(), DataError> {
        let synced = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(DataError::write(&self.temporary))
    }

    pub(super) fn publish(mut self) -> Result<(), DataError> {
        fs::rename(&self.temporary, &self.target).map_err(DataError::write(&self.target))?;
        self.is_finished = true;
        Ok(())
    }
}

impl Drop for ShardWriter {
    fn drop(&mut self) {
        if !self.is_finished {
            // We are here because of another error, which is the one to tell.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Removes `path`, which need not be there.
pub(super) fn remove(path: &Path) -> Result<(), DataError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DataError::Write {
            path: path.to_owned(),
            source: error,
        }),
        _ => Ok(()),
    }
}
