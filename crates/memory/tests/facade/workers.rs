//! What an async worker does for an operation does not grow with the entity: loading,
//! copying, compacting, searching and freeing a snapshot, and grouping memories.
//!
//! Counts what the only worker of a runtime allocates and frees, and which thread
//! searches.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use memory::{
    ListRequest, MemoryBatchItem, MemoryFilter, MemoryId, MemoryKind, MemoryPatch, MemorySystem,
    RecallPath, RecallRequest,
};
use memory_testkit::HashEmbedder;
use tracing::span;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
}

struct PerThread;

#[global_allocator]
static PER_THREAD: PerThread = PerThread;

#[expect(unsafe_code, reason = "counts, and leaves all else to the system")]
// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for PerThread {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout);
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(layout);
        // SAFETY: as the caller's.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn count(layout: Layout) {
    CALLS.set(CALLS.get() + 1);
    BYTES.set(BYTES.get() + layout.size() as u64);
}

/// Allocations and releases of this thread, and their bytes.
#[derive(Debug, Clone, Copy)]
struct Allocations {
    calls: u64,
    bytes: u64,
}

#[derive(Default)]
struct AllocationsByOperation(BTreeMap<&'static str, Allocations>);

impl AllocationsByOperation {
    async fn measure<T>(&mut self, name: &'static str, operation: impl Future<Output = T>) {
        let (calls, bytes) = (CALLS.get(), BYTES.get());
        drop(operation.await);
        let allocations = Allocations {
            calls: CALLS.get() - calls,
            bytes: BYTES.get() - bytes,
        };
        self.0.insert(name, allocations);
    }
}

/// A subscriber that records the threads that search a snapshot, and whether pages of one
/// are being written.
#[derive(Clone, Default)]
struct Spans(Arc<SpansInner>);

#[derive(Default)]
struct SpansInner {
    search_threads: Mutex<Vec<ThreadId>>,
    page_writers: AtomicUsize,
}

const SEARCH: (u64, &str) = (1, "scan");
const WRITE_PAGES: (u64, &str) = (2, "write_snapshot_pages");

impl Spans {
    async fn pages_are_written(&self) {
        while self.0.page_writers.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl tracing::Subscriber for Spans {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        [SEARCH.1, WRITE_PAGES.1].contains(&metadata.name())
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let (id, _) = if span.metadata().name() == WRITE_PAGES.1 {
            self.0.page_writers.fetch_add(1, Ordering::SeqCst);
            WRITE_PAGES
        } else {
            SEARCH
        };
        span::Id::from_u64(id)
    }

    fn enter(&self, span: &span::Id) {
        if span.into_u64() == SEARCH.0 {
            let thread = thread::current().id();
            self.0.search_threads.lock().unwrap().push(thread);
        }
    }

    fn try_close(&self, span: span::Id) -> bool {
        if span.into_u64() == WRITE_PAGES.0 {
            self.0.page_writers.fetch_sub(1, Ordering::SeqCst);
        }
        true
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn exit(&self, _: &span::Id) {}
}

const SMALL: usize = 1_500;
/// Larger than anything that is done on a worker while it is small.
const LARGE: usize = 9_000;

/// Operations that read the whole entity, and how often at most: their rows pass through the
/// worker in blocks of bounded size, one after the other, on their way to a blocking thread.
const READ_ALL: [(&str, u64); 4] = [
    ("search in the store", 1),
    ("search in the store and load", 2),
    ("load many changes and compact", 2),
    ("consolidate", 1),
];

/// Longer than a load takes, as each recall meanwhile searches the store.
const PAUSE: Duration = Duration::from_secs(2);

#[test]
fn work_on_a_worker_does_not_grow_with_the_entity() {
    let spans = Spans::default();
    tracing::subscriber::set_global_default(spans.clone()).unwrap();
    let [small, large] = [SMALL, LARGE].map(|memories| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        spans.0.search_threads.lock().unwrap().clear();
        let folder = tempfile::tempdir().unwrap();
        runtime.block_on(work_by_operation(&spans, folder.path(), memories))
    });
    let searched = spans.0.search_threads.lock().unwrap();
    assert!(!searched.is_empty());
    assert!(
        !searched.contains(&thread::current().id()),
        "a large snapshot was searched on the worker"
    );
    for (operation, small) in &small {
        let large = large[operation];
        let reads = READ_ALL.iter().find(|(name, _)| name == operation);
        let reads = reads.map_or(0, |(_, reads)| *reads);
        // A row that arrives alone costs the worker an allocation and its release; how
        // many do depends on what else the machine does. Analyzing one costs dozens.
        let more = (LARGE - SMALL) as u64;
        let few_calls = 2 * small.calls
            + if reads > 0 {
                2 * reads * more
            } else {
                more / 2
            };
        let few_bytes = small.bytes * 3 / 2 + 40_000;
        assert!(
            large.calls <= few_calls && (large.bytes <= few_bytes || reads > 0),
            "{operation}: {small:?} with {SMALL} memories, {large:?} with {LARGE}"
        );
    }
}

async fn work_by_operation(
    spans: &Spans,
    folder: &Path,
    memories: usize,
) -> BTreeMap<&'static str, Allocations> {
    let url = format!("sqlite://{}", folder.join("agent.db").display());
    let embedder = HashEmbedder::new().with_dimensions(64);
    let builder = MemorySystem::builder().url(url).embedder(embedder);
    let memory = builder.build().await.unwrap();
    let ids = fill(&memory, memories).await;
    let recall = async || {
        let request = RecallRequest::new("what happened at the mill on day 7?");
        memory.recall("mira", request).await.unwrap()
    };
    // The store answers until the snapshot is loaded in the background.
    let load = async || {
        while recall().await[0].explanation.path == RecallPath::Store {
            tokio::time::sleep(PAUSE).await;
        }
    };
    let mut work = AllocationsByOperation::default();
    work.measure("search in the store", recall()).await;
    work.measure("search in the store and load", load()).await;
    spans.pages_are_written().await;
    work.measure("recall", recall()).await;
    let retain = memory.retain("mira", MemoryKind::World, "The mill has a new wheel.");
    work.measure("retain", retain).await;
    work.measure("recall after a retain", recall()).await;
    let patch = MemoryPatch::new().content("The river froze.");
    let alter = memory.alter_memory("mira", ids[0], patch);
    work.measure("alter", alter).await;
    let delete = memory.delete_memory("mira", ids[1]);
    work.measure("delete", delete).await;
    work.measure("forget", memory.forget("mira", ids[2])).await;
    work.measure("recall after a removal", recall()).await;
    let invalidate = async { memory.invalidate_entity_cache("mira") };
    work.measure("free a snapshot", invalidate).await;

    load().await;
    spans.pages_are_written().await;
    memory.consolidate("mira").await.unwrap();
    work.measure("load many changes and compact", load()).await;
    spans.pages_are_written().await;
    let consolidate = memory.consolidate("mira");
    work.measure("consolidate", consolidate).await;
    let automatically = memory.auto_consolidate_if_needed("mira");
    work.measure("consolidate automatically", automatically)
        .await;
    let list = memory.list_memories("mira", ListRequest::new(10));
    work.measure("list", list).await;
    let count = memory.count_memories("mira", MemoryFilter::new());
    work.measure("count", count).await;
    let clear = async { memory.clear_all_caches() };
    work.measure("clear", clear).await;

    load().await;
    spans.pages_are_written().await;
    work.measure("close", memory.close()).await;
    work.0
}

/// A third of the memories say the same.
async fn fill(memory: &MemorySystem, memories: usize) -> Vec<MemoryId> {
    let items = (0..memories).map(|n| {
        let content = match n % 3 {
            0 => "The mill burned down.".to_owned(),
            _ => format!(
                "On day {n} the miller counted {n} boats, {} carts and {} geese.",
                n % 7,
                n % 11
            ),
        };
        MemoryBatchItem::new("mira", MemoryKind::World, content)
    });
    memory.retain_batch(items).await.unwrap()
}
