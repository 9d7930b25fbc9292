//! Deleting the pages of memories that are written, archived or removed, in the
//! transaction that does it.

use memory_core::{EntityId, Fingerprint};
use uuid::Uuid;

use crate::connections::connection::Connection;
use crate::connections::transaction::{Transaction, TxOutcome};
use crate::error::Failure;
use crate::rows::EntityRow;
use crate::rows::entity;

/// Pages do not overlap, so the one that may have an id is the first that ends at it or
/// behind it.
pub(crate) const DELETE: &str = "DELETE FROM snapshot_page p WHERE p.entity_id = $1::text \
     AND p.model IS DISTINCT FROM $3::text AND p.last_id IN (\
       SELECT n.last_id FROM (SELECT unnest($2::uuid[]) AS id) u CROSS JOIN LATERAL (\
         SELECT c.first_id, c.last_id FROM snapshot_page c \
         WHERE c.entity_id = $1::text AND c.last_id >= u.id ORDER BY c.last_id LIMIT 1) n \
       WHERE n.first_id <= u.id)";

const DELETE_ALL: &str = "DELETE FROM snapshot_page p WHERE p.entity_id = $1::text";
const FORGET: &str = "UPDATE entity e SET paged_until = NULL, paged_at = NULL \
     WHERE e.entity_id = $1::text";

/// Deletes the pages that have any of these ids, which a transaction writes, archives or
/// removes: every such transaction calls it, and has locked the entity. Without a
/// statement where all ids are greater than those of pages, as those of new memories are.
pub(crate) async fn discard(
    connection: &mut Connection,
    entity: &EntityId,
    entity_row: &EntityRow,
    ids: &[Uuid],
) -> Result<(), Failure> {
    delete(connection, entity, entity_row, ids, None).await
}

/// As [`discard`], of memories that lose the vectors of all models but one, whose pages
/// stay.
pub(crate) async fn discard_vectors(
    connection: &mut Connection,
    entity: &EntityId,
    entity_row: &EntityRow,
    ids: &[Uuid],
    kept: &Fingerprint,
) -> Result<(), Failure> {
    delete(connection, entity, entity_row, ids, Some(kept)).await
}

async fn delete(
    connection: &mut Connection,
    entity: &EntityId,
    entity_row: &EntityRow,
    ids: &[Uuid],
    kept: Option<&Fingerprint>,
) -> Result<(), Failure> {
    let Some(paged_until) = entity_row.paged_until else {
        return Ok(());
    };
    if !entity_row.has_current_pages() {
        return delete_all(connection, entity).await;
    }
    let ids: Vec<Uuid> = ids
        .iter()
        .copied()
        .filter(|id| *id <= paged_until)
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let query = sqlx::query(DELETE).bind(entity.as_str()).bind(ids);
    let query = query.bind(kept.map(Fingerprint::as_str));
    connection.execute(query).await.map(drop)
}

/// Deletes the pages of an entity that a program has written to which knows no pages.
pub(super) struct DiscardOutdated(pub(super) EntityId);

impl Transaction for DiscardOutdated {
    const OPERATION: &'static str = "discard_snapshot_pages";
    type Output = ();

    fn entities(&self) -> Vec<&EntityId> {
        vec![&self.0]
    }

    async fn run(&self, connection: &mut Connection) -> Result<TxOutcome<()>, Failure> {
        let row = entity::lock(connection, &self.0).await?;
        if row.is_none_or(|row| row.has_current_pages()) {
            return Ok(TxOutcome::Rollback(()));
        }
        delete_all(connection, &self.0).await?;
        Ok(TxOutcome::Commit(()))
    }
}

/// Deletes the pages of an entity that a program has written to which knows no pages, and
/// so deleted none.
pub(super) async fn delete_all(
    connection: &mut Connection,
    entity: &EntityId,
) -> Result<(), Failure> {
    for text in [DELETE_ALL, FORGET] {
        let query = sqlx::query(text).bind(entity.as_str());
        connection.execute(query).await?;
    }
    Ok(())
}
