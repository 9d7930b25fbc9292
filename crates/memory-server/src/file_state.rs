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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_and_one_that_is_missing_have_other_states() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert_eq!(FileState::of(&path), None);
        fs::write(&path, "one").unwrap();
        let before = FileState::of(&path);
        assert!(before.is_some());
        assert_eq!(FileState::of(&path), before);
        fs::write(&path, "a longer one").unwrap();
        assert_ne!(FileState::of(&path), before);
    }
}
