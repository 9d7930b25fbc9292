//! The lock of writers: waiting for it, and leaving it to processes that wait.
//!
//! SQLite has no queue for this lock. Its own wait tries again after pauses that grow to
//! 100 ms, and a process that writes without pause takes the lock again within a fraction of a
//! millisecond after each commit. So another process finds it free by chance only, and may wait
//! longer than the busy timeout, though each transaction takes milliseconds.
//!
//! Here a connection tries again each millisecond or two. While it waits, it has a shared lock
//! on the file of the log, and before each transaction a store looks whether others have one:
//! then it leaves the database alone for some milliseconds. Of several that wait, one gets
//! the lock by chance, and the store that had it waits with the rest of them.
//!
//! SQLite has no locks on that file, a process that ends loses its own, and nobody waits
//! for one: a process that is stopped while it waits costs others a pause for each transaction.
//! Where the file cannot be locked, and of programs that wait as SQLite does, nobody knows.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::connections::transaction::Session;
use crate::error::{Failure, SQLITE_BUSY};

/// How long SQLite tries to take the lock in one call of the driver: at once, and after each
/// of these milliseconds.
const ATTEMPT: Duration = Duration::from_millis(2);

/// How long a store leaves the database alone at most: some attempts of those that wait.
const PAUSE: Duration = Duration::from_millis(5);

/// How often it looks meanwhile whether they have got the lock.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// The lock of writers of one database, for the one connection of a store that writes.
#[derive(Debug)]
pub(crate) struct WriteLock {
    busy_timeout: Duration,
    kind: Kind,
    #[cfg(test)]
    pauses: std::sync::atomic::AtomicUsize,
}

#[derive(Debug)]
enum Kind {
    /// SQLite waits: in a database without a log, a commit waits for readers as well.
    Sqlite,
    /// The file of the log, where it can be opened.
    Log(Option<File>),
}

/// Says to other processes that this one waits, until it is dropped.
#[must_use]
#[derive(Debug)]
pub(crate) struct Announcement<'l>(Option<&'l File>);

impl Drop for Announcement<'_> {
    fn drop(&mut self) {
        if let Some(log) = self.0.take() {
            // Otherwise others pause until the store is closed.
            let _ = log.unlock();
        }
    }
}

/// A wait for the lock, which goes on until this is dropped.
#[must_use]
#[derive(Debug)]
pub(crate) struct Wait<'l> {
    lock: &'l WriteLock,
    began: Instant,
    timeout: Duration,
    announcement: Announcement<'l>,
}

impl Wait<'_> {
    /// Whether an attempt failed since another has the lock, and there is time for the next.
    pub(crate) fn tries_again(&mut self, failure: &Failure) -> bool {
        if failure.primary_code() != Some(SQLITE_BUSY) || self.began.elapsed() >= self.timeout {
            return false;
        }
        if self.announcement.0.is_none() {
            self.announcement = self.lock.announce();
        }
        true
    }
}

impl WriteLock {
    /// Of a database without a log.
    pub(crate) const fn without_log(busy_timeout: Duration) -> Self {
        Self::new(busy_timeout, Kind::Sqlite)
    }

    /// Of a database with the log at a path, which a connection has open. SQLite deletes it
    /// with the last connection only, so that all processes have the same.
    pub(crate) fn of_log(busy_timeout: Duration, log: &Path) -> Self {
        // Elsewhere a lock prevents others from reading and writing the file.
        let log = cfg!(unix).then(|| File::open(log).ok()).flatten();
        Self::new(busy_timeout, Kind::Log(log))
    }

    const fn new(busy_timeout: Duration, kind: Kind) -> Self {
        Self {
            busy_timeout,
            kind,
            #[cfg(test)]
            pauses: std::sync::atomic::AtomicUsize::new(0),
        }
    }

    /// How long a transaction waits for the lock.
    pub(crate) const fn busy_timeout(&self) -> Duration {
        self.busy_timeout
    }

    /// The busy timeout that the connection has.
    pub(crate) fn attempt_timeout(&self) -> Duration {
        match &self.kind {
            Kind::Sqlite => self.busy_timeout,
            Kind::Log(_) => self.busy_timeout.min(ATTEMPT),
        }
    }

    /// Begins a transaction that has the lock. It may have been waited for since `began`.
    pub(crate) async fn begin(
        &self,
        session: &mut Session,
        began: Instant,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let mut wait = self.wait(began, timeout);
        loop {
            match session.begin("BEGIN IMMEDIATE").await {
                Err(failure) if wait.tries_again(&failure) => {}
                outcome => return outcome,
            }
        }
    }

