//! How a database is opened.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use memory_core::{ByteSize, MemoryError, MemoryResult};

use crate::url;

/// How a database is opened; make one from a path or a URL and change what you
/// know better.
///
/// ```
/// use std::time::Duration;
/// use memory_sqlite::SqliteOptions;
/// let options = SqliteOptions::new("agent.db").busy_timeout(Duration::from_secs(1));
/// assert_eq!(SqliteOptions::from_url("sqlite://agent.db")?, SqliteOptions::new("agent.db"));
/// # Ok::<(), memory_core::MemoryError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    pub(crate) location: Location,
    pub(crate) access: Access,
    pub(crate) busy_timeout: Duration,
    pub(crate) max_readers: NonZeroU32,
    pub(crate) synchronous: Synchronous,
    pub(crate) page_cache: ByteSize,
    pub(crate) max_size: Option<ByteSize>,
}

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    File(PathBuf),
    Memory,
}

/// What may be done to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Write, and create what is missing.
    Create,
    /// Write, but to an existing file only.
    Write,
    /// Read.
    Read,
}

/// What a write waits for before it is acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synchronous {
    /// Until the disk has it: an acknowledged write survives the end of the
    /// process, of the system and of the power.
    #[default]
    Full,
    /// Until the system has it: an acknowledged write survives the end of the
    /// process, but the last writes before a power failure or a crash of the
    /// system may be gone. The file stays whole. Commits are several times
    /// faster on disks with a slow flush.
    Normal,
}

impl SqliteOptions {
    /// How long a call waits for a lock that another process holds.
    pub const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
    /// How much of the database each connection keeps in memory.
    pub const DEFAULT_PAGE_CACHE: ByteSize = ByteSize::mebibytes(16);
    /// The most connections for reading, where the machine has that many cores.
    const MOST_DEFAULT_READERS: u32 = 4;

    /// A database in a file, created when it is missing.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::at(Location::File(path.into()))
    }

    /// A database of this store alone, gone when the store is.
    ///
    /// It has one connection, so reads wait for writes and for each other.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::at(Location::Memory)
    }

    /// Reads a URL or a plain path.
    ///
    /// | text | means |
    /// |---|---|
    /// | `agent.db`, `/data/agent.db` | a file, taken as it is written |
    /// | `sqlite://agent.db`, `sqlite:agent.db` | a file beside |
    /// | `sqlite:///data/agent.db` | a file by its whole path |
    /// | `sqlite::memory:`, `:memory:` | a database in memory |
    /// | `sqlite://agent.db?mode=ro` | only read; also `rw` (never create), `rwc` (the default), `memory` |
    ///
    /// In a URL, `%20` and the like stand for the bytes they name.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] for another scheme, a parameter or mode
    /// that does not exist, or a URL without a path.
    pub fn from_url(url: &str) -> MemoryResult<Self> {
        let parsed = url::parse(url)?;
        let mut options = Self::at(parsed.location);
        options.access = parsed.access;
        Ok(options)
    }

    fn at(location: Location) -> Self {
        let cores = std::thread::available_parallelism()
            .ok()
            .and_then(|cores| NonZeroU32::try_from(cores).ok())
            .unwrap_or(NonZeroU32::MIN);
        let most = NonZeroU32::new(Self::MOST_DEFAULT_READERS).unwrap_or(NonZeroU32::MIN);
        Self {
            location,
            access: Access::Create,
            busy_timeout: Self::DEFAULT_BUSY_TIMEOUT,
            max_readers: cores.min(most),
            synchronous: Synchronous::default(),
            page_cache: Self::DEFAULT_PAGE_CACHE,
            max_size: None,
        }
    }

    /// Opens an existing file only; without it, opening answers with
    /// [`ErrorKind::Missing`](memory_core::ErrorKind::Missing).
    #[must_use]
    pub fn existing_only(mut self) -> Self {
        if self.access == Access::Create {
            self.access = Access::Write;
        }
        self
    }

    /// Opens an existing file for reading only: writes answer with
    /// [`ErrorKind::ReadOnly`](memory_core::ErrorKind::ReadOnly).
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.access = Access::Read;
        self
    }

    /// How long a call waits for a lock that another connection or process
    /// holds, before it answers with
    /// [`ErrorKind::Unavailable`](memory_core::ErrorKind::Unavailable).
    /// Five seconds by default.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// The most connections for reading at the same time; one for each core up
    /// to four by default. There is always one more, for writing.
    #[must_use]
    pub fn max_readers(mut self, readers: NonZeroU32) -> Self {
        self.max_readers = readers;
        self
    }

    /// What a write waits for before it is acknowledged.
    #[must_use]
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// How much of the database each connection keeps in memory; 16 MiB by
    /// default.
    #[must_use]
    pub fn page_cache(mut self, bytes: ByteSize) -> Self {
        self.page_cache = bytes;
        self
    }

    /// The most that the database file may grow to; a write beyond answers
    /// with [`ErrorKind::Full`](memory_core::ErrorKind::Full) and writes
    /// nothing. No bound by default. Rounded to whole pages; a file that is
    /// larger already does not grow further.
    #[must_use]
    pub fn max_size(mut self, bytes: ByteSize) -> Self {
        self.max_size = Some(bytes);
        self
    }

    /// Checks what the types leave open.
    pub(crate) fn validate(&self) -> MemoryResult<()> {
        // SQLite counts the time-out in milliseconds, as a 32-bit number.
        if i32::try_from(self.busy_timeout.as_millis()).is_err() {
            return Err(MemoryError::configuration(format!(
                "the busy timeout is {:?}; it must be under 24 days",
                self.busy_timeout
            )));
        }
        if self.location == Location::Memory && self.access == Access::Read {
            return Err(MemoryError::configuration(
                "a database in memory cannot be opened for reading only",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_only_is_not_undone_by_asking_for_an_existing_file() {
        let options = SqliteOptions::new("a.db").read_only().existing_only();
        assert_eq!(options.access, Access::Read);
        assert_eq!(
            SqliteOptions::new("a.db").existing_only().access,
            Access::Write
        );
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let endless = SqliteOptions::new("a.db").busy_timeout(Duration::MAX);
        assert!(endless.validate().is_err());
        assert!(SqliteOptions::in_memory().read_only().validate().is_err());
        assert!(SqliteOptions::in_memory().validate().is_ok());
    }
}
