//! Replacing a file only when its successor is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file written beside the one it replaces, and put in its place at the end:
/// whoever reads the old one meanwhile, and whoever is left when this process
/// is killed, has a whole file. Dropped before the end, it leaves nothing.
pub(super) struct Replacement {
    to: BufWriter<File>,
    /// What is renamed to what; `None` where the target is no plain file (a
    /// device, a pipe), which is written as it is and never replaced.
    rename: Option<Rename>,
}

struct Rename {
    part: PathBuf,
    target: PathBuf,
    done: bool,
}

impl Replacement {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        // A link keeps pointing where it points; its target is replaced.
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
        // Truncates what a killed process of the same number left.
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

    /// Puts the file in its place, once the disk has all of it.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.to.flush()?;
        if let Some(rename) = &mut self.rename {
            self.to.get_ref().sync_all()?;
            fs::rename(&rename.part, &rename.target)?;
            rename.done = true;
        }
        Ok(())
    }
}

impl Write for Replacement {
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
            // What cannot be removed is a part, and is named so.
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
    fn the_old_file_stands_until_the_new_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        fs::write(&path, "old").unwrap();

        let mut dropped = Replacement::create(&path).unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["out.jsonl"], "no part is left");

        let mut whole = Replacement::create(&path).unwrap();
        whole.write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        whole.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(folder.path()), ["out.jsonl"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_a_device_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut new = Replacement::create(&link).unwrap();
        new.write_all(b"new").unwrap();
        new.finish().unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");

        let device = Path::new("/dev/null");
        let mut nowhere = Replacement::create(device).unwrap();
        nowhere.write_all(b"gone").unwrap();
        nowhere.finish().unwrap();
        assert!(!device.is_file(), "still a device");
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Replacement::create(folder.path()).is_err());
    }
}
