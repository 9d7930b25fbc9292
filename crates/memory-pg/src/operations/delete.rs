//! [`Store::delete`](memory_core::Store::delete).

use std::sync::Arc;

use memory_core::{EntityId, MemoryId, MemoryResult, RemoveOutcome};

use crate::connections::connection::Connection;
use crate::connections::database::Database;
use crate::connections::transaction::{Transaction, TxOutcome};
use crate::error::Failure;
use crate::operations::removal;
use crate::rows::entity::{self, CountDelta, CountDeltas};

const OPERATION: &str = "delete";

pub(crate) async fn delete(
    database: &Arc<Database>,
    entity: &EntityId,
    ids: &[MemoryId],
) -> MemoryResult<RemoveOutcome> {
    database.check_open(OPERATION)?;
    let delete = Delete {
        entity: entity.clone(),
        ids: ids.to_vec(),
    };
    database.write(delete).await
}

struct Delete {
    entity: EntityId,
    ids: Vec<MemoryId>,
}

impl Transaction for Delete {
    const OPERATION: &'static str = OPERATION;
    type Output = RemoveOutcome;

    fn entities(&self) -> Vec<&EntityId> {
        vec![&self.entity]
    }

    async fn run(&self, connection: &mut Connection) -> Result<TxOutcome<RemoveOutcome>, Failure> {
        let Some(entity_row) = entity::lock(connection, &self.entity).await? else {
            return Ok(TxOutcome::Rollback(RemoveOutcome::default()));
        };
        let mut delta = CountDelta::default();
        let removed =
            removal::remove(connection, &self.entity, &self.ids, &entity_row, &mut delta).await?;
        let Some(removed) = removed else {
            return Ok(TxOutcome::Rollback(RemoveOutcome::new(
                entity_row.generation,
                Vec::new(),
            )));
        };
        let deltas = CountDeltas::from([(self.entity.clone(), delta)]);
        let raised = entity::raise(connection, &deltas).await?;
        removal::compact_tombstones(connection, &raised).await?;
        Ok(TxOutcome::Commit(removed))
    }
}
