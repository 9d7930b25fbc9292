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

    use crate::inspect::with_suffix;

    /// Bytes of one copy of the header.
    const HEADER_BYTES: usize = 48;

    /// The offset of the byte that says whether the header was initialized.
    const IS_INITIALIZED: usize = 12;

    /// Bytes of the header that its checksum covers.
    const CHECKED_BYTES: usize = 40;

    /// Descriptors by device and inode.
    type OpenFiles = HashMap<(u64, u64), Arc<File>>;

    /// Every WAL index that this process has opened.
    static OPEN_FILES: Mutex<Option<OpenFiles>> = Mutex::new(None);

    /// The WAL index of one database.
    #[derive(Debug)]
    pub(crate) struct WalIndex {
        path: PathBuf,
        file: RwLock<Option<Arc<File>>>,
    }

    impl WalIndex {
        pub(crate) fn new(database: &Path) -> Self {
            close_deleted();
            Self {
                path: with_suffix(database, "-shm"),
                file: RwLock::new(None),
            }
        }

        /// A value that changes with every commit; `None` where the index
        /// cannot be read, or is being written at this moment.
        pub(crate) fn read(&self) -> Option<ChangeMarker> {
            let current = self.file.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(file) = current.as_ref().filter(|file| is_linked(file)) {
                return read_header(file);
            }
            drop(current);
            // The first read, or the index was deleted and created again.
            let file = open_once(&self.path)?;
            let marker = read_header(&file);
            let mut current = self.file.write().unwrap_or_else(PoisonError::into_inner);
            *current = Some(file);
            marker
        }

        /// Stops using the descriptor. It is closed once SQLite has deleted the
        /// file.
        pub(crate) fn release(&self) {
            let mut current = self.file.write().unwrap_or_else(PoisonError::into_inner);
            *current = None;
            close_deleted();
        }
    }

    /// Whether the file still has a name, so that SQLite still uses it.
    fn is_linked(file: &File) -> bool {
        file.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
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
    fn read_header(file: &File) -> Option<ChangeMarker> {
        let mut bytes = [0; 2 * HEADER_BYTES];
        file.read_exact_at(&mut bytes, 0).ok()?;
        decode(&bytes)
    }

    fn decode(bytes: &[u8; 2 * HEADER_BYTES]) -> Option<ChangeMarker> {
        let (first, second) = bytes.split_at(HEADER_BYTES);
        if first != second || first[IS_INITIALIZED] == 0 {
            return None;
        }
        let (words, _) = first.as_chunks::<8>();
        let words: [[u8; 8]; 6] = words.try_into().ok()?;
        let is_valid = checksum(&first[..CHECKED_BYTES]) == words[5];
        is_valid.then(|| ChangeMarker::new(words.map(u64::from_ne_bytes)))
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

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod unsupported {
    use std::path::Path;

    use memory_core::ChangeMarker;

    /// The WAL index of one database, which is not read on this platform.
    #[derive(Debug)]
    pub(crate) struct WalIndex;

    impl WalIndex {
        pub(crate) fn new(_database: &Path) -> Self {
            Self
        }

        pub(crate) fn read(&self) -> Option<ChangeMarker> {
            None
        }

        pub(crate) fn release(&self) {}
    }
}
