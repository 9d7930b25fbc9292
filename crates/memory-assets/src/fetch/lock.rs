//! One setup at a time in a cache folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;

use super::error::SetupError;
use super::event::Event;

const LOCK_FILE: &str = ".setup.lock";

/// Held while a setup writes. The system lets go of it when the process ends,
/// however it ends, so a killed setup never locks out the next one.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
    exclusive: bool,
}

impl Lock {
    /// Waits for any other setup of the same cache folder, and says so.
    pub(super) fn take(
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
        // Some network filesystems have no locks. Two setups then do the same
        // work twice, each in a folder of its own, and the renames agree.
        Ok(Self {
            _file: file,
            exclusive: locked.is_ok(),
        })
    }

    /// Whether no other setup can be at work in the cache folder.
    pub(super) fn is_exclusive(&self) -> bool {
        self.exclusive
    }
}
