//! Files that replace an existing file only once they are complete.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::own_files::resolve;

/// A file that is written next to its target and renamed over it at the end, so
/// that readers see the old or the new file and never a partial one. Dropped
/// before [`finish`](Self::finish), it leaves nothing.
///
/// Only the owner can read a new file; a replaced file keeps its mode.
pub(crate) struct AtomicFile {
    to: BufWriter<File>,
    /// The rename to do at the end; `None` where the target is a device or a
    /// pipe, which is written to directly and never replaced.
    rename: Option<PendingRename>,
}

impl AtomicFile {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        // Follows links, also those of /dev/fd that lead to no path.
        let existing = match fs::metadata(path) {
            Ok(existing) if existing.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(existing) if !existing.is_file() => {
                let file = OpenOptions::new().write(true).open(path)?;
                return Ok(Self {
                    to: BufWriter::new(file),
                    rename: None,
                });
            }
            Ok(existing) => Some(existing),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let rename = PendingRename::new(path)?;
        let file = rename.create_temporary()?;
        // Dropping the value removes the file if its mode cannot be set.
        let file = Self {
            to: BufWriter::new(file),
            rename: Some(rename),
        };
        if let Some(existing) = existing {
            keep_owner_and_mode(file.to.get_ref(), &existing)?;
        }
        Ok(file)
    }

    /// Whether the target is replaced, rather than written to directly.
    pub(crate) fn is_replacement(&self) -> bool {
        self.rename.is_some()
    }

    /// Syncs the file to disk and renames it over its target.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.to.flush()?;
        if let Some(rename) = &mut self.rename {
            self.to.get_ref().sync_all()?;
            rename.finish()?;
        }
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A temporary file next to its target. Dropped before
/// [`finish`](Self::finish), it is removed.
pub(crate) struct PendingRename {
    temporary: PathBuf,
    target: PathBuf,
    is_done: bool,
}

impl PendingRename {
    /// Chooses the path of a temporary file; creates nothing.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        // A symbolic link stays; the file it points to is replaced.
        let target = resolve(path);
        let ends_with_separator = path.to_string_lossy().ends_with(std::path::is_separator);
        if ends_with_separator || target.file_name().is_none() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the path does not name a file",
            ));
        }
        let number = uuid::Uuid::now_v7().simple();
        let temporary = target.with_file_name(format!(".memory-{number}.part"));
        Ok(Self {
            temporary,
            target,
            is_done: false,
        })
    }

    fn create_temporary(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.temporary)
    }

    /// Renames the temporary file over its target.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.target)?;
        self.is_done = true;
        // Some file systems cannot sync a folder; the file itself is synced.
        if let Some(folder) = self.target.parent() {
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(())
    }
}

impl Drop for PendingRename {
    fn drop(&mut self) {
        if !self.is_done {
            // If it cannot be removed, its name says that it is partial.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Gives a new file the owner and the permissions of the one it replaces. Where
/// the owner cannot be kept, only the new owner can use the file.
#[cfg(unix)]
fn keep_owner_and_mode(file: &File, existing: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let new = file.metadata()?;
    let mut mode = existing.mode() & 0o777;
    let is_same_owner = (new.uid(), new.gid()) == (existing.uid(), existing.gid());
    if !is_same_owner && fchown(file, Some(existing.uid()), Some(existing.gid())).is_err() {
        mode &= 0o700;
    }
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn keep_owner_and_mode(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn old_file_stays_until_new_one_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        fs::write(&path, "old").unwrap();

        let mut dropped = AtomicFile::create(&path).unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["out.jsonl"], "no part is left");

        let mut whole = AtomicFile::create(&path).unwrap();
        whole.write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        whole.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(folder.path()), ["out.jsonl"]);
    }

    #[cfg(unix)]
    #[test]
    fn modes_are_private_or_kept() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        AtomicFile::create(&path).unwrap().finish().unwrap();
        assert_eq!(mode(), 0o600);
        for kept in [0o600, 0o640, 0o644, 0o400] {
            fs::set_permissions(&path, fs::Permissions::from_mode(kept)).unwrap();
            AtomicFile::create(&path).unwrap().finish().unwrap();
            assert_eq!(mode(), kept, "{kept:o}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn symbolic_links_and_devices_are_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        std::os::unix::fs::symlink(&real, &link).unwrap();
        for content in ["first", "second"] {
            let mut new = AtomicFile::create(&link).unwrap();
            new.write_all(content.as_bytes()).unwrap();
            new.finish().unwrap();
            assert!(link.is_symlink());
            assert_eq!(fs::read_to_string(&real).unwrap(), content);
        }

        let device = Path::new("/dev/null");
        let mut nowhere = AtomicFile::create(device).unwrap();
        nowhere.write_all(b"gone").unwrap();
        nowhere.finish().unwrap();
        assert!(!device.is_file(), "still a device");
    }

    #[test]
    fn directories_and_paths_without_a_name_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(AtomicFile::create(folder.path()).is_err());
        assert!(AtomicFile::create(&folder.path().join("new/")).is_err());
        assert!(AtomicFile::create(Path::new("")).is_err());
        assert!(AtomicFile::create(&folder.path().join("no/folder")).is_err());
        assert_eq!(names(folder.path()), [""; 0]);
    }
}
