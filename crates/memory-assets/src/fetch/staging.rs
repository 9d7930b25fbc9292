//! The working area of a setup inside the cache directory: a lock and a temporary
//! folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::SetupError;
use super::event::Event;

const LOCK_FILE: &str = ".setup.lock";

const PREFIX: &str = ".setup-";

/// Held while a setup writes. The operating system releases it when the process
/// ends, so a killed setup never blocks the next one.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
    exclusive: bool,
}

impl Lock {
    /// Waits for any other setup of the same cache directory, and reports it.
    pub(super) fn acquire(
        cache: &Path,
        report: &mut dyn FnMut(Event<'_>),
    ) -> Result<Self, SetupError> {
        fs::create_dir_all(cache).map_err(SetupError::disk("create", cache))?;
        let path = cache.join(LOCK_FILE);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(SetupError::disk("open", &path))?;
        let locked = match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                report(Event::Waiting { cache });
                file.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        // Some network file systems have no locks. Two setups then do the same
        // work in separate folders and rename identical files.
        Ok(Self {
            _file: file,
            exclusive: locked.is_ok(),
        })
    }

    /// Whether no other setup can be running in the cache directory.
    pub(super) fn is_exclusive(&self) -> bool {
        self.exclusive
    }
}

/// A folder of this setup inside the cache directory, so that its files can be
/// installed by renaming. Removed with its contents when dropped.
#[derive(Debug)]
pub(super) struct Staging {
    folder: PathBuf,
}

impl Staging {
    /// Creates the folder, and removes those of killed setups.
    pub(super) fn create(cache: &Path, lock: &Lock) -> Result<Self, SetupError> {
        if lock.is_exclusive() {
            remove_leftovers(cache);
        }
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let name = format!("{PREFIX}{}-{}", process::id(), time.as_nanos());
        let folder = cache.join(name);
        fs::create_dir(&folder).map_err(SetupError::disk("create", &folder))?;
        Ok(Self { folder })
    }

    /// The subfolder of that name, created if it does not exist.
    pub(super) fn subfolder(&self, name: &str) -> Result<PathBuf, SetupError> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).map_err(SetupError::disk("create", &folder))?;
        Ok(folder)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now, the next setup removes.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn remove_leftovers(cache: &Path) {
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            // Leftovers only take space, so a failed removal is ignored.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
