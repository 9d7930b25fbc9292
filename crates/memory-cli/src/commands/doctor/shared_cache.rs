//! Check of the shared cache.

use std::time::{Duration, Instant};

use memory::MemoryResult;
use memory::cache::{SharedCache, SharedGroup, SharedKey};

use super::Finding;
use crate::database::Database;
use crate::exit::{Code, Failure};
use crate::shared_cache;

const PART: &str = "shared cache";

/// Of so many calls the quickest counts: others may wait for a busy machine.
const CALLS: usize = 5;

/// Looks up a key that nothing is under; `None` where the settings name no cache.
pub(super) async fn check(database: &Database) -> Option<Finding> {
    const FIX: &str = "correct --shared-cache, MEMORY_SHARED_CACHE or shared_cache, or the server; \
                       without it, answers are the same and every process embeds for itself";
    let cache = match shared_cache::open(database.settings()) {
        Ok(cache) => cache?,
        Err(error) => return Some(Finding::failed(PART, &Failure::from(error))),
    };
    let budget = database.settings().shared_cache_budget();
    let measured = measure(&*cache).await;
    // What was read is what matters.
    let _ = cache.close().await;
    let name = cache.name();
    Some(match measured {
        Ok(time) if time <= budget => {
            Finding::healthy(PART, format!("{name} answers in {time:.1?}"))
        }
        Ok(time) => Finding::wrong(
            PART,
            Code::Unavailable,
            format!("{name} answers in {time:.1?}, and a call is given up after {budget:?}"),
        )
        .with_fix("use a server that is nearer, or raise shared_cache_budget"),
        Err(error) => Finding::failed(PART, &Failure::from(error)).with_fix(FIX),
    })
}

/// How long a call takes on an open connection.
async fn measure(cache: &dyn SharedCache) -> MemoryResult<Duration> {
    let key = [SharedKey::new(SharedGroup([0; 16]), [0; 16])];
    // This one opens the connection.
    cache.get_many(&key).await?;
    let mut least = Duration::MAX;
    for _ in 0..CALLS {
        let began = Instant::now();
        cache.get_many(&key).await?;
        least = least.min(began.elapsed());
    }
    Ok(least)
}
