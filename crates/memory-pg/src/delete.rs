//! [`Store::delete`](memory_core::Store::delete).

use std::collections::BTreeMap;
use std::sync::Arc;

use memory_core::{EntityId, MemoryId, MemoryResult, RemoveOutcome};

use crate::connection::Connection;
use crate::database::Database;
use crate::entity::{self, CountDeltas};
use crate::error::Failure;
use crate::removal;
use crate::transaction::{Transaction, TxOutcome};

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
        let Some(standing) = entity::lock(connection, &self.entity).await? else {
            return Ok(TxOutcome::Rollback(RemoveOutcome::default()));
        };
        let generation = standing.generation;
        let entity_rows = BTreeMap::from([(self.entity.clone(), standing)]);
        let ids: Vec<_> = self.ids.iter().map(|id| (&self.entity, *id)).collect();
        let mut deltas = CountDeltas::new();
        let mut removed = removal::remove(connection, &ids, &entity_rows, &mut deltas).await?;
        let Some(removed) = removed.remove(&self.entity) else {
            return Ok(TxOutcome::Rollback(RemoveOutcome::new(
                generation,
                Vec::new(),
            )));
        };
        let raised = entity::raise(connection, &deltas).await?;
        removal::compact_tombstones(connection, &raised).await?;
        Ok(TxOutcome::Commit(removed))
    }
}
