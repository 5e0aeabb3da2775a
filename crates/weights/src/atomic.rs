//! Files and folders that appear whole or not at all: temporary name, fsync, rename.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file that is written bit by bit and takes its place, whole, when it is [committed](Self::commit).
///
/// Until then, and if it is dropped before, a reader of the path sees what was there.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    temporary: PathBuf,
    /// None once committed.
    out: Option<BufWriter<File>>,
}

impl NewFile {
    /// Begins a file beside `path`.
    pub fn create(path: &Path) -> io::Result<Self> {
        let temporary = sibling(path, "tmp");
        let out = Some(BufWriter::with_capacity(1 << 16, File::create(&temporary)?));
        Ok(Self {
            path: path.to_owned(),
            temporary,
            out,
        })
    }

    /// Brings everything to disk and renames the file to its path.
    pub fn commit(mut self) -> io::Result<()> {
        if let Some(mut out) = self.out.take() {
            let synced = out.flush().and_then(|()| out.get_ref().sync_all());
            drop(out);
            let renamed = synced.and_then(|()| fs::rename(&self.temporary, &self.path));
            if renamed.is_err() {
                self.remove();
                return renamed;
            }
        }
        sync_folder(self.path.parent())
    }

    fn remove(&self) {
        // The write's own error is the one to tell; a leftover temporary file harms nobody.
        let _ = fs::remove_file(&self.temporary);
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.as_mut().map_or(Ok(0), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.out.take().is_some() {
            self.remove();
        }
    }
}

/// Writes `bytes` to `path` so that a reader, or a crash at any moment, sees the old file or the new one.
pub fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = NewFile::create(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Fills a folder through `write` under a temporary name and then renames it to `path`, which must not exist.
pub fn write_folder(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let temporary = sibling(path, "tmp");
    if temporary.exists() {
        fs::remove_dir_all(&temporary)?;
    }
    let result = fs::create_dir_all(&temporary)
        .and_then(|()| write(&temporary))
        .and_then(|()| sync_folder(Some(&temporary)))
        .and_then(|()| fs::rename(&temporary, path));
    if result.is_err() {
        let _ = fs::remove_dir_all(&temporary);
        return result;
    }
    sync_folder(path.parent())
}

/// Writes and fsyncs a file in place; for use inside [`write_folder`].
pub fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// `name` → `.name.tmp`, beside it (a rename must stay on one file system).
fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{suffix}"))
}

/// A rename is durable only once its folder is on disk too. Not every system lets a folder be opened.
fn sync_folder(folder: Option<&Path>) -> io::Result<()> {
    let folder = folder
        .filter(|f| !f.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{NewFile, write_file, write_folder};
    use std::fs;
    use std::io::{self, Write};

    #[test]
    fn a_failed_folder_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("checkpoint");
        let failure = write_folder(&target, |folder| {
            fs::write(folder.join("half"), b"x")?;
            Err(io::Error::other("disk full"))
        });
        assert_eq!(failure.unwrap_err().to_string(), "disk full");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.json");
        write_file(&path, b"one").unwrap();
        write_file(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_given_up_leaves_what_was_there() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.json");
        write_file(&path, b"old").unwrap();
        let mut file = NewFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
