//! The database before and after the run: fills it, and reads what is left.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use memory::{ListRequest, ListScope, Memory, MemoryBatchItem, MemoryResult, MemorySystem};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool, Row};

use super::checker::{Checker, StoredMemory};
use super::content::{MemoryNumber, embedder, entity_name};
use super::plan::{Kind, Plan};
use super::process::Servers;

/// Memories of a batch, and batches at the same time, when the database is filled.
const BATCH: usize = 1_000;
const BATCHES_AT_ONCE: usize = 4;

/// Memories of a page when everything is read.
const PAGE: usize = 1_000;

/// Texts whose vectors are looked up in the shared cache.
pub const SHARED_TEXTS: usize = 200;

/// How long the standby may take to replay what the primary has written.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(120);

/// Tables that are compared between the primary and the standby.
const TABLES: [&str; 7] = [
    "entity",
    "memory",
    "memory_embedding",
    "memory_access",
    "memory_entity",
    "memory_tombstone",
    "snapshot_page",
];

/// Fills the database, and prepares the counting of statements by role.
///
/// # Errors
/// Errors of the memory system and of the server.
pub async fn fill(plan: &Plan, servers: &Servers) -> Result<(), Box<dyn Error>> {
    let memory = MemorySystem::builder()
        .url(&servers.postgres)
        .embedder(embedder())
        .build()
        .await?;
    fill_through(&memory, plan).await?;
    memory.close().await?;
    let pool = connect(&servers.postgres).await?;
    for kind in Kind::ALL {
        let role = format!("CREATE ROLE {} SUPERUSER LOGIN", kind.name());
        sqlx::query(AssertSqlSafe(role)).execute(&pool).await?;
    }
    for statement in [
        "CREATE EXTENSION IF NOT EXISTS pg_stat_statements",
        "VACUUM (ANALYZE)",
    ] {
        sqlx::query(statement).execute(&pool).await?;
    }
    pool.close().await;
    Ok(())
}

/// Fills the database of a system.
///
/// # Errors
/// Errors of the system, and if not all memories were retained.
pub(super) async fn fill_through(memory: &MemorySystem, plan: &Plan) -> Result<(), Box<dyn Error>> {
    let start = Utc::now() - TimeDelta::days(30);
    let all = (0..plan.entities).flat_map(|entity| {
        let memories = plan.filled(entity).enumerate();
        memories.map(move |(index, memory)| (entity, index, memory))
    });
    let mut all = all.peekable();
    let batches = std::iter::from_fn(move || {
        all.peek()?;
        Some(all.by_ref().take(BATCH).collect::<Vec<_>>())
    });
    let filling = stream::iter(batches).map(|batch| {
        let memory = memory.clone();
        async move {
            let items = tokio::task::spawn_blocking(move || items(&batch, start)).await;
            let items = items.unwrap_or_default();
            let retained = memory.retain_batch(items).await?;
            MemoryResult::Ok(retained.len())
        }
    });
    let filled: Vec<usize> = filling
        .buffer_unordered(BATCHES_AT_ONCE)
        .try_collect()
        .await?;
    let filled = filled.into_iter().sum::<usize>();
    if u64::try_from(filled)? != plan.memories() {
        return Err(format!("{filled} of {} memories were filled", plan.memories()).into());
    }
    Ok(())
}

fn items(batch: &[(u32, usize, MemoryNumber)], start: DateTime<Utc>) -> Vec<MemoryBatchItem> {
    let embedder = embedder();
    let item = |(entity, index, memory): &(u32, usize, MemoryNumber)| {
        let seconds = i64::try_from(*index).unwrap_or_default();
        let timestamp = start + TimeDelta::seconds(seconds % 2_000_000);
        memory.item_with_vector(*entity, timestamp, &embedder)
    };
    batch.iter().map(item).collect()
}

async fn connect(url: &str) -> Result<PgPool, sqlx::Error> {
    // The driver knows neither replicas nor the options of the store.
    PgPoolOptions::new().max_connections(1).connect(url).await
}

/// Statements of each role on a server so far.
///
/// # Errors
/// Errors of the server.
pub async fn statements(url: &str) -> Result<HashMap<String, u64>, Box<dyn Error>> {
    let pool = connect(url).await?;
    let rows = sqlx::query(
        "SELECT rolname::text, sum(calls)::bigint FROM pg_stat_statements \
         JOIN pg_roles ON pg_roles.oid = userid GROUP BY rolname",
    )
    .fetch_all(&pool)
    .await?;
    pool.close().await;
    let counts = rows.iter().map(|row| {
        let calls: i64 = row.try_get(1)?;
        Ok((row.try_get(0)?, u64::try_from(calls).unwrap_or_default()))
    });
    Ok(counts.collect::<Result<_, sqlx::Error>>()?)
}

