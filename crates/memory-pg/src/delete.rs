//! [`Store::delete`](memory_core::Store::delete).

use std::collections::BTreeMap;
use std::sync::Arc;

use memory_core::{EntityId, MemoryId, MemoryResult, RemoveOutcome};

use crate::database::{Database, Link};
use crate::entity::{self, Tallies};
use crate::error::Failure;
use crate::remove;
use crate::write::{End, Write, write};

const OPERATION: &str = "delete";

pub(crate) async fn delete(
    database: &Arc<Database>,
    entity: &EntityId,
    ids: &[MemoryId],
) -> MemoryResult<RemoveOutcome> {
    database.open(OPERATION)?;
    let delete = Delete {
        entity: entity.clone(),
        ids: ids.to_vec(),
    };
    write(database, delete).await
}

struct Delete {
    entity: EntityId,
    ids: Vec<MemoryId>,
}

impl Write for Delete {
    const OPERATION: &'static str = OPERATION;
    type Outcome = RemoveOutcome;

    fn entities(&self) -> Vec<&EntityId> {
        vec![&self.entity]
    }

    async fn attempt(&self, link: &mut Link) -> Result<End<RemoveOutcome>, Failure> {
        let Some(standing) = entity::lock(link, &self.entity).await? else {
            return Ok(End::Rollback(RemoveOutcome::default()));
        };
        let generation = standing.generation;
        let standings = BTreeMap::from([(self.entity.clone(), standing)]);
        let ids: Vec<_> = self.ids.iter().map(|id| (&self.entity, *id)).collect();
        let mut tallies = Tallies::new();
        let mut removed = remove::remove(link, &ids, &standings, &mut tallies).await?;
        let Some(removed) = removed.remove(&self.entity) else {
            return Ok(End::Rollback(RemoveOutcome {
                generation,
                ..RemoveOutcome::default()
            }));
        };
        entity::raise(link, &tallies).await?;
        Ok(End::Commit(removed))
    }
}
