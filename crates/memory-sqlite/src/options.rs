//! Options for opening a database.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use memory_core::{BackupOptions, ByteSize, ErrorKind, Language, MemoryError, MemoryResult};

use crate::open::connection;
use crate::url;

/// Options for opening a database, from a path or a URL.
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
    pub(crate) migrate: bool,
    pub(crate) schema: RequiredSchema,
    pub(crate) busy_timeout: Duration,
    pub(crate) max_readers: NonZeroU32,
    pub(crate) synchronous: Synchronous,
    pub(crate) cache_size: ByteSize,
    pub(crate) max_size: Option<ByteSize>,
    pub(crate) language: Option<Language>,
}

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    File(PathBuf),
    Memory,
}

/// Which schemas of an existing file are accepted, where none is migrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequiredSchema {
    /// This program's.
    Current,
    /// This program's and every earlier one.
    CurrentOrOlder,
}

/// How the file may be accessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read and write; create the file if it is missing.
    Create,
    /// Read and write an existing file.
    Write,
    /// Read an existing file.
    Read,
}

/// When a write is acknowledged: SQLite's `synchronous` setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synchronous {
    /// After it was flushed to disk: an acknowledged write survives a crash of
    /// the process or the system, and a power failure.
    #[default]
    Full,
    /// After it was passed to the operating system: an acknowledged write
    /// survives a crash of the process, but the last writes before a power
    /// failure or a crash of the system may be lost. The file stays consistent.
    /// Commits are several times faster on disks with a slow flush.
    Normal,
}

impl SqliteOptions {
    /// How long a call waits for a lock that another process holds.
    pub const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
    /// How much of the database each connection caches in memory.
    pub const DEFAULT_CACHE_SIZE: ByteSize = ByteSize::mebibytes(16);
    /// The largest default number of connections for reading.
    const MAX_DEFAULT_READERS: u32 = 4;

