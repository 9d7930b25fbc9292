//! The connection pools of a database, and running reads and writes on them.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use memory_core::{
    BackupOptions, ChangeMarker, ErrorKind, InsertOutcome, Language, MemoryError, MemoryResult,
    SearchOutcome,
};
use sqlx::sqlite::SqlitePool;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::{Instrument, debug_span};

use crate::connections::cancel::CancelSignal;
use crate::connections::pool::{MeasuredPool, Role};
use crate::connections::stop_signal::{StopOnDrop, StopSignal};
use crate::connections::transaction::{Session, Transaction};
use crate::connections::writer::Writer;
use crate::error::Failure;
use crate::open::immutable_file::ImmutableFile;
use crate::operations::backup;
use crate::operations::insert::Insert;
use crate::operations::insert::queue::{InsertQueue, run_all};
use crate::operations::insert::quick::KnownEntities;
use crate::reindex;
use crate::search::Search;
use crate::search::page_builder::PageBuilder;
use crate::wal::log_flush::LogFlusher;
use crate::wal::own_commits::{Origin, OwnCommits, WriterCommits};
use crate::wal::wal_index::WalIndex;

/// The connections of one database: one that writes, several that read.
#[derive(Debug)]
pub(crate) struct Database {
    readers: Arc<MeasuredPool>,
    /// `None` where the database is open for reading only.
    pub(crate) writer: Option<Writer>,
    inserts: InsertQueue,
    /// What inserts tell those after them.
    pub(crate) known: Arc<KnownEntities>,
    page_builder: PageBuilder,
    /// Ends the work in the background.
    stop: StopOnDrop,
    stop_signal: StopSignal,
    /// `None` for a database in memory.
    path: Option<PathBuf>,
    immutable: Option<Arc<ImmutableFile>>,
    commits: Option<Arc<OwnCommits>>,
}

/// The file of a database, and what is known of its write-ahead log.
pub(crate) struct DatabaseFile {
    pub(crate) path: PathBuf,
    /// Where SQLite reads it as a file that does not change.
    pub(crate) immutable: Option<Arc<ImmutableFile>>,
    pub(crate) flusher: Option<Arc<LogFlusher>>,
    /// Whether a process left a log with content behind, or has the file open.
    pub(crate) log_is_left: bool,
}

impl Database {
    /// `file`: `None` for a database in memory. To be called within a Tokio runtime.
    pub(crate) fn new(
        readers: SqlitePool,
        writer: Option<SqlitePool>,
        busy_timeout: Duration,
        file: Option<DatabaseFile>,
    ) -> Self {
        let mut path = None;
        let (mut immutable, mut flusher, mut log_is_left) = (None, None, false);
        if let Some(file) = file {
            path = Some(file.path);
            immutable = file.immutable;
            flusher = file.flusher;
            log_is_left = file.log_is_left;
        }
        // In memory, the connection that writes also reads.
        let read = if path.is_some() {
            Role::Read
        } else {
            Role::Write
        };
        let readers = MeasuredPool::new(readers, read);
        let writer = match path {
            Some(_) => writer.map(|writer| MeasuredPool::new(writer, Role::Write)),
            None => writer.map(|_| Arc::clone(&readers)),
        };
        let commits = path.as_deref().map(WalIndex::new);
        let commits = commits.map(|wal_index| Arc::new(OwnCommits::new(wal_index)));
        let writer = writer
            .map(|pool| Writer::new(pool, busy_timeout, commits.clone(), flusher, log_is_left));
        let (stop, stop_signal) = StopOnDrop::new();
        Self {
            readers,
            writer,
            inserts: InsertQueue::default(),
            known: Arc::default(),
            page_builder: PageBuilder::default(),
            stop,
            stop_signal,
            commits,
            path,
            immutable,
        }
    }

    /// Refuses to read, or what was read, where the file is open as one that does not change,
    /// and did.
    fn check_unchanged(&self, operation: &'static str) -> MemoryResult<()> {
        let file = self.immutable.as_ref();
        file.map_or(Ok(()), |file| file.check(operation))
    }

    /// Refuses operations after [`close`](Self::close), also those that need no
    /// connection.
    pub(crate) fn check_open(&self, operation: &'static str) -> MemoryResult<()> {
        if self.readers.pool().is_closed() {
            return Err(Failure::from(sqlx::Error::PoolClosed).into_error(operation));
        }
        Ok(())
    }

    /// Runs a transaction that only reads: it sees one consistent state.
    pub(crate) async fn read<T: Transaction>(&self, transaction: T) -> MemoryResult<T::Output> {
        self.check_unchanged(T::OPERATION)?;
        let readers = Arc::clone(&self.readers);
        let read = spawn(T::OPERATION, async move {
            let mut session = Session::acquire(&readers, T::OPERATION).await?;
            session.read(transaction).await
        });
        let read = read.await;
        // An error may come from that as well.
        self.check_unchanged(T::OPERATION)?;
        read
    }

