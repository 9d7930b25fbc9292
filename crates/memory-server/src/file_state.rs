//! Whether a file is still what was read from it.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// What changes when a file is written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileState {
    modified: SystemTime,
    length: u64,
    /// The file and the last change of any kind: a file that replaces another one may have
    /// its time and its length.
    #[cfg(unix)]
    identity: [i64; 3],
}

impl FileState {
    /// The state of the file at `path`; `None` for one that cannot be looked at. It is
    /// taken before the file is read, so that a change in between is noticed.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;

        let file = fs::metadata(path).ok()?;
        Some(Self {
            modified: file.modified().ok()?,
            length: file.len(),
            #[cfg(unix)]
            identity: [file.ino().cast_signed(), file.ctime(), file.ctime_nsec()],
        })
    }
}

/// Whether an open file is the one at `path`, which an editor may have replaced.
pub(crate) fn is_at(file: &fs::File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let (open, there) = (file.metadata(), fs::metadata(path));
        open.map(identity).ok() == there.map(identity).ok()
    }
    #[cfg(not(unix))]
    {
        // An open file cannot be replaced.
        let _ = (file, path);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_file_that_was_replaced_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("file"), folder.path().join("other"));
        let file = fs::File::create(&path).unwrap();
        assert!(is_at(&file, &path));
        if cfg!(unix) {
            fs::write(&other, "").unwrap();
            fs::rename(&other, &path).unwrap();
            assert!(!is_at(&file, &path));
        }
    }

    #[test]
    fn a_file_that_replaces_another_is_noticed_whatever_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert_eq!(FileState::of(&path), None);
        fs::write(&path, "one").unwrap();
        let before = FileState::of(&path).unwrap();
        assert_eq!(FileState::of(&path), Some(before));
        let other = folder.path().join("other");
        for text in ["a longer one", "two"] {
            fs::write(&other, text).unwrap();
            let file = fs::File::options().write(true).open(&other).unwrap();
            file.set_modified(before.modified).unwrap();
            if cfg!(unix) || text.len() != 3 {
                fs::rename(&other, &path).unwrap();
                let after = FileState::of(&path).unwrap();
                assert_eq!(after.modified, before.modified);
                assert_ne!(after, before, "{text}");
            }
        }
    }
}
