//! Archiving memories, so that searches skip them, and restoring them.

use std::collections::BTreeMap;

use memory_core::{Language, MemoryId};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Row, query};

use crate::connections::blocking::{fold_rows, run_blocking};
use crate::error::Failure;
use crate::reindex::analysis_state::AnalysisState;
use crate::rows::entity::CountDelta;
use crate::rows::{self, EntityRow, to_json};
use crate::search::lexical;

/// Archives live memories: their keys, each with the summary that replaces it.
/// Returns the change of their entity's counts.
pub(crate) async fn archive(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    memories: &BTreeMap<i64, MemoryId>,
) -> Result<CountDelta, Failure> {
    let rows: Vec<_> = memories
        .iter()
        .map(|(key, summary)| (key, rows::encode_id(summary)))
        .collect();
    let archived = query(
        "UPDATE memory SET archived_by = unhex(one.value ->> 1), version = ?2
         FROM jsonb_each(?1) AS one WHERE memory_key = one.value ->> 0
         RETURNING word_count",
    )
    .bind(to_json(&rows)?)
    .bind(entity.generation.next().0.cast_signed())
    .fetch_all(&mut *conn)
    .await?;
    let mut delta = CountDelta::default();
    for row in &archived {
        delta.memories -= 1;
        delta.archived += 1;
        delta.words -= row.try_get::<i64, _>(0)?;
    }
    let keys = to_json(&memories.keys().collect::<Vec<_>>())?;
    query(lexical::DELETE_ENTRIES)
        .bind(&keys)
        .execute(&mut *conn)
        .await?;
    for sql in [
        concat!(
            "INSERT INTO archived_embedding SELECT embedding_key, vectors FROM memory_embedding ",
            embeddings_of!()
        ),
        concat!("DELETE FROM memory_embedding ", embeddings_of!()),
    ] {
        query(sql)
            .bind(entity.key)
            .bind(&keys)
            .execute(&mut *conn)
            .await?;
    }
    Ok(delta)
}

/// Makes archived memories live again, by their keys. Returns the change of
/// their entity's counts.
pub(crate) async fn restore(
    conn: &mut SqliteConnection,
    entity: &EntityRow,
    keys: &[i64],
    language: Option<Language>,
) -> Result<CountDelta, Failure> {
    if keys.is_empty() {
        return Ok(CountDelta::default());
    }
    AnalysisState::read(conn).await?.check("restore")?;
    let json = to_json(&keys)?;
    let rows = query(
        "UPDATE memory SET archived_by = NULL, version = ?2
         WHERE memory_key IN (SELECT value FROM json_each(?1))
         RETURNING memory_key, content, word_count",
    )
    .bind(&json)
    .bind(entity.generation.next().0.cast_signed())
    .fetch(&mut *conn);
    let restored = (Vec::new(), CountDelta::default());
    let (contents, delta) = fold_rows(rows, restored, |(contents, delta), row| {
        contents.push((row.try_get::<i64, _>(0)?, row.try_get::<String, _>(1)?));
        delta.memories += 1;
        delta.archived -= 1;
        delta.words += row.try_get::<i64, _>(2)?;
        Ok(())
    })
    .await?;
    let entity_key = entity.key;
    let entries = run_blocking(contents.len(), move || {
        let entry = |(key, content): (i64, String)| {
            (key, lexical::index_entry(entity_key, &content, language).0)
        };
        to_json(&contents.into_iter().map(entry).collect::<Vec<_>>())
    })
    .await??;
    query(lexical::INSERT_ENTRIES)
        .bind(entries)
        .execute(&mut *conn)
        .await?;
    for sql in [
        concat!(
            "INSERT INTO memory_embedding SELECT embedding_key, vectors FROM archived_embedding ",
            embeddings_of!()
        ),
        concat!("DELETE FROM archived_embedding ", embeddings_of!()),
    ] {
        query(sql)
            .bind(entity.key)
            .bind(&json)
            .execute(&mut *conn)
            .await?;
    }
    Ok(delta)
}

/// Selects the vectors of memories, of every model: `?1` is the entity's key, `?2` the memories' keys as JSON.
macro_rules! embeddings_of {
    () => {
        "WHERE embedding_key IN (
             SELECT one.value + (s.space_key - s.entity_key) * 4294967296
             FROM embedding_space AS s, json_each(?2) AS one WHERE s.entity_key = ?1)"
    };
}
pub(crate) use embeddings_of;
