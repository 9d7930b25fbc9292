//! What an insert has to know before it writes, read in one call of the driver.

use std::collections::{BTreeMap, HashMap};

use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use memory_core::{EmbeddedMemory, EntityId, Fingerprint, MemoryId};
use sqlx::sqlite::{SqliteConnection, SqliteQueryResult, SqliteRow};
use sqlx::{Either, Executor, Row, query};

use crate::connections::blocking::fold_rows;
use crate::error::Failure;
use crate::reindex::analysis_state::{AnalysisState, analysis_columns};
use crate::rows::embedding_space::EmbeddingSpace;
use crate::rows::{self, EntityRow, entity_columns, to_json};

/// The rows of the entities of a batch.
pub(crate) type Entities<'b> = BTreeMap<&'b EntityId, EntityRow>;

/// Embedding spaces by the key of their entity and by their model.
pub(crate) type Spaces = BTreeMap<(i64, Fingerprint), EmbeddingSpace>;

/// What is stored of a batch.
pub(crate) struct InsertLookup<'b> {
    /// `None` where one does not exist yet.
    pub(crate) entities: Option<Entities<'b>>,
    /// The contents of those memories of the batch that are stored, by the key of
    /// their entity and their id.
    pub(crate) contents: HashMap<(i64, MemoryId), String>,
    /// All embedding spaces of the entities.
    pub(crate) spaces: Spaces,
    pub(crate) analysis: AnalysisState,
}

/// The parameter has for each entity its name and the ids of its memories.
const LOOKUP: &str = concat!(
    "SELECT ",
    entity_columns!(),
    " FROM jsonb_each(?1) AS own CROSS JOIN entity AS e ON e.entity_id = own.value ->> 0
      ORDER BY own.key;

      SELECT m.entity_key, m.memory_id, m.content
      FROM jsonb_each(?1) AS own
      CROSS JOIN entity AS e ON e.entity_id = own.value ->> 0
      CROSS JOIN jsonb_each(own.value, '$[1]') AS wanted
      CROSS JOIN memory AS m
          ON m.entity_key = e.entity_key AND m.memory_id = unhex(wanted.value);

      SELECT s.space_key, s.dimensions, s.entity_key, s.fingerprint
      FROM jsonb_each(?1) AS own
      CROSS JOIN entity AS e ON e.entity_id = own.value ->> 0
      CROSS JOIN embedding_space AS s ON s.entity_key = e.entity_key;

      SELECT ",
    analysis_columns!(),
    " FROM text_analysis AS t"
);

impl<'b> InsertLookup<'b> {
    pub(crate) async fn run(
        conn: &mut SqliteConnection,
        batch: &'b [EmbeddedMemory],
    ) -> Result<Self, Failure> {
        let mut wanted: BTreeMap<&EntityId, Vec<String>> = BTreeMap::new();
        for EmbeddedMemory { memory, .. } in batch {
            let ids = wanted.entry(&memory.entity_id).or_default();
            ids.push(rows::encode_id(&memory.id));
        }
        let json = to_json(&wanted.iter().collect::<Vec<_>>())?;
        let mut results = conn.fetch_many(query(LOOKUP).bind(json));
        let rows: Vec<SqliteRow> = next_rows(&mut results).try_collect().await?;
        let entities = wanted.keys().zip(&rows);
        let entities = entities.map(|(name, row)| Ok((*name, EntityRow::decode(row)?)));
        let is_complete = rows.len() == wanted.len();
        let entities = is_complete.then(|| entities.collect::<Result<_, Failure>>());
        let contents: HashMap<(i64, MemoryId), String> = HashMap::new();
        let contents = fold_rows(next_rows(&mut results), contents, |contents, row| {
            let id = rows::decode_id(row.try_get(1)?)?;
            contents.insert((row.try_get(0)?, id), row.try_get(2)?);
            Ok(())
        })
        .await?;
        let rows: Vec<SqliteRow> = next_rows(&mut results).try_collect().await?;
        let spaces = rows.iter().map(|row| {
            let fingerprint: String = row.try_get(3)?;
            let key = (row.try_get(2)?, fingerprint.into());
            Ok((key, EmbeddingSpace::decode(row)?))
        });
        let spaces = spaces.collect::<Result<_, Failure>>()?;
        let rows: Vec<SqliteRow> = next_rows(&mut results).try_collect().await?;
        let state = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok(Self {
            analysis: AnalysisState::decode(state, 0)?,
            entities: entities.transpose()?,
            contents,
            spaces,
        })
    }
}

/// The rows of the next one of several statements.
fn next_rows(
    results: &mut (impl Stream<Item = sqlx::Result<Either<SqliteQueryResult, SqliteRow>>> + Unpin),
) -> impl Stream<Item = sqlx::Result<SqliteRow>> + Unpin {
    stream::poll_fn(move |context| {
        results.poll_next_unpin(context).map(|next| match next? {
            Ok(Either::Right(row)) => Some(Ok(row)),
            Ok(Either::Left(_)) => None,
            Err(error) => Some(Err(error)),
        })
    })
}
