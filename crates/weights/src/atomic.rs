//! Files and folders that appear whole or not at all: temporary name, fsync, rename.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path` so that a reader, or a crash at any moment, sees the old file or the new one.
pub fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = sibling(path, "tmp");
    let result = write_synced(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if result.is_err() {
        // The write's own error is the one to tell; a leftover temporary file harms nobody.
        let _ = fs::remove_file(&temporary);
        return result;
    }
    sync_folder(path.parent())
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
    use super::{write_file, write_folder};
    use std::fs;
    use std::io;

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
}
