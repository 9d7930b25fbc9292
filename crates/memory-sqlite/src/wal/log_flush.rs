//! Flushing the write-ahead log to disk before writes are acknowledged.
//!
//! With `synchronous = FULL`, SQLite flushes the log within each commit, and the one
//! connection that writes waits for the disk. Here it commits without a flush
//! (`NORMAL`); then the log is flushed through another descriptor, and only then do
//! the callers get their outcomes. Meanwhile the next transactions run, and one flush
//! covers all that were committed before it.
//!
//! Flushing one descriptor of a file flushes what was written through any other. SQLite
//! has no locks on the log, so opening and closing it here releases none. What a flush
//! does not reach is lost from the end: SQLite recovers the log up to the first frame
//! that is incomplete, and writes the log to disk before it copies any of it.

use std::fs::File;
use std::io;
use std::mem;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use memory_core::{ErrorKind, MemoryError, MemoryResult, PendingWork, WorkPermit};
use tokio::task;

/// What became of a flush.
pub(crate) type FlushResult = Result<(), Arc<io::Error>>;

type Then = Box<dyn FnOnce(FlushResult) + Send>;

/// Flushes the log of one database.
#[derive(Debug)]
pub(crate) struct LogFlusher {
    /// Those that wait for the next flush.
    callers: PendingWork<Vec<Then>>,
    log: Mutex<Log>,
    /// Whether a flush failed.
    has_failed: AtomicBool,
}

#[derive(Debug)]
struct Log {
    /// Open as long as the store is, so that it reports each failure to write.
    file: File,
    /// The first failure. Later flushes prove nothing about the frames of this one,
    /// which stand before theirs.
    failure: Option<Arc<io::Error>>,
    #[cfg(test)]
    flushes: usize,
}

impl LogFlusher {
    /// Of the log at a path, which a connection has open. SQLite deletes it with the last
    /// connection only, and a new one is never made while there is one.
    pub(crate) fn open(path: &Path) -> io::Result<Arc<Self>> {
        let log = Log {
            file: File::open(path)?,
            failure: None,
            #[cfg(test)]
            flushes: 0,
        };
        Ok(Arc::new(Self {
            callers: PendingWork::default(),
            log: Mutex::new(log),
            has_failed: AtomicBool::new(false),
        }))
    }

    /// Refuses a write where a flush failed: what it wrote would follow frames that may be
    /// missing after a power failure.
    pub(crate) fn check(&self, operation: &'static str) -> MemoryResult<()> {
        if self.has_failed() {
            let message = "nothing was written: the write-ahead log could not be flushed to disk before; check the disk, and open the database again";
            return Err(MemoryError::store(ErrorKind::Other, operation, message));
        }
        Ok(())
    }

    /// Whether a flush failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// Calls `then` on a blocking thread after a flush that begins from now on: it
    /// covers every transaction that is committed now. Where the runtime stops before,
    /// `then` is dropped.
    ///
    /// To be called within a Tokio runtime.
    pub(crate) fn after_flush(self: &Arc<Self>, then: impl FnOnce(FlushResult) + Send + 'static) {
        let Some(permit) = self.callers.add(|callers| callers.push(Box::new(then))) else {
            return;
        };
        let flusher = Arc::clone(self);
        task::spawn_blocking(move || flusher.flush_all(permit));
    }

    /// Flushes until no caller waits.
    fn flush_all(&self, mut permit: WorkPermit<Vec<Then>>) {
        let all = |callers: &mut Vec<Then>| (!callers.is_empty()).then(|| mem::take(callers));
        while let Some((same, callers)) = permit.take(all) {
            permit = same;
            let flushed = self.flush();
            for then in callers {
                then(flushed.clone());
            }
        }
    }

