//! How far the conversion of words to a new analysis of texts has come.

use sqlx::query_as;
use sqlx::sqlite::SqliteConnection;

use crate::connections::transaction::Transaction;
use crate::error::Failure;
use crate::reindex::analysis_state::AnalysisState;
use crate::rows::row_keys;

/// How far the words of memories are converted to the current analysis of texts; see
/// [`SqliteStore::conversion_progress`](crate::SqliteStore::conversion_progress).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversionProgress {
    /// Whether a conversion has begun; otherwise, the next store that opens the file for
    /// writing and migrates it begins one.
    pub has_begun: bool,
    /// Memories that are converted. Like `memories`, with those that were removed since.
    pub converted: u64,
    /// All memories, archived ones and those that were removed included.
    pub memories: u64,
}

impl ConversionProgress {
    /// The share of memories that are converted, from 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    pub fn share(&self) -> f64 {
        self.converted as f64 / self.memories.max(1) as f64
    }
}

/// Reads the progress; `None` where every memory is converted.
pub(crate) struct ReadProgress;

impl Transaction for ReadProgress {
    type Output = Option<ConversionProgress>;
    const OPERATION: &'static str = "conversion_progress";

    /// Reads one row for each entity: numbers of memories are assigned in order and never
    /// used twice.
    async fn run(self, conn: &mut SqliteConnection) -> Result<Self::Output, Failure> {
        let state = AnalysisState::read(conn).await?.check(Self::OPERATION)?;
        if state.is_converted() {
            return Ok(None);
        }
        let has_begun = state.is_converting();
        let end = if has_begun {
            state.converted_key() + 1
        } else {
            0
        };
        let (memories, converted): (i64, i64) = query_as(
            "SELECT coalesce(sum(next_number), 0),
                 coalesce(sum(max(0, min(next_number, ?1 - entity_key * ?2))), 0)
             FROM entity",
        )
        .bind(end)
        .bind(row_keys::ROWS_PER_OWNER)
        .fetch_one(conn)
        .await?;
        Ok((memories > 0).then_some(ConversionProgress {
            has_begun,
            converted: converted.cast_unsigned(),
            memories: memories.cast_unsigned(),
        }))
    }
}
