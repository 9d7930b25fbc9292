//! Loading a snapshot from the store, in full or as a delta to a base.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use memory_core::{
    ChangeSet, EmbeddedMemory, Embedder, EntityId, ErrorKind, Fingerprint, Generation, Language,
    MemoryError, MemoryResult, SnapshotPage, SnapshotPart, SnapshotState, Store,
};
use memory_metrics::label;
use tokio::sync::oneshot;

use crate::blocking::run_blocking;

use super::EntitySnapshot;
use super::delta::is_quick;
use super::page_format::{self, NO_FORMAT};
use super::page_writer::{PageWriter, UnwrittenPages};

/// Whole snapshots of more memories than this are made on threads of their own. Beyond some
/// hundred thousand it takes seconds to a minute.
const MAX_ON_BLOCKING_THREAD: usize = 1_000;

/// Loads snapshots from a store, with the vectors of an embedder, and has the store keep the
/// pages that a load makes.
#[derive(Clone)]
pub(crate) struct SnapshotLoader {
    store: Arc<dyn Store>,
    embedder: Arc<dyn Embedder>,
    /// See `MemoryConfig::language`.
    language: Option<Language>,
    page_writer: PageWriter,
}

impl SnapshotLoader {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        embedder: Arc<dyn Embedder>,
        language: Option<Language>,
    ) -> Self {
        Self {
            store,
            embedder,
            language,
            page_writer: PageWriter::default(),
        }
    }

    /// How many numbers the vectors of a snapshot have.
    pub(crate) fn dimensions(&self) -> usize {
        self.embedder.profile().dimensions
    }

    fn fingerprint(&self) -> &Fingerprint {
        &self.embedder.profile().fingerprint
    }

    /// Loads the changes since `base`, or everything if there is no base; a snapshot keeps
    /// the language that its first version was made with.
    ///
    /// # Errors
    /// As [`Store::changes_since`].
    pub(crate) async fn load(
        &self,
        entity: &EntityId,
        base: Option<Arc<EntitySnapshot>>,
    ) -> MemoryResult<Arc<EntitySnapshot>> {
        let started = Instant::now();
        let Some(base) = base else {
            let snapshot = Arc::new(self.load_whole(entity).await?);
            record_load(true, &snapshot, started);
            return Ok(snapshot);
        };
        let since = base.generation();
        let changes = self.store.changes_since(entity, since, self.fingerprint());
        let changes = changes.await?;
        let is_full = changes.reset;
        if !is_full {
            record_lag(since, changes.generation);
            if since == changes.generation {
                return Ok(base);
            }
        }
        let snapshot = apply(base, changes).await.map(Arc::new)?;
        record_load(is_full, &snapshot, started);
        Ok(snapshot)
    }

    /// How many of an entity's memories the pages have that the store keeps, at most.
    ///
    /// # Errors
    /// As [`SnapshotPages::count`](memory_core::SnapshotPages::count).
    pub(crate) async fn paged(&self, entity: &EntityId) -> MemoryResult<u64> {
        let Some(pages) = self.store.snapshot_pages() else {
            return Ok(0);
        };
        let format = page_format::format(self.language);
        let count = pages.count(entity, self.fingerprint(), format).await?;
        Ok(count.saturating_mul(SnapshotPage::MAX_MEMORIES as u64))
    }

    /// Loads an entity's whole state, from the pages that the store keeps.
    async fn load_whole(&self, entity: &EntityId) -> MemoryResult<EntitySnapshot> {
        let (store, fingerprint) = (&self.store, self.fingerprint());
        let empty = || EntitySnapshot::empty(entity.clone(), self.dimensions(), self.language);
        if let Some(pages) = store.snapshot_pages() {
            let format = page_format::format(self.language);
            // The second attempt reads no page, and all are made again.
            for read in [format, NO_FORMAT] {
                let state = match pages.read(entity, fingerprint, read).await {
                    // If it is not the pages that are damaged, the next read says so.
                    Err(error) if error.kind() == ErrorKind::Corrupt => continue,
                    state => state?,
                };
                if let Some((snapshot, new)) = make(empty(), state).await? {
                    let unwritten = UnwrittenPages {
                        entity: entity.clone(),
                        fingerprint: fingerprint.clone(),
                        format,
                        read_at: snapshot.generation(),
                        pages: new,
                    };
                    self.page_writer.start(store, unwritten);
                    return Ok(snapshot);
                }
            }
            tracing::warn!("pages of a snapshot are damaged; its texts are analyzed again");
        }
        let state = store.changes_since(entity, Generation::ZERO, fingerprint);
        let ChangeSet {
            generation,
            written,
            ..
        } = state.await?;
        let memories = SnapshotPart::Memories {
            page: None,
            memories: written,
        };
        let state = SnapshotState::new(generation, vec![memories]);
        let made = make(empty(), state).await?;
        let (snapshot, _) = made.ok_or_else(|| {
            MemoryError::store(
                ErrorKind::Other,
                "load",
                "memories are too large for a page",
            )
        })?;
        Ok(snapshot)
    }
}

