//! The memories of a check, and the writes of its children.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use memory_core::{
    AccessCounting, ByteSize, EmbeddedMemory, Embedder, Embedding, EntityId, MemoryBatchItem,
    MemoryConfig, MemoryId, MemoryKind, Store,
};
use memory_engine::{Engine, RecallHit, RecallPath, RecallRequest};
use memory_moka::MokaBackend;
use memory_sqlite::SqliteStore;
use memory_testkit::{HashEmbedder, SeededRng};
use uuid::Uuid;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// Memories of one insert while the file is made.
pub(super) const BATCH: u64 = 1_000;

/// Maximum number of memories of a write of a child.
pub(super) const MAX_RETAINED: u64 = 20;

/// A number without a common factor with the number of memories, so that memories are
/// forgotten once.
pub(super) const STRIDE: u64 = 7_919;

/// Words that memories are made of.
pub(super) const WORDS: usize = 5_000;

/// The answers of a snapshot and of the store have this many memories.
pub(super) const FIRST: usize = 10;

pub(super) fn entity() -> EntityId {
    EntityId::from("kill check")
}

/// The memory with this number of those that the file has at first.
pub(super) fn first_id(number: u64) -> MemoryId {
    Uuid::from_u128((1 << 96) | u128::from(number)).into()
}

/// A memory that a write of a child retained.
pub(super) fn retained_id(write: u64, number: u64) -> MemoryId {
    Uuid::from_u128((2 << 96) | (u128::from(write) << 16) | u128::from(number)).into()
}

/// The word that only this memory has.
pub(super) fn own_word(id: MemoryId) -> String {
    let (kind, number) = Uuid::from(id).as_u64_pair();
    let prefix = if kind == 1 << 32 { 'f' } else { 'r' };
    format!("{prefix}{number}")
}

/// A text as people write them: some words often, most rarely.
pub(super) fn text(id: MemoryId) -> String {
    let (high, low) = Uuid::from(id).as_u64_pair();
    let mut rng = SeededRng::new(high ^ low);
    let mut text = own_word(id);
    for _ in 0..10 + rng.below(8) {
        let rank = rng.below(WORDS) * rng.below(WORDS) / WORDS;
        text.push(' ');
        text.push_str(&word(rank));
    }
    text
}

pub(super) fn word(rank: usize) -> String {
    const SYLLABLES: [&str; 17] = [
        "ba", "do", "fi", "gu", "ka", "lo", "mi", "nu", "pa", "ro", "si", "tu", "va", "wo", "zi",
        "ke", "re",
    ];
    let (mut rest, mut word) = (rank + SYLLABLES.len(), String::new());
    while rest > 0 {
        word.push_str(SYLLABLES[rest % SYLLABLES.len()]);
        rest /= SYLLABLES.len();
    }
    word
}

/// The write with this number, from 1.
pub(super) enum KilledWrite {
    Retain(Vec<MemoryId>),
    Forget(MemoryId),
}

pub(super) fn write(number: u64, memories: u64) -> KilledWrite {
    match number % 4 {
        0 => KilledWrite::Forget(retained_id(number - 1, 0)),
        2 => KilledWrite::Forget(first_id(number * STRIDE % memories)),
        _ => {
            let numbers = 0..1 + number % MAX_RETAINED;
            KilledWrite::Retain(numbers.map(|it| retained_id(number, it)).collect())
        }
    }
}

pub(super) fn embedder(dimensions: usize) -> HashEmbedder {
    HashEmbedder::new().with_dimensions(dimensions)
}

pub(super) fn embedded(
    entity: EntityId,
    id: MemoryId,
    content: String,
    embedder: &HashEmbedder,
) -> Outcome<EmbeddedMemory> {
    let vectors = vec![embedder.vector(&content)];
    let item = MemoryBatchItem::new(entity, MemoryKind::Experience, content).with_id(id);
    Ok(EmbeddedMemory {
        memory: item.into_memory(chrono::Utc::now())?,
        embedding: Embedding {
            fingerprint: embedder.profile().fingerprint.clone(),
            vectors,
        },
    })
}

pub(super) async fn open(path: &Path) -> Outcome<Arc<SqliteStore>> {
    Ok(Arc::new(
        SqliteStore::open(&format!("sqlite://{}", path.display())).await?,
    ))
}

/// A system on the store. `snapshots`: whether it may cache any.
pub(super) fn engine(
    store: &Arc<SqliteStore>,
    dimensions: usize,
    snapshots: bool,
) -> Outcome<Engine> {
    let config = MemoryConfig {
        entity_cache_max_bytes: match snapshots {
            true => ByteSize::mebibytes(8 * 1024),
            false => ByteSize::mebibytes(1),
        },
        cache_ttl_seconds: 3_600,
        cache_tti_seconds: 3_600,
        access_counting: AccessCounting::Off,
        ..MemoryConfig::default()
    };
    let store = Arc::clone(store) as Arc<dyn Store>;
    let engine = Engine::builder(MokaBackend).config(config);
    Ok(engine.build(store, Arc::new(embedder(dimensions)))?)
}

pub(super) async fn recall(engine: &Engine, text: &str) -> Outcome<Vec<RecallHit>> {
    let request = RecallRequest::new(text).limit(FIRST);
    Ok(engine.recall(&entity(), &request).await?)
}

pub(super) fn path_of(hits: &[RecallHit]) -> Option<RecallPath> {
    hits.first().map(|hit| hit.explanation.path)
}

/// Recalls until a snapshot answers.
pub(super) async fn load_snapshot(engine: &Engine) -> Outcome<()> {
    while path_of(&recall(engine, &word(0)).await?) != Some(RecallPath::Snapshot) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