    /// Searches, and makes the pages in the background that were missing. Ends soon where its
    /// caller is gone: closing would wait for it.
    pub(crate) async fn search(&self, search: Search) -> MemoryResult<SearchOutcome> {
        let language = search.language;
        let _cancel = search.signal.on_drop();
        let (outcome, missing) = self.read(search).await?;
        if let Some(writer) = self.writer.clone() {
            let stop = self.stop_signal.clone();
            self.page_builder.start(writer, missing, language, stop);
        }
        Ok(outcome)
    }

    /// Converts the lexical index in the background, where it is of an older version.
    pub(crate) fn start_conversion(&self, language: Option<Language>) {
        if let Some(writer) = self.writer.clone() {
            reindex::start(writer, language, self.stop_signal.clone());
        }
    }

    /// Runs a transaction that writes: all of it or nothing, even if the caller
    /// drops the future.
    pub(crate) async fn write<T: Transaction>(
        &self,
        transaction: T,
        origin: Origin,
    ) -> MemoryResult<T::Output> {
        let writer = self.writer(T::OPERATION)?;
        spawn(T::OPERATION, writer.transact(transaction, origin)).await
    }

    /// Inserts a batch: all of it or nothing, even if the caller drops the
    /// future. Inserts that wait share a transaction.
    pub(crate) async fn insert(
        &self,
        mut insert: Insert,
        origin: Origin,
    ) -> MemoryResult<InsertOutcome> {
        let writer = self.writer(Insert::OPERATION)?;
        insert.known = Some(Arc::clone(&self.known));
        let (outcome, permit) = self.inserts.push(insert, origin);
        if let Some(permit) = permit {
            spawn_detached(Insert::OPERATION, run_all(permit, writer))?;
        }
        outcome
            .await
            .unwrap_or_else(|_| Err(runtime_stopped(Insert::OPERATION)))
    }

    fn writer(&self, operation: &'static str) -> MemoryResult<Writer> {
        self.check_open(operation)?;
        self.writer.clone().ok_or_else(|| {
            let message = "the database is open for reading only; open it without read_only() or mode=ro to write";
            MemoryError::store(ErrorKind::ReadOnly, operation, message)
        })
    }

    /// Ends the work in the background, waits for running operations and closes every
    /// connection. Long ones whose callers are gone end soon.
    pub(crate) async fn close(&self) {
        self.stop.stop();
        // The writer closes last: the last connection checkpoints the
        // write-ahead log into the file, and a reader cannot do that.
        self.readers.pool().close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
        if let Some(commits) = &self.commits {
            commits.wal_index().release();
        }
    }

    /// Copies the database to a file.
    pub(crate) async fn backup(&self, target: &Path, options: &BackupOptions) -> MemoryResult<()> {
        // The copy runs in a task of its own, and ends when its caller is gone.
        let signal = CancelSignal::default();
        let _cancel = signal.on_drop();
        let copy = backup::run(
            Arc::clone(&self.readers),
            self.path.clone(),
            self.immutable.clone(),
            target.to_owned(),
            options.clone(),
            signal.clone(),
        );
        spawn(backup::OPERATION, copy).await
    }

    /// A value that changes with every commit of any process, or with every one
    /// that is not of this writer alone; `None` where that is not known.
    pub(crate) fn change_marker(&self, writer: Option<&WriterCommits>) -> Option<ChangeMarker> {
        if self.readers.pool().is_closed() {
            return None;
        }
        let commits = self.commits.as_ref()?;
        match writer {
            Some(writer) => commits.marker(writer),
            None => commits.wal_index().read(),
        }
    }

    /// Whether it is in a file that this store writes to.
    pub(crate) fn counts_commits(&self) -> bool {
        self.commits.is_some() && self.writer.is_some()
    }
}

/// Returns an error outside of a Tokio runtime, where the driver would panic.
pub(crate) fn check_runtime() -> MemoryResult<Handle> {
    Handle::try_current().map_err(|_| {
        MemoryError::configuration(
            "the SQLite store needs a Tokio runtime, and none is running here",
        )
    })
}

/// Runs a future to its end in a task, even if the caller drops this one.
///
/// Acquiring a connection is part of the task: the driver closes a connection
/// whose caller is dropped at the wrong moment, and a database in memory would
/// be lost with it.
async fn spawn<T: Send + 'static>(
    operation: &'static str,
    future: impl Future<Output = MemoryResult<T>> + Send + 'static,
) -> MemoryResult<T> {
    match spawn_detached(operation, future)?.await {
        Ok(result) => result,
        Err(error) => Err(runtime_stopped(operation).with_source(error)),
    }
}