/// Checks what every entity has at the end, and returns how many memories that are.
///
/// # Errors
/// Errors of the memory system.
pub async fn check_store(
    checker: &mut Checker,
    plan: &Plan,
    servers: &Servers,
) -> Result<u64, Box<dyn Error>> {
    let memory = MemorySystem::builder()
        .url(&servers.postgres)
        .embedder(embedder())
        .build()
        .await?;
    let count = check_memories(checker, plan, &memory).await?;
    memory.close().await?;
    Ok(count)
}

/// As [`check_store`], through a system that sees everything.
pub(super) async fn check_memories(
    checker: &mut Checker,
    plan: &Plan,
    memory: &MemorySystem,
) -> MemoryResult<u64> {
    let mut count = 0;
    for entity in 0..plan.entities {
        let mut stored = read_all(memory, entity, ListScope::Live).await?;
        let archived = read_all(memory, entity, ListScope::Archived).await?;
        let summaries: HashSet<_> = archived.iter().filter_map(|it| it.archived_by).collect();
        stored.extend(archived);
        count += stored.len() as u64;
        let stored: Vec<StoredMemory> = stored
            .iter()
            .map(|memory| {
                let number = MemoryNumber::from_id(memory.id);
                StoredMemory {
                    memory: number,
                    is_archived: memory.archived_by.is_some(),
                    is_summary: summaries.contains(&memory.id),
                    has_own_text: number.is_some_and(|it| it.text() == memory.content),
                }
            })
            .collect();
        checker.check_entity(plan, entity, &stored);
    }
    checker.check_batches();
    Ok(count)
}

async fn read_all(
    memory: &MemorySystem,
    entity: u32,
    scope: ListScope,
) -> MemoryResult<Vec<Memory>> {
    let mut request = ListRequest::new(PAGE).scope(scope);
    let mut memories = Vec::new();
    loop {
        let page = memory.list_memories(entity_name(entity), request.clone());
        let page = page.await?;
        memories.extend(page.memories.iter().cloned());
        match page.next {
            Some(next) => request = request.after(next),
            None => return Ok(memories),
        }
    }
}

/// Compares the standby with the primary, once it has replayed everything.
///
/// # Errors
/// Errors of the servers, and if the standby does not replay what the primary has
/// written.
pub async fn check_standby(checker: &mut Checker, servers: &Servers) -> Result<(), Box<dyn Error>> {
    let primary = connect(&servers.postgres).await?;
    let standby = connect(&servers.standby).await?;
    let written: String = sqlx::query_scalar("SELECT pg_current_wal_lsn()::text")
        .fetch_one(&primary)
        .await?;
    let began = Instant::now();
    loop {
        let is_replayed: bool = sqlx::query_scalar("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn")
            .bind(&written)
            .fetch_one(&standby)
            .await?;
        if is_replayed {
            break;
        }
        if began.elapsed() > REPLAY_TIMEOUT {
            return Err("the standby does not replay what the primary has written".into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for table in TABLES {
        let contents = format!(
            "SELECT count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) \
             FROM {table} t"
        );
        let contents = async |pool: &PgPool| -> Result<String, sqlx::Error> {
            let query = sqlx::query_scalar(AssertSqlSafe(contents.clone()));
            query.fetch_one(pool).await
        };
        let is_equal = contents(&primary).await? == contents(&standby).await?;
        checker.check_standby(table, is_equal);
    }
    primary.close().await;
    standby.close().await;
    Ok(())
}

/// Looks up vectors of forgotten texts in the shared cache, and of texts that are not
/// forgotten: returns how many of these it has, and of how many. Where it has none, the
/// look-ups say nothing, and nothing counts as checked.
///
/// # Errors
/// Errors of the memory system.
pub async fn check_shared_cache(
    checker: &mut Checker,
    [forgotten, kept]: [Vec<MemoryNumber>; 2],
    servers: &Servers,
) -> Result<(u64, u64), Box<dyn Error>> {
    let embedder = embedder();
    let memory = MemorySystem::builder()
        .url("sqlite::memory:")
        .embedder(embedder.clone())
        .shared_cache_url(&servers.valkey)
        .shared_cache_budget(Duration::from_secs(5))
        .build()
        .await?;
    let is_shared = async |number: MemoryNumber| -> MemoryResult<bool> {
        let before = embedder.texts();
        memory.generate_embeddings_batch([number.text()]).await?;
        Ok(embedder.texts() == before)
    };
    let (mut found, mut asked) = (0, 0);
    let mut lookups = Vec::new();
    let longest = forgotten.len().max(kept.len());
    for index in 0..longest {
        if let Some(number) = forgotten.get(index) {
            lookups.push((*number, is_shared(*number).await?));
        }
        if let Some(number) = kept.get(index) {
            asked += 1;
            found += u64::from(is_shared(*number).await?);
        }
    }
    memory.close().await?;
    if found > 0 {
        for (number, is_shared) in lookups {
            checker.check_shared(number, is_shared);
        }
    }
    Ok((found, asked))
}
