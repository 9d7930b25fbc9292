//! The other process of a test.

use std::env;
use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use memory::{MemoryKind, MemoryPatch, ReembedRequest};
use tempfile::TempDir;

use crate::{MEMORIES, content, first_model, killed, open, second_model};

/// Makes a process of a test the other one: what it does, URL, entity and folder.
const OTHER: &str = "MEMORY_REEMBED_TEST";

/// Recalls of a service before it may be stopped.
const MIN_RECALLS: usize = 20;

/// Memories a second of a run that others are to meet.
const RATE: NonZeroU32 = NonZeroU32::new(500).unwrap();

/// The database of a test, and where its processes exchange signs.
pub(crate) struct TestDatabase {
    /// The name of the test, which the other process runs.
    test: String,
    pub(crate) url: String,
    pub(crate) entity: String,
    folder: PathBuf,
    /// Removed at the end; of the first process only.
    _owned: Option<TempDir>,
}

impl TestDatabase {
    #[cfg(feature = "sqlite")]
    pub(crate) fn file(test: &str) -> Self {
        let owned = tempfile::tempdir().unwrap();
        let folder = owned.path().to_owned();
        Self {
            test: test.to_owned(),
            url: format!("sqlite://{}", folder.join("agent.db").display()),
            entity: "mira".to_owned(),
            folder,
            _owned: Some(owned),
        }
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn server(test: &str) -> Self {
        let owned = tempfile::tempdir().unwrap();
        Self {
            test: test.to_owned(),
            url: env::var("MEMORY_TEST_PG")
                .or_else(|_| env::var("DATABASE_URL"))
                .expect("this test needs a PostgreSQL server: run `cargo xtask test`"),
            // The tests share the database, so it is an entity of its own.
            entity: format!("mira-{}", memory::MemoryId::new()),
            folder: owned.path().to_owned(),
            _owned: Some(owned),
        }
    }

    /// The same database for what lives longer.
    pub(crate) fn of_other(database: &Self) -> Self {
        Self {
            test: String::new(),
            url: database.url.clone(),
            entity: database.entity.clone(),
            folder: database.folder.clone(),
            _owned: None,
        }
    }

    /// Exists when the other process has begun.
    fn begun(&self) -> PathBuf {
        self.folder.join("begun")
    }

    /// Exists when the other process is to end.
    fn stop(&self) -> PathBuf {
        self.folder.join("stop")
    }

    /// Says how far the other process is.
    pub(crate) fn report(&self, progress: u64) {
        // Never seen half written.
        let new = self.folder.join("new");
        fs::write(&new, progress.to_string()).unwrap();
        fs::rename(new, self.begun()).unwrap();
    }

    /// What the other process reported last.
    pub(crate) fn reported(&self) -> u64 {
        fs::read_to_string(self.begun()).unwrap().parse().unwrap()
    }
}

/// Another process that runs.
pub(crate) struct OtherProcess<'a> {
    child: Child,
    database: &'a TestDatabase,
}

impl<'a> OtherProcess<'a> {
    /// Starts it, and waits until it reports for the first time.
    pub(crate) async fn start(database: &'a TestDatabase, task: &str) -> Self {
        fs::remove_file(database.begun()).ok();
        let folder = database.folder.display();
        let arguments = format!("{task}|{}|{}|{folder}", database.url, database.entity);
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", &database.test, "--nocapture"])
            .env(OTHER, arguments)
            .spawn()
            .unwrap();
        while !database.begun().exists() {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended before it began: {ended:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self { child, database }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Kills it: on Unix with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert!(!status.success(), "it ended by itself");
    }

    /// Has it end, and waits for that.
    pub(crate) async fn stop(self) {
        fs::write(self.database.stop(), "").unwrap();
        self.wait().await;
    }

    pub(crate) async fn wait(mut self) {
        while self.is_running() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(self.child.wait().unwrap().success(), "see its output");
    }
}

/// Where the test failed, it does not run on.
impl Drop for OtherProcess<'_> {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs what another process of the test asked this one for; `false` in the first
/// process.
pub(crate) async fn run_if_asked() -> bool {
    let Ok(arguments) = env::var(OTHER) else {
        return false;
    };
    let arguments: Vec<&str> = arguments.split('|').collect();
    let [task, url, entity, folder] = arguments[..] else {
        panic!("{arguments:?}");
    };
    let database = TestDatabase {
        test: String::new(),
        url: url.to_owned(),
        entity: entity.to_owned(),
        folder: folder.into(),
        _owned: None,
    };
    match task {
        "serve" => serve(&database).await,
        "embed" => embed(&database).await,
        point => killed::embed_up_to(&database, point).await,
    }
    true
}

/// A service that reads and writes with the first model. Every memory is found by its
/// vector at any time.
async fn serve(database: &TestDatabase) {
    let (entity, memory) = (&*database.entity, open(&database.url, first_model()).await);
    let found = memory.recall(entity, &*content(1)).await.unwrap();
    let altered = found[0].memory.id;
    let (mut recalls, mut slowest) = (0, Duration::ZERO);
    while recalls < MIN_RECALLS || !database.stop().exists() {
        // One that is never altered.
        let wanted = content(recalls * 614 % MEMORIES);
        let began = Instant::now();
        let report = memory.recall_report(entity, &*wanted).await.unwrap();
        slowest = slowest.max(began.elapsed());
        let best = &report.hits[0];
        assert_eq!((&best.memory.content, report.without_vectors), (&wanted, 0));
        assert!(best.similarity.unwrap() > 0.99, "{best:?}");
        let note = format!("note {recalls} of the service");
        let retained = memory.retain(entity, MemoryKind::Observation, note).await;
        retained.unwrap();
        recalls += 1;
        let seen = format!("{}, seen {recalls} times", content(1));
        let patch = MemoryPatch::new().content(seen);
        memory.alter_memory(entity, altered, &patch).await.unwrap();
        database.report(recalls as u64);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    memory.close().await.unwrap();
    println!(
        "the service: {recalls} recalls and twice as many writes, the slowest recall in {slowest:?}"
    );
}

/// Embeds with the second model, slowly.
async fn embed(database: &TestDatabase) {
    let memory = open(&database.url, second_model()).await;
    let request = ReembedRequest::new().max_per_second(RATE);
    let mut steps = memory.reembed_stream(&*database.entity, request);
    let mut is_complete = false;
    while let Some(report) = steps.next().await {
        let report = report.unwrap();
        is_complete = report.is_complete;
        database.report(report.checked);
    }
    assert!(is_complete);
    memory.close().await.unwrap();
}