    /// A database in a file, created when it is missing.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::at(Location::File(path.into()))
    }

    /// A database in memory, private to this store and dropped with it.
    ///
    /// It has one connection, so reads wait for writes and for each other.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::at(Location::Memory)
    }

    /// Parses a URL or a plain path.
    ///
    /// | text | meaning |
    /// |---|---|
    /// | `agent.db`, `/data/agent.db` | a file, the path taken literally |
    /// | `sqlite://agent.db`, `sqlite:agent.db` | a file, by a relative path |
    /// | `sqlite:///data/agent.db` | a file, by an absolute path |
    /// | `sqlite::memory:`, `:memory:` | a database in memory |
    /// | `sqlite://agent.db?mode=ro` | read only; also `rw` (never create), `rwc` (the default), `memory` |
    ///
    /// The path in a URL is percent-decoded.
    ///
    /// # Errors
    /// [`MemoryError::Configuration`] for another scheme, an unknown
    /// parameter or mode, or a URL without a path.
    pub fn from_url(url: &str) -> MemoryResult<Self> {
        let parsed = url::parse(url)?;
        let mut options = Self::at(parsed.location);
        options.access = parsed.access;
        Ok(options)
    }

    /// The database's file; `None` for a database in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.location {
            Location::File(path) => Some(path),
            Location::Memory => None,
        }
    }

    fn at(location: Location) -> Self {
        let cores = std::thread::available_parallelism()
            .ok()
            .and_then(|cores| NonZeroU32::try_from(cores).ok())
            .unwrap_or(NonZeroU32::MIN);
        // One more than a load of a large entity keeps for seconds.
        let min = NonZeroU32::MIN.saturating_add(1);
        let max = NonZeroU32::new(Self::MAX_DEFAULT_READERS).unwrap_or(min);
        Self {
            location,
            access: Access::Create,
            migrate: true,
            schema: RequiredSchema::Current,
            busy_timeout: Self::DEFAULT_BUSY_TIMEOUT,
            max_readers: cores.clamp(min, max),
            synchronous: Synchronous::default(),
            cache_size: Self::DEFAULT_CACHE_SIZE,
            max_size: None,
            language: None,
        }
    }

    /// Whether opening creates a file that is missing (the default), or returns
    /// [`ErrorKind::Missing`](memory_core::ErrorKind::Missing).
    ///
    /// A database that is opened for reading only is never created.
    #[must_use]
    pub fn create_if_missing(mut self, create: bool) -> Self {
        self.access = match (self.access, create) {
            (Access::Read, _) => Access::Read,
            (_, true) => Access::Create,
            (_, false) => Access::Write,
        };
        self
    }

    /// Opens an existing file for reading only: writes return
    /// [`ErrorKind::ReadOnly`](memory_core::ErrorKind::ReadOnly).
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.access = Access::Read;
        self
    }

    /// Whether opening a file for writing applies missing migrations (the
    /// default). Without, a file of an older schema is refused with
    /// [`ErrorKind::ReadOnly`](memory_core::ErrorKind::ReadOnly) and an empty one
    /// with [`ErrorKind::Missing`](memory_core::ErrorKind::Missing), and neither
    /// is changed: for programs that mostly read, but write access counts. Nor does such a
    /// store convert words of an older analysis of texts in the background, or begin to:
    /// searches read the texts of what is not converted (see
    /// [`SqliteStore::conversion_progress`](crate::SqliteStore::conversion_progress)).
    #[must_use]
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// Copies the database to a new file, as
    /// [`Store::backup`](memory_core::Store::backup) does, without opening a
    /// store: a file of an older schema is copied as it is, and not migrated.
    ///
    /// # Errors
    /// As [`SqliteStore::open_with`](crate::SqliteStore::open_with) and
    /// [`Store::backup`](memory_core::Store::backup); and
    /// [`MemoryError::Configuration`] for a database in memory, which only the
    /// store that has it can copy.
    pub async fn backup(
        &self,
        target: impl AsRef<Path>,
        options: &BackupOptions,
    ) -> MemoryResult<()> {
        if self.location == Location::Memory {
            return Err(MemoryError::configuration(
                "a database in memory can be copied only by the store that has it; call its backup",
            ));
        }
        let mut source = self.clone().create_if_missing(false).migrate(false);
        source.schema = RequiredSchema::CurrentOrOlder;
        let opened = match connection::open(&source).await {
            Err(error) if error.kind() == ErrorKind::ReadOnly => {
                connection::open(&source.read_only()).await
            }
            opened => opened,
        };
        let database = opened?;
        let copied = database.backup(target.as_ref(), options).await;
        database.close().await;
        copied
    }

    /// How long a call waits for a lock that another connection or process
    /// holds, before it returns
    /// [`ErrorKind::Unavailable`](memory_core::ErrorKind::Unavailable).
    /// Five seconds by default.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// The most connections for reading at the same time; one for each core, two at
    /// least and four at most, by default. There is always one more, for writing. With
    /// one, searches wait while the snapshot of a large entity is read.
    #[must_use]
    pub fn max_readers(mut self, readers: NonZeroU32) -> Self {
        self.max_readers = readers;
        self
    }

    /// When a write is acknowledged; [`Synchronous::Full`] by default.
    #[must_use]
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// How much of the database each connection caches in memory; 16 MiB by
    /// default.
    #[must_use]
    pub fn cache_size(mut self, bytes: ByteSize) -> Self {
        self.cache_size = bytes;
        self
    }

    /// The maximum size of the database file; a write beyond it returns
    /// [`ErrorKind::Full`](memory_core::ErrorKind::Full) and writes nothing.
    /// Unlimited by default. Rounded down to whole pages; a file that is larger
    /// already does not grow further.
    ///
    /// What is derived from large entities counts as well: search pages, about a fifth of
    /// what their rows take, and snapshot pages, about half. The latter are written only
    /// while three quarters of the size are not used.
    #[must_use]
    pub fn max_size(mut self, bytes: ByteSize) -> Self {
        self.max_size = Some(bytes);
        self
    }

    /// The language of the texts, where it is known: see
    /// [`MemoryConfig::language`](memory_core::MemoryConfig::language), which has to be
    /// the same. `None`, the default, detects it in each text.
    #[must_use]
    pub fn language(mut self, language: Option<Language>) -> Self {
        self.language = language;
        self
    }

    /// Checks values that the types cannot exclude.
    pub(crate) fn validate(&self) -> MemoryResult<()> {
        // SQLite stores the timeout as milliseconds in 32 bits.
        if i32::try_from(self.busy_timeout.as_millis()).is_err() {
            return Err(MemoryError::configuration(format!(
                "the busy timeout {:?} is too long; it must be under 24 days",
                self.busy_timeout
            )));
        }
        if self.location == Location::Memory && self.access == Access::Read {
            return Err(MemoryError::configuration(
                "a database in memory cannot be opened for reading only; remove read_only() or mode=ro",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn create_if_missing_does_not_change_reading_only() {
        for create in [true, false] {
            let options = SqliteOptions::new("a.db").read_only();
            let options = options.create_if_missing(create);
            assert_eq!(options.access, Access::Read);
        }
        assert_eq!(
            SqliteOptions::new("a.db").create_if_missing(false).access,
            Access::Write
        );
    }

    #[test]
    fn path_is_the_decoded_file_of_a_url() {
        for (url, path) in [
            ("agent.db", Some("agent.db")),
            ("SQLite:///data/a%20b.db?mode=ro", Some("/data/a b.db")),
            (":memory:", None),
            ("sqlite://agent.db?mode=memory", None),
        ] {
            let options = SqliteOptions::from_url(url).unwrap();
            assert_eq!(options.path(), path.map(Path::new), "{url}");
        }
    }

    #[test]
    fn invalid_options_are_refused() {
        let too_long = SqliteOptions::new("a.db").busy_timeout(Duration::MAX);
        assert!(too_long.validate().is_err());
        assert!(SqliteOptions::in_memory().read_only().validate().is_err());
        assert!(SqliteOptions::in_memory().validate().is_ok());
    }
}
