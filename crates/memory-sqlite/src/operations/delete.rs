//! [`Store::delete`](memory_core::Store::delete).

use memory_core::{EntityId, Language, MemoryId, RemoveOutcome};
use sqlx::sqlite::SqliteConnection;

use crate::connections::transaction::Transaction;
use crate::error::Failure;
use crate::operations::removal;
use crate::rows::entity;

pub(crate) struct Delete {
    pub(crate) entity: EntityId,
    pub(crate) ids: Vec<MemoryId>,
    pub(crate) language: Option<Language>,
}

impl Transaction for Delete {
    type Output = RemoveOutcome;
    const OPERATION: &'static str = "delete";

    fn erases_content(&self) -> bool {
        !self.ids.is_empty()
    }

    async fn run(self, conn: &mut SqliteConnection) -> Result<RemoveOutcome, Failure> {
        let Some(entity) = entity::find(conn, &self.entity).await? else {
            return Ok(RemoveOutcome::default());
        };
        let Some((outcome, delta)) =
            removal::remove(conn, &self.entity, &entity, &self.ids, self.language).await?
        else {
            return Ok(RemoveOutcome::new(entity.generation, Vec::new()));
        };
        entity::raise(conn, &[(entity.key, delta)].into()).await?;
        Ok(outcome)
    }
}