/// Starts a task in the span of an operation.
pub(crate) fn spawn_detached<T: Send + 'static>(
    operation: &'static str,
    future: impl Future<Output = T> + Send + 'static,
) -> MemoryResult<JoinHandle<T>> {
    let span = debug_span!("store", backend = "sqlite", operation);
    Ok(check_runtime()?.spawn(future.instrument(span)))
}

pub(crate) fn runtime_stopped(operation: &'static str) -> MemoryError {
    let message = "the Tokio runtime shut down during the operation";
    MemoryError::store(ErrorKind::OutcomeUnknown, operation, message)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use memory_core::{EntityId, MemoryFilter, SearchOutcome, SearchRequest, Store};
    use memory_testkit::{SeededRng, fixtures, wait_until};
    use sqlx::Connection;
    use sqlx::sqlite::SqliteConnection;
    use tokio::runtime::Builder;
    use tokio::time::sleep;

    use super::*;
    use crate::SqliteOptions;
    use crate::SqliteStore;
    use crate::open::connection;

    /// So few that only their texts are processed on a blocking thread.
    const MEMORIES: usize = 500;

    /// Makes a file whose searches read texts, to which no conversion has come.
    async fn create_unconverted(path: &Path) {
        let url = format!("sqlite:{}", path.display());
        let (entity, mut rng) = (EntityId::from("mira"), SeededRng::new(1));
        let plain = |_| fixtures::plain(&entity, "The mill stands at the river.", &mut rng);
        let batch: Vec<_> = (0..MEMORIES).map(plain).collect();
        let store = SqliteStore::open(&url).await.unwrap();
        store.insert(&batch).await.unwrap();
        store.close().await.unwrap();
        let mut conn = SqliteConnection::connect(&url).await.unwrap();
        let mark = sqlx::raw_sql("UPDATE text_analysis SET version = 4, converted_key = 0");
        mark.execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
    }

    fn search(signal: &CancelSignal) -> Search {
        Search {
            entity: EntityId::from("mira"),
            request: SearchRequest {
                lexical: Some("mill".to_owned()),
                ..SearchRequest::new(MemoryFilter::new(), 10)
            },
            language: None,
            signal: signal.clone(),
        }
    }

    /// A search that has begun to read texts, and goes on when it is released.
    struct HeldSearch {
        search: JoinHandle<MemoryResult<SearchOutcome>>,
        release: mpsc::Sender<()>,
    }

    impl HeldSearch {
        /// To be called in a runtime with one blocking thread, which analyzes texts.
        async fn start(database: &Arc<Database>, signal: &CancelSignal) -> Self {
            let (release, released) = mpsc::channel();
            tokio::task::spawn_blocking(move || released.recv());
            let (database, search) = (Arc::clone(database), search(signal));
            let search = tokio::spawn(async move { database.search(search).await });
            // The test, the caller, the search and its scan of texts.
            wait_until("the search reads texts", async || signal.count() == 4).await;
            Self { search, release }
        }
    }

    /// Runs a test with an unconverted database, in a runtime with one blocking thread.
    fn run_test(test: impl AsyncFnOnce(Arc<Database>)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.db");
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        runtime.block_on(async {
            create_unconverted(&path).await;
            let options = SqliteOptions::new(&path).migrate(false);
            let database = connection::open(&options).await.unwrap();
            test(Arc::new(database)).await;
        });
    }

    #[test]
    fn a_running_search_ends_before_a_close_does() {
        run_test(async |database| {
            let signal = CancelSignal::default();
            let held = HeldSearch::start(&database, &signal).await;
            let closed = Arc::clone(&database);
            let close = tokio::spawn(async move { closed.close().await });
            wait_until("the close has begun", async || {
                database.check_open("test").is_err()
            })
            .await;
            sleep(Duration::from_millis(20)).await;
            assert!(!close.is_finished(), "it does not wait for the search");
            held.release.send(()).unwrap();
            close.await.unwrap();
            let found = held.search.await.unwrap().unwrap();
            assert_eq!(found.candidates.len(), 10);
            assert_eq!(found.matching, Some(MEMORIES as u64));
        });
    }

    /// Or a close would wait until it has read all texts.
    #[test]
    fn a_search_whose_caller_is_gone_ends() {
        run_test(async |database| {
            let signal = CancelSignal::default();
            let held = HeldSearch::start(&database, &signal).await;
            held.search.abort();
            assert!(held.search.await.unwrap_err().is_cancelled());
            assert!(signal.is_cancelled());
            held.release.send(()).unwrap();
            // As the one whose answer nobody sees.
            let error = database.read(search(&signal)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Other);
            database.close().await;
            assert_eq!(signal.count(), 1, "the search goes on");
        });
    }
}
