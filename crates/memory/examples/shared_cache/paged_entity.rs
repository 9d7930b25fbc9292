//! Entities with random vectors and snapshot pages, as after the first questions to an
//! entity, for the examples `shared_cache` and `shared_snapshots`.

use std::error::Error;
use std::time::{Duration, Instant};

use memory::{MemoryBatchItem, MemoryKind, MemorySystem};
use memory_testkit::SeededRng;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The numbers of memories that are compared where none are given.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

/// Components of each vector, as many as those of the default model.
pub(crate) const DIMENSIONS: usize = 384;

/// Memories of one batch.
const BATCH: usize = 1_000;

/// Memories of a full page.
const PAGE: usize = 128;

/// The stores keep no pages of an entity with fewer memories.
pub(crate) const MIN_PAGED: usize = 4 * PAGE;

/// How often the pages are counted until all are there.
const POLL: Duration = Duration::from_millis(100);

/// How long to wait for one more page. A snapshot that is larger than the cache never has
/// any.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// The numbers of memories that the arguments name; the default ones if there are none.
pub(crate) fn parse_sizes(arguments: &[impl AsRef<str>]) -> Outcome<Vec<usize>> {
    if arguments.is_empty() {
        return Ok(SIZES.to_vec());
    }
    let sizes = arguments.iter().map(|argument| {
        let argument = argument.as_ref();
        let size = argument.parse();
        size.map_err(|_| format!("{argument:?} is no number of memories, such as 1000").into())
    });
    sizes.collect()
}

/// Retains so many memories with random vectors, and with the content of each number. The
/// vectors of a model compress as badly as these.
pub(crate) async fn fill(
    memory: &MemorySystem,
    entity: &str,
    size: usize,
    content: impl Fn(usize) -> String,
) -> Outcome {
    let mut rng = SeededRng::new(1);
    for begin in (0..size).step_by(BATCH) {
        let numbers = begin..size.min(begin + BATCH);
        let items = numbers.map(|n| {
            let item = MemoryBatchItem::new(entity, MemoryKind::World, content(n));
            item.with_embedding(rng.vector(DIMENSIONS))
        });
        memory.retain_batch(items).await?;
    }
    Ok(())
}

/// Asks until there are pages of all memories that fill one, by a function that counts
/// them.
pub(crate) async fn make_pages(
    memory: &MemorySystem,
    entity: &str,
    size: usize,
    count: impl AsyncFn() -> Outcome<usize>,
) -> Outcome {
    if size < MIN_PAGED {
        return Ok(());
    }
    let expected = size / PAGE;
    let (mut pages, mut since) = (0, Instant::now());
    loop {
        memory.recall(entity, "who heard the bell?").await?;
        let now = count().await?;
        if now >= expected {
            return Ok(());
        }
        if now > pages {
            (pages, since) = (now, Instant::now());
        } else if since.elapsed() > MAX_WAIT {
            let wait = MAX_WAIT.as_secs();
            let message = format!(
                "{pages} of {expected} snapshot pages are there, and no other one was written in \
                 {wait} s; try fewer than {size} memories"
            );
            return Err(message.into());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// How many pages an entity has on PostgreSQL.
#[cfg(feature = "postgres")]
pub(crate) async fn count_pages(database: &str, entity: &str) -> Outcome<usize> {
    let mut connection = connect(database).await?;
    let sql = "SELECT count(*) FROM snapshot_page WHERE entity_id = $1";
    let count = sqlx::query_scalar::<_, i64>(sql).bind(entity);
    Ok(usize::try_from(count.fetch_one(&mut connection).await?)?)
}

#[cfg(feature = "postgres")]
pub(crate) async fn connect(url: &str) -> Outcome<sqlx::PgConnection> {
    Ok(<sqlx::PgConnection as sqlx::Connection>::connect(url).await?)
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
