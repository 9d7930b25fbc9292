//! Detecting commits of any process by reading the header of the WAL index.
//!
//! The WAL index is the file `<database>-shm`, which every process on the
//! database maps into its memory. Its first 136 bytes are documented in
//! <https://sqlite.org/walformat.html>: two copies of a header of 48 bytes with
//! a counter of transactions, the number of the last valid frame, the checksum
//! of the frames and the salts of the log. Each commit writes it before it
//! returns. The file is read with `pread`, which sees what others mapped, and
//! nothing of it is ever written or locked.
//!
//! Closing any descriptor of a file releases all POSIX locks that the process
//! has on it, and SQLite keeps its locks on this file. So a descriptor is opened
//! once for each file and process, and closed only after SQLite has deleted the
//! file, which it does when the last connection closes.

#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(crate) use self::shared_memory::WalIndex;
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(crate) use self::unsupported::WalIndex;

/// The size of a file; 0 without one.
fn file_bytes(path: &std::path::Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod shared_memory {
    use std::collections::HashMap;
    use std::collections::hash_map::Entry;
    use std::fs::{self, File};
    use std::mem;
    use std::os::unix::fs::{FileExt, MetadataExt};
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex, PoisonError, RwLock};

    use memory_core::ChangeMarker;

    use super::file_bytes;
    use crate::open::inspect::{is_linked, with_suffix};

    /// Bytes of one copy of the header.
    const HEADER_BYTES: usize = 48;

    /// The offset of the byte that says whether the header was initialized.
    const IS_INITIALIZED: usize = 12;

    /// Bytes of the header that its checksum covers.
    const CHECKED_BYTES: usize = 40;

    /// Bytes of the log before each page.
    const FRAME_HEADER_BYTES: u64 = 24;

    /// One copy of the header.
    type Words = [u64; HEADER_BYTES / 8];

    /// Descriptors by device and inode.
    type OpenFiles = HashMap<(u64, u64), Arc<File>>;

    /// Every WAL index that this process has opened.
    static OPEN_FILES: Mutex<Option<OpenFiles>> = Mutex::new(None);

    /// The WAL index of one database.
    #[derive(Debug)]
    pub(crate) struct WalIndex {
        path: PathBuf,
        log: PathBuf,
        file: RwLock<Option<Arc<File>>>,
    }

    impl WalIndex {
        pub(crate) fn new(database: &Path) -> Self {
            close_deleted();
            Self {
                path: with_suffix(database, "-shm"),
                log: with_suffix(database, "-wal"),
                file: RwLock::new(None),
            }
        }

        /// A value that changes with every commit; `None` where the index
        /// cannot be read, or is being written at this moment.
        pub(crate) fn read(&self) -> Option<ChangeMarker> {
            self.read_words().map(ChangeMarker::new)
        }

        fn read_words(&self) -> Option<Words> {
            let current = self.file.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(file) = current.as_ref().filter(|file| is_linked(file)) {
                return read_header(file);
            }
            drop(current);
            // The first read, or the index was deleted and created again.
            let file = open_once(&self.path)?;
            let words = read_header(&file);
            let mut current = self.file.write().unwrap_or_else(PoisonError::into_inner);
            *current = Some(file);
            words
        }

        /// As [`read`](Self::read), with a number that every commit raises by one.
        pub(crate) fn read_numbered(&self) -> Option<(ChangeMarker, u32)> {
            let words = self.read_words()?;
            Some((ChangeMarker::new(words), commit_number(&words)))
        }

        /// Bytes of the log that are in use, of which a part may be copied to the main
        /// file already; all of its bytes where the index cannot be read.
        pub(crate) fn log_bytes(&self) -> u64 {
            match self.read_words() {
                Some(words) => log_bytes(&words),
                None => file_bytes(&self.log),
            }
        }

        /// Stops using the descriptor. It is closed once SQLite has deleted the
        /// file.
        pub(crate) fn release(&self) {
            let mut current = self.file.write().unwrap_or_else(PoisonError::into_inner);
            *current = None;
            close_deleted();
        }
    }

    /// Opens the file, or returns the descriptor that this process has of it.
    fn open_once(path: &Path) -> Option<Arc<File>> {
        let mut files = OPEN_FILES.lock().unwrap_or_else(PoisonError::into_inner);
        let files = files.get_or_insert_default();
        let metadata = fs::metadata(path).ok()?;
        if let Some(file) = files.get(&(metadata.dev(), metadata.ino())) {
            return is_linked(file).then(|| Arc::clone(file));
        }
        let file = File::open(path).ok()?;
        // The path may name another file by now, perhaps a known one. Then the
        // new descriptor must stay open as well, for SQLite's locks.
        let Ok(metadata) = file.metadata() else {
            mem::forget(file);
            return None;
        };
        match files.entry((metadata.dev(), metadata.ino())) {
            Entry::Occupied(known) => {
                mem::forget(file);
                Some(Arc::clone(known.get()))
            }
            Entry::Vacant(unknown) => Some(Arc::clone(unknown.insert(Arc::new(file)))),
        }
    }

    fn close_deleted() {
        let mut files = OPEN_FILES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(files) = files.as_mut() {
            files.retain(|_, file| is_linked(file));
        }
    }

    /// Reads the header, if both copies agree and the checksum is right.
    fn read_header(file: &File) -> Option<Words> {
        let mut bytes = [0; 2 * HEADER_BYTES];
        file.read_exact_at(&mut bytes, 0).ok()?;
        decode(&bytes)
    }

    fn decode(bytes: &[u8; 2 * HEADER_BYTES]) -> Option<Words> {
        let (first, second) = bytes.split_at(HEADER_BYTES);
        if first != second || first[IS_INITIALIZED] == 0 {
            return None;
        }
        let (words, _) = first.as_chunks::<8>();
        let words: [[u8; 8]; HEADER_BYTES / 8] = words.try_into().ok()?;
        let is_valid = checksum(&first[..CHECKED_BYTES]) == words[5];
        is_valid.then(|| words.map(u64::from_ne_bytes))
    }

    /// The counter of transactions, at offset 8.
    fn commit_number(words: &Words) -> u32 {
        let [one, two, three, four, ..] = words[1].to_ne_bytes();
        u32::from_ne_bytes([one, two, three, four])
    }

    /// Bytes of the frames that a header counts: at offset 14 is the size of a page, 1
    /// for 65,536, and at 16 the number of frames.
    fn log_bytes(words: &Words) -> u64 {
        let [.., low, high] = words[1].to_ne_bytes();
        let page = match u16::from_ne_bytes([low, high]) {
            1 => 65_536,
            bytes => u64::from(bytes),
        };
        let [one, two, three, four, ..] = words[2].to_ne_bytes();
        let frames = u32::from_ne_bytes([one, two, three, four]);
        u64::from(frames) * (FRAME_HEADER_BYTES + page)
    }

    /// SQLite's checksum of the WAL index, in the byte order of the machine.
    fn checksum(bytes: &[u8]) -> [u8; 8] {
        let (words, _) = bytes.as_chunks::<4>();
        let (mut first, mut second) = (0u32, 0u32);
        for pair in words.chunks_exact(2) {
            first = first
                .wrapping_add(u32::from_ne_bytes(pair[0]))
                .wrapping_add(second);
            second = second
                .wrapping_add(u32::from_ne_bytes(pair[1]))
                .wrapping_add(first);
        }
        let mut sum = [0; 8];
        sum[..4].copy_from_slice(&first.to_ne_bytes());
        sum[4..].copy_from_slice(&second.to_ne_bytes());
        sum
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "macos")))]
mod tests {
    use memory_testkit::{SeededRng, fixtures};