    fn flush(&self) -> FlushResult {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = &log.failure {
            return Err(Arc::clone(failure));
        }
        #[cfg(test)]
        {
            log.flushes += 1;
        }
        log.file.sync_data().map_err(|error| {
            self.has_failed.store(true, Ordering::Release);
            tracing::error!(kind = ?error.kind(), "the write-ahead log was not flushed to disk");
            let error = Arc::new(error);
            log.failure = Some(Arc::clone(&error));
            error
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc;

    use memory_core::{AccessUpdate, EntityId, MemoryPatch};
    use memory_testkit::{SeededRng, fixtures};

    use super::*;
    use crate::open::connection;
    use crate::operations::delete::Delete;
    use crate::operations::insert::Insert;
    use crate::operations::record_accesses::RecordAccesses;
    use crate::operations::update::Update;
    use crate::options::{SqliteOptions, Synchronous};
    use crate::wal::own_commits::Origin;

    /// Waits for a flush of everything before it.
    fn flush(flusher: &Arc<LogFlusher>) -> FlushResult {
        let (sender, flushed) = mpsc::channel();
        flusher.after_flush(move |result| sender.send(result).unwrap());
        flushed.recv().unwrap()
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn after_a_failure_no_flush_succeeds() {
        // A device that cannot be flushed.
        let flusher = LogFlusher::open(Path::new("/dev/null")).unwrap();
        assert!(flusher.check("insert").is_ok());
        assert!(flush(&flusher).is_err());
        let folder = tempfile::tempdir().unwrap();
        flusher.log.lock().unwrap().file = File::create(folder.path().join("log")).unwrap();
        assert!(flush(&flusher).is_err(), "the frames before may be missing");
        let refused = flusher.check("insert").unwrap_err();
        assert!(refused.to_string().contains("nothing was written"));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test(flavor = "multi_thread")]
    async fn the_log_is_that_of_the_database_behind_a_link() {
        use std::os::unix::fs::MetadataExt;

        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink(path("agent.db"), path("link.db")).unwrap();
        for name in ["agent.db", "link.db"] {
            // What the log of a link would be named.
            fs::write(path("link.db-wal"), "").unwrap();
            let options = SqliteOptions::new(path(name));
            let database = connection::open(&options).await.unwrap();
            let flusher = database.writer.as_ref().unwrap().flusher.as_ref().unwrap();
            let flushed = flusher.log.lock().unwrap().file.metadata().unwrap();
            let log = fs::metadata(path("agent.db-wal")).unwrap();
            assert_eq!(flushed.ino(), log.ino(), "{name}");
            database.close().await;
        }
    }

    /// On other systems SQLite flushes.
    #[cfg(target_os = "linux")]
    #[tokio::test(flavor = "multi_thread")]
    async fn writes_are_acknowledged_after_a_flush() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(folder.path().join("agent.db"));
        let database = connection::open(&options).await.unwrap();
        let flusher = database.writer.as_ref().unwrap().flusher.as_ref().unwrap();
        let was_flushed = || mem::take(&mut flusher.log.lock().unwrap().flushes) > 0;
        let entity = EntityId::from("mira");
        let batch = fixtures::varied_memories(&entity, 2, &mut SeededRng::new(1));
        let id = batch[0].memory.id;
        let insert = Insert::unlimited(batch, None);
        database.insert(insert, Origin::Others).await.unwrap();
        assert!(was_flushed(), "an insert");
        let update = Update {
            entity: entity.clone(),
            id,
            patch: MemoryPatch::new().importance(0.1),
            embedding: None,
            language: None,
        };
        database.write(update, Origin::Others).await.unwrap();
        assert!(was_flushed(), "an update");
        let updates = vec![AccessUpdate::new(entity.clone(), id, 1, fixtures::at(0))];
        let accesses = RecordAccesses { updates };
        database.write(accesses, Origin::Others).await.unwrap();
        assert!(!was_flushed(), "access counts");
        let delete = Delete {
            entity,
            ids: vec![id],
            language: None,
        };
        database.write(delete, Origin::Others).await.unwrap();
        let log = fs::metadata(folder.path().join("agent.db-wal")).unwrap();
        assert!(was_flushed() || log.len() == 0, "a deletion");
        database.close().await;
    }

    #[tokio::test]
    async fn with_normal_nothing_is_flushed() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(folder.path().join("agent.db"));
        let database = connection::open(&options.synchronous(Synchronous::Normal))
            .await
            .unwrap();
        assert!(database.writer.as_ref().unwrap().flusher.is_none());
        database.close().await;
    }

    #[tokio::test]
    async fn all_that_wait_are_called_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.db-wal");
        fs::write(&path, "").unwrap();
        let flusher = LogFlusher::open(&path).unwrap();
        let (sender, flushed) = mpsc::channel();
        for number in 0..100 {
            let sender = sender.clone();
            flusher.after_flush(move |result| sender.send((number, result.is_ok())).unwrap());
        }
        drop(sender);
        let mut called: Vec<(i32, bool)> = flushed.iter().collect();
        called.sort_unstable();
        assert_eq!(
            called,
            (0..100).map(|number| (number, true)).collect::<Vec<_>>()
        );
    }
}
