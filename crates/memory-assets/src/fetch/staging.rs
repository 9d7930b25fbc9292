//! Where a setup works before anything is in its place.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::SetupError;
use super::lock::Lock;

const PREFIX: &str = ".setup-";

/// A folder of this setup's own inside the cache folder, so that its files move
/// to their place by renaming. Removed with all it holds when dropped.
#[derive(Debug)]
pub(super) struct Staging {
    folder: PathBuf,
}

impl Staging {
    /// Makes the folder, and sweeps away what killed setups left behind.
    pub(super) fn create(cache: &Path, lock: &Lock) -> Result<Self, SetupError> {
        if lock.is_exclusive() {
            sweep(cache);
        }
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let name = format!("{PREFIX}{}-{}", process::id(), time.as_nanos());
        let folder = cache.join(name);
        fs::create_dir(&folder).map_err(SetupError::disk("create", &folder))?;
        Ok(Self { folder })
    }

    /// The folder inside this one with that name, made if it is not there.
    pub(super) fn subfolder(&self, name: &str) -> Result<PathBuf, SetupError> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).map_err(SetupError::disk("create", &folder))?;
        Ok(folder)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now, the next setup sweeps away.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn sweep(cache: &Path) {
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            // Leftovers only cost room: failing to remove one is no failure.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