/// The snapshot of an entity's whole state, and the pages that the store would keep.
async fn make(
    empty: EntitySnapshot,
    state: SnapshotState,
) -> MemoryResult<Option<(EntitySnapshot, Vec<SnapshotPage>)>> {
    let (mut memories, mut bytes) = (0, 0);
    for part in &state.parts {
        match part {
            SnapshotPart::Page(content) => {
                memories += SnapshotPage::MAX_MEMORIES;
                bytes += content.len();
            }
            SnapshotPart::Memories { memories: some, .. } => {
                memories += some.len();
                bytes += content_bytes(some);
            }
        }
    }
    if memories > MAX_ON_BLOCKING_THREAD {
        return run_on_own_thread(move |is_wanted| empty.with_state(state, is_wanted)).await;
    }
    let make = move || empty.with_state(state, &|| true);
    run(is_quick(memories, bytes), make).await
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a histogram needs no more than 53 bits"
)]
fn record_lag(since: Generation, latest: Generation) {
    let lag = latest.0.saturating_sub(since.0) as f64;
    memory_metrics::SNAPSHOT_GENERATION_LAG.record(&[], lag);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a histogram needs no more than 53 bits"
)]
fn record_load(is_full: bool, snapshot: &EntitySnapshot, started: Instant) {
    let kind = if is_full {
        memory_metrics::SNAPSHOT_BYTES.record(&[], snapshot.size_bytes() as f64);
        label!("kind": "full")
    } else {
        label!("kind": "changes")
    };
    memory_metrics::SNAPSHOT_LOADS.increment(kind, 1);
    memory_metrics::SNAPSHOT_LOAD_DURATION.record_duration(kind, started.elapsed());
}

async fn apply(base: Arc<EntitySnapshot>, changes: ChangeSet) -> MemoryResult<EntitySnapshot> {
    // A change of a large snapshot copies its list of memories, and may compact
    // all of it.
    let memories = base.len() + changes.written.len() + changes.removed.len();
    let is_quick = is_quick(memories, content_bytes(&changes.written));
    run(is_quick, move || base.apply(changes)).await
}

fn content_bytes(memories: &[EmbeddedMemory]) -> usize {
    let contents = memories.iter().map(|item| item.memory.content.len());
    contents.sum()
}

/// Runs a computation, on a blocking thread where it is not quick.
async fn run<T: Send + 'static>(
    is_quick: bool,
    compute: impl FnOnce() -> T + Send + 'static,
) -> MemoryResult<T> {
    if is_quick {
        return Ok(compute());
    }
    run_blocking("load", compute).await
}

/// Runs a computation that takes long on a thread of its own: a runtime that ends waits for
/// its blocking threads, and may have few of them. Where the system allows no more threads,
/// one of those has to do. `is_wanted` is false from the moment on that the caller is
/// dropped.
async fn run_on_own_thread<T: Send + 'static>(
    compute: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> T + Send + 'static,
) -> MemoryResult<T> {
    let thread = thread::Builder::new().name("memory-snapshot".to_owned());
    run_on(thread, compute).await
}

async fn run_on<T: Send + 'static>(
    thread: thread::Builder,
    compute: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> T + Send + 'static,
) -> MemoryResult<T> {
    let (sender, receiver) = oneshot::channel();
    let work = move || {
        let computed = compute(&|| !sender.is_closed());
        // Where the caller was dropped, the snapshot comes back, and is freed on this thread.
        drop(sender.send(computed));
    };
    // Shared with the new thread: where that cannot be started, its closure is dropped, and the
    // work is still here.
    let work = Arc::new(Mutex::new(Some(work)));
    let take = |work: &Mutex<Option<_>>| work.lock().unwrap_or_else(PoisonError::into_inner).take();
    let given = Arc::clone(&work);
    let started = thread.spawn(move || {
        if let Some(work) = take(&given) {
            work();
        }
    });
    if started.is_err()
        && let Some(work) = take(&work)
    {
        tokio::task::spawn_blocking(work);
    }
    let computed = receiver.await;
    computed.map_err(|ended| {
        let message = "the snapshot's thread ended early";
        MemoryError::store(ErrorKind::Other, "load", message).with_source(ended)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_long_computation_needs_no_blocking_thread_and_ends_when_it_is_not_wanted() {
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.max_blocking_threads(1).build().unwrap();
        let (ended, has_ended) = mpsc::channel();
        let (begun, has_begun) = oneshot::channel();
        runtime.spawn(run_on_own_thread(move |is_wanted| {
            begun.send(()).unwrap();
            while is_wanted() {
                thread::yield_now();
            }
            ended.send(()).unwrap();
        }));
        runtime.block_on(async {
            has_begun.await.unwrap();
            let other = tokio::task::spawn_blocking(|| 7);
            assert_eq!(other.await.unwrap(), 7);
        });
        assert!(has_ended.try_recv().is_err());
        // Drops the task, and does not wait for the thread.
        drop(runtime);
        has_ended.recv().unwrap();
    }

    #[tokio::test]
    async fn a_computation_is_run_where_no_thread_can_be_started() {
        // No system has room for such a stack.
        let impossible = thread::Builder::new().stack_size(1 << 60);
        let running = run_on(impossible, |is_wanted| {
            (is_wanted(), thread::current().id())
        });
        let (is_wanted, thread) = running.await.unwrap();
        assert!(is_wanted);
        assert_ne!(thread, thread::current().id(), "on a worker");
    }

    #[tokio::test]
    async fn what_a_thread_computes_is_returned_and_its_panic_is_an_error() {
        assert_eq!(run_on_own_thread(|_| 7).await.unwrap(), 7);
        let panicking = run_on_own_thread(|_| -> u32 { panic!("in a test") });
        let error = panicking.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Other);
    }
}
