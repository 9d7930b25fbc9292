//! When is a snapshot worth loading, and worth waiting for? What a load and a search of the
//! store cost, for entities of several sizes, without snapshot pages and with them.
//!
//! `cargo run --release -p memory --example admission`

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory::MemorySystem;
use memory::sqlite::SqliteStore;
use memory_core::{
    DenseQuery, EmbedRole, Embedder, Generation, MemoryBatchItem, MemoryFilter, MemoryKind,
    SearchRequest, Store,
};
use memory_testkit::HashEmbedder;

const SIZES: [usize; 7] = [100, 200, 500, 700, 1_000, 2_000, 5_000];
const ROUNDS: usize = 9;

/// For the pages of the first load, which are written in the background.
const PAUSE_FOR_PAGES: Duration = Duration::from_secs(1);

#[tokio::main]
#[expect(clippy::print_stdout, reason = "this is what it is for")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("admission.db").display());
    let store = Arc::new(SqliteStore::open(&url).await?);
    let embedder = Arc::new(HashEmbedder::new().with_dimensions(384));
    let open = async || {
        let builder = MemorySystem::builder().store(Arc::clone(&store));
        builder.embedder(Arc::clone(&embedder)).build().await
    };
    let memory = open().await?;
    println!(
        "| memories | first load (ms) | load (ms) | read alone (ms) | search 100 (ms) | search 1,000 (ms) |"
    );
    println!("|---|---|---|---|---|---|");
    for size in SIZES {
        let entity = format!("entity of {size}");
        let items: Vec<_> = (0..size).map(|n| item(&entity, n)).collect();
        memory.retain_batch(items).await?;
        let question = "who walked the horse to the market by the river?";
        let vector = embedder
            .embed(&[question], EmbedRole::Query)
            .await?
            .remove(0);
        let search = |limit| SearchRequest {
            sample: 0,
            filter: MemoryFilter::new(),
            limit,
            dense: Some(DenseQuery {
                chunk_discount: 0.0,
                fingerprint: embedder.profile().fingerprint.clone(),
                vector: vector.clone(),
            }),
            lexical: Some(question.to_owned()),
        };
        let (few, many) = (search(100), search(1_000));
        let owner = entity.as_str().into();
        let first_load = load(&open().await?, &entity, question).await?;
        tokio::time::sleep(PAUSE_FOR_PAGES).await;
        let mut loads = Vec::new();
        for _ in 0..ROUNDS {
            loads.push(load(&open().await?, &entity, question).await?);
        }
        let read = median(async || {
            let fingerprint = &embedder.profile().fingerprint;
            store
                .changes_since(&owner, Generation::ZERO, fingerprint)
                .await
                .map(drop)
        });
        let least = median(async || store.search(&owner, &few).await.map(drop));
        let most = median(async || store.search(&owner, &many).await.map(drop));
        let (read, least, most) = (read.await?, least.await?, most.await?);
        let (first, load) = (milliseconds(first_load), middle(loads));
        println!("| {size} | {first:.2} | {load:.2} | {read:.2} | {least:.2} | {most:.2} |");
    }
    Ok(())
}

fn item(entity: &str, n: usize) -> MemoryBatchItem {
    let words = [
        "horse", "market", "river", "mill", "winter", "bread", "song", "bridge",
    ];
    let word = |step: usize| words[(n * step + step) % words.len()];
    let content = format!(
        "On day {n} the {} stood by the {} and nobody had seen the {} since the {} of the year before.",
        word(1),
        word(3),
        word(5),
        word(7),
    );
    MemoryBatchItem::new(entity, MemoryKind::Experience, content)
        .with_context(format!("week {}", n / 7))
}

/// How long a system without a snapshot takes to load one, with the search of the store that
/// answers meanwhile.
async fn load(
    memory: &MemorySystem,
    entity: &str,
    question: &str,
) -> Result<Duration, Box<dyn Error>> {
    // A small entity is loaded by its first recall, a larger one by its second.
    let mut start = Instant::now();
    memory.recall(entity, question).await?;
    if memory.cache_stats().entity.entries == 0 {
        start = Instant::now();
        memory.recall(entity, question).await?;
    }
    while memory.cache_stats().entity.entries == 0 {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    Ok(start.elapsed())
}

/// In milliseconds.
async fn median<E>(run: impl AsyncFn() -> Result<(), E>) -> Result<f64, E> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        run().await?;
        times.push(start.elapsed());
    }
    Ok(middle(times))
}

fn middle(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    milliseconds(times[times.len() / 2])
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
