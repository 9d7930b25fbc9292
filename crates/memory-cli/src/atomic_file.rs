//! Files that replace an existing file only once they are complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file that is written next to its target and renamed over it at the end, so
/// that readers see the old or the new file and never a partial one. Dropped
/// before [`finish`](Self::finish), it leaves nothing.
pub(crate) struct AtomicFile {
    to: BufWriter<File>,
    /// The rename to do at the end; `None` where the target is a device or a
    /// pipe, which is written to directly and never replaced.
    rename: Option<Rename>,
}

struct Rename {
    part: PathBuf,
    target: PathBuf,
    done: bool,
}

impl AtomicFile {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        // A symbolic link stays; the file it points to is replaced.
        let target = match path.canonicalize() {
            Ok(target) if !target.is_file() => {
                let file = OpenOptions::new().write(true).open(target)?;
                return Ok(Self {
                    to: BufWriter::new(file),
                    rename: None,
                });
            }
            Ok(target) => target,
            Err(_) => path.to_path_buf(),
        };
        let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut part = name.to_owned();
        part.push(format!(".{}.part", std::process::id()));
        let part = target.with_file_name(part);
        // Truncates what a killed process with the same id left.
        let file = File::create(&part)?;
        Ok(Self {
            to: BufWriter::new(file),
            rename: Some(Rename {
                part,
                target,
                done: false,
            }),
        })
    }

    /// Syncs the file to disk and renames it over its target.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.to.flush()?;
        if let Some(rename) = &mut self.rename {
            self.to.get_ref().sync_all()?;
            fs::rename(&rename.part, &rename.target)?;
            rename.done = true;
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

impl Drop for Rename {
    fn drop(&mut self) {
        if !self.done {
            // If it cannot be removed, its name says that it is partial.
            let _ = fs::remove_file(&self.part);
        }
    }
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
    fn symbolic_links_and_devices_are_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut new = AtomicFile::create(&link).unwrap();
        new.write_all(b"new").unwrap();
        new.finish().unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");

        let device = Path::new("/dev/null");
        let mut nowhere = AtomicFile::create(device).unwrap();
        nowhere.write_all(b"gone").unwrap();
        nowhere.finish().unwrap();
        assert!(!device.is_file(), "still a device");
    }

    #[test]
    fn directories_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(AtomicFile::create(folder.path()).is_err());
    }
}
