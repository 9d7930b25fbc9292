//! What the tiers say they hold is what they hold: held against an allocator
//! that counts.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use memory_core::{
    AccessCounting, EntityId, MemoryBatchItem, MemoryConfig, MemoryId, MemoryKind, MemoryPatch,
};
use memory_engine::{Engine, RecallPath, RecallRequest};
use memory_testkit::{HashEmbedder, InMemoryStore, MapBackend, SeededRng};

/// Bytes allocated and not yet freed.
static LIVE: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

#[expect(unsafe_code, reason = "counts, and leaves all else to the system")]
// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::SeqCst);
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: as the caller's.
        unsafe { System.dealloc(memory, layout) }
    }
}

type Shape = fn(&mut SeededRng, usize) -> MemoryBatchItem;

fn words(random: &mut SeededRng, count: usize) -> String {
    let word = |random: &mut SeededRng| format!("word{}", random.below(40).pow(2));
    let words: Vec<String> = (0..count).map(|_| word(random)).collect();
    words.join(" ")
}

fn plain(random: &mut SeededRng, _: usize) -> MemoryBatchItem {
    MemoryBatchItem::new("mira", MemoryKind::Experience, words(random, 15))
}

fn labeled(random: &mut SeededRng, n: usize) -> MemoryBatchItem {
    let id = MemoryId::new();
    let (place, hour) = (random.below(20), random.below(1_000));
    let mut item = plain(random, n)
        .with_id(id)
        .with_context(format!("session {}", n / 20))
        .with_metadata("place", format!("place {place}"))
        .with_metadata("hour", format!("hour {hour}"))
        .with_entity(format!("person {}", n % 30), "speaker")
        .with_tag(format!("topic {}", n % 50));
    if n.is_multiple_of(3) {
        item = item.with_tag("important").with_tag(format!("scene {n}"));
    }
    item
}

fn long(random: &mut SeededRng, _: usize) -> MemoryBatchItem {
    MemoryBatchItem::new("mira", MemoryKind::World, words(random, 300))
}

fn within_10_percent(said: u64, truth: usize, what: &str) {
    #[expect(clippy::cast_precision_loss, reason = "bytes of a test")]
    let ratio = said as f64 / truth as f64;
    assert!(
        (0.9..=1.1).contains(&ratio),
        "{what}: said {said}, held {truth}, ratio {ratio:.3}"
    );
}

/// One test in this program, so that nobody else allocates meanwhile.
#[test]
fn the_tiers_hold_what_they_say() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let shapes: [(&str, Shape, usize, usize); 4] = [
        ("plain, 64 dimensions", plain, 900, 64),
        ("plain, 384 dimensions", plain, 300, 384),
        ("labeled", labeled, 900, 384),
        ("long", long, 300, 384),
    ];
    for (what, shape, count, dimensions) in shapes {
        runtime.block_on(measure(what, shape, count, dimensions));
    }
}

async fn measure(what: &str, shape: Shape, count: usize, dimensions: usize) {
    let config = MemoryConfig {
        access_counting: AccessCounting::Off,
        ..MemoryConfig::default()
    };
    let embedder = HashEmbedder::new().with_dimensions(dimensions);
    let engine = Engine::builder(MapBackend)
        .config(config)
        .build(Arc::new(InMemoryStore::new()), Arc::new(embedder))
        .unwrap();
    let (mira, mut random) = (EntityId::from("mira"), SeededRng::new(7));
    let items = (0..count).map(|n| shape(&mut random, n)).collect();
    let ids = engine.retain_batch(items).await.unwrap();
    // The store answers until the snapshot is loaded.
    let load = async || {
        let request = RecallRequest::new("word4 word9");
        let path = async || {
            engine.recall(&mira, &request).await.unwrap()[0]
                .explanation
                .path
        };
        while path().await == RecallPath::Store {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    load().await;
    let loaded = engine.cache_stats().entity.bytes;
    within_10_percent(
        loaded,
        freed(|| engine.invalidate_entity_cache(&mira)),
        what,
    );

    // A snapshot that followed many writes, each sharing with the one before.
    load().await;
    assert!(engine.cache_stats().entity.bytes > 0);
    for (n, id) in ids.iter().enumerate().take(count / 2) {
        if n.is_multiple_of(2) {
            engine.delete_memory(&mira, id).await.unwrap();
        } else {
            let patch = MemoryPatch::new().content(words(&mut random, 12));
            engine.alter_memory(&mira, id, &patch).await.unwrap();
        }
    }
    load().await;
    let followed = engine.cache_stats().entity.bytes;
    let what = format!("{what}, after writes");
    within_10_percent(
        followed,
        freed(|| engine.invalidate_entity_cache(&mira)),
        &what,
    );

    // By id: what belongs to a memory, as the rest lies in the cache's own map.
    engine.clear_all_caches();
    let memories = engine.get_memories(&mira, &ids).await.unwrap();
    let said: usize = memories
        .iter()
        .flatten()
        .map(|memory| memory.size_bytes())
        .sum();
    drop(memories);
    let what = format!("{what}, by id");
    within_10_percent(said as u64, freed(|| engine.clear_all_caches()), &what);
}

fn freed(let_go: impl FnOnce()) -> usize {
    let before = LIVE.load(Ordering::SeqCst);
    let_go();
    before - LIVE.load(Ordering::SeqCst)
}