    use super::*;
    use crate::open::connection;
    use crate::operations::insert::Insert;
    use crate::options::SqliteOptions;
    use crate::wal::own_commits::Origin;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_index_knows_the_size_of_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.db");
        let database = connection::open(&SqliteOptions::new(&path)).await.unwrap();
        let batch = fixtures::varied_memories(&"mira".into(), 500, &mut SeededRng::new(1));
        let insert = Insert::unlimited(batch, None);
        database.insert(insert, Origin::Others).await.unwrap();
        let bytes = WalIndex::new(&path).log_bytes();
        let log = std::fs::metadata(folder.path().join("agent.db-wal")).unwrap();
        // The file has a header of 32 bytes, and may have frames of before.
        assert!(
            bytes > 8_192 && bytes + 32 <= log.len(),
            "{bytes} of {}",
            log.len()
        );
        assert_eq!(bytes % (24 + 8_192), 0);
        database.close().await;
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod unsupported {
    use std::path::{Path, PathBuf};

    use memory_core::ChangeMarker;

    use super::file_bytes;
    use crate::open::inspect::with_suffix;

    /// The WAL index of one database, which is not read on this platform.
    #[derive(Debug)]
    pub(crate) struct WalIndex {
        log: PathBuf,
    }

    impl WalIndex {
        pub(crate) fn new(database: &Path) -> Self {
            Self {
                log: with_suffix(database, "-wal"),
            }
        }

        pub(crate) fn read(&self) -> Option<ChangeMarker> {
            None
        }

        pub(crate) fn read_numbered(&self) -> Option<(ChangeMarker, u32)> {
            None
        }

        /// Bytes of the log, of which a part may not be in use.
        pub(crate) fn log_bytes(&self) -> u64 {
            file_bytes(&self.log)
        }

        pub(crate) fn release(&self) {}
    }
}