    /// A wait for the lock since `began`.
    pub(crate) const fn wait(&self, began: Instant, timeout: Duration) -> Wait<'_> {
        Wait {
            lock: self,
            began,
            timeout,
            announcement: Announcement(None),
        }
    }

    /// Says that this process waits, unless another looks at that moment whether one does.
    pub(crate) fn announce(&self) -> Announcement<'_> {
        let log = self.log();
        Announcement(log.filter(|log| log.try_lock_shared().is_ok()))
    }

    /// Leaves the database alone for some milliseconds, while other processes wait for it.
    pub(crate) async fn yield_to_others(&self) {
        let mut paused = Duration::ZERO;
        while paused < PAUSE && self.is_awaited() {
            tokio::time::sleep(LOOK_INTERVAL).await;
            paused += LOOK_INTERVAL;
        }
        #[cfg(test)]
        if !paused.is_zero() {
            self.pauses
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Whether another process waits.
    fn is_awaited(&self) -> bool {
        let Some(log) = self.log() else {
            return false;
        };
        match log.try_lock() {
            Ok(()) => {
                let _ = log.unlock();
                false
            }
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => false,
        }
    }

    const fn log(&self) -> Option<&File> {
        match &self.kind {
            Kind::Sqlite => None,
            Kind::Log(log) => log.as_ref(),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use memory_core::{EntityId, MemoryPatch};
    use memory_testkit::{SeededRng, fixtures, wait_until};
    use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
    use sqlx::{ConnectOptions, Executor};
    use tempfile::TempDir;

    use super::*;
    use crate::connections::database::Database;
    use crate::insert::Insert;
    use crate::open::connection;
    use crate::operations::update::Update;
    use crate::options::SqliteOptions;
    use crate::wal::own_commits::Origin;

    /// A store, and a process that uses its file as well.
    struct Setup {
        folder: TempDir,
        database: Arc<Database>,
        other: WriteLock,
        rng: SeededRng,
    }

    /// What is written.
    #[derive(Debug, Clone, Copy)]
    enum Write {
        InsertInSteps,
        InsertAtOnce,
        Update,
    }

    impl Setup {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("agent.db");
            let database = connection::open(&SqliteOptions::new(path)).await.unwrap();
            let log = folder.path().join("agent.db-wal");
            Self {
                folder,
                database: Arc::new(database),
                other: WriteLock::of_log(Duration::from_secs(5), &log),
                rng: SeededRng::new(1),
            }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("agent.db")
        }

        fn insert(&mut self, entity: &str) -> Insert {
            let entity = EntityId::from(entity);
            let batch = fixtures::varied_memories(&entity, 2, &mut self.rng);
            Insert::unlimited(batch, None)
        }

        /// Prepares a write that then runs in a task.
        async fn prepare(&mut self, write: Write) -> impl Future<Output = ()> + Send + use<> {
            let entity = format!("{write:?}");
            let (first, second) = (self.insert(&entity), self.insert(&entity));
            let id = first.batch[0].memory.id;
            if !matches!(write, Write::InsertInSteps) {
                self.database.insert(first, Origin::Others).await.unwrap();
                // The first created the embedding space.
                let known = self.insert(&entity);
                self.database.insert(known, Origin::Others).await.unwrap();
                assert!(self.database.known.plan(&second).unwrap().is_some());
            }
            let database = Arc::clone(&self.database);
            let update = Update {
                entity: entity.into(),
                id,
                patch: MemoryPatch::new().importance(0.1),
                embedding: None,
                language: None,
            };
            async move {
                match write {
                    Write::Update => drop(database.write(update, Origin::Others).await.unwrap()),
                    _ => drop(database.insert(second, Origin::Others).await.unwrap()),
                }
            }
        }

        fn pauses(&self) -> usize {
            let lock = &self.database.writer.as_ref().unwrap().lock;
            lock.pauses.load(Ordering::Relaxed)
        }
    }

    const WRITES: [Write; 3] = [Write::InsertInSteps, Write::InsertAtOnce, Write::Update];

    #[tokio::test(flavor = "multi_thread")]
    async fn a_write_that_waits_for_another_process_says_so() {
        let mut setup = Setup::new().await;
        let options = SqliteConnectOptions::new().filename(setup.path());
        let mut holder: SqliteConnection = options.connect().await.unwrap();
        for write in WRITES {
            let prepared = setup.prepare(write).await;
            assert!(!setup.other.is_awaited(), "{write:?}");
            holder.execute("BEGIN IMMEDIATE").await.unwrap();
            let running = tokio::spawn(prepared);
            wait_until("the write waits", async || setup.other.is_awaited()).await;
            holder.execute("ROLLBACK").await.unwrap();
            running.await.unwrap();
            assert!(!setup.other.is_awaited(), "{write:?}");
            assert_eq!(setup.pauses(), 0, "nobody else waits");
        }
        setup.database.close().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_write_leaves_the_database_to_those_that_wait() {
        let mut setup = Setup::new().await;
        for (number, write) in WRITES.into_iter().enumerate() {
            let prepared = setup.prepare(write).await;
            assert_eq!(setup.pauses(), number, "{write:?}");
            let announcement = setup.other.announce();
            // It does not wait for one that never takes the lock.
            prepared.await;
            drop(announcement);
            assert_eq!(setup.pauses(), number + 1, "{write:?}");
        }
        setup.database.close().await;
    }

    /// Stores that write without pause would not let it begin.
    #[tokio::test(flavor = "multi_thread")]
    async fn opening_a_file_that_has_to_be_converted_says_that_it_waits() {
        let mut setup = Setup::new().await;
        setup.prepare(Write::Update).await.await;
        let options = SqliteConnectOptions::new().filename(setup.path());
        let mut holder: SqliteConnection = options.connect().await.unwrap();
        let mark = "UPDATE text_analysis SET version = 4, converted_key = 0";
        holder.execute(mark).await.unwrap();
        holder.execute("BEGIN IMMEDIATE").await.unwrap();
        let options = SqliteOptions::new(setup.path());
        let opening = tokio::spawn(async move { connection::open(&options).await });
        wait_until("it waits", async || setup.other.is_awaited()).await;
        holder.execute("ROLLBACK").await.unwrap();
        opening.await.unwrap().unwrap().close().await;
        setup.database.close().await;
    }

    #[tokio::test]
    async fn without_a_file_of_a_log_nobody_waits() {
        let lock = WriteLock::of_log(Duration::from_secs(5), Path::new("missing/agent.db-wal"));
        drop(lock.announce());
        assert!(!lock.is_awaited());
        assert_eq!(lock.attempt_timeout(), ATTEMPT);
        let lock = WriteLock::without_log(Duration::from_secs(5));
        assert!(!lock.is_awaited());
        assert_eq!(lock.attempt_timeout(), Duration::from_secs(5));
    }
}
