//! [`Store::vector_counts`](memory_core::Store::vector_counts) and
//! [`Store::replace_vectors`](memory_core::Store::replace_vectors), of stores
//! that support them.

use memory_core::{
    EmbeddedMemory, Embedding, EntityId, ErrorKind, Fingerprint, MemoryId, MemoryPatch,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{consolidation, embedding, fingerprint, other_fingerprint, plain};
use crate::store::CheckContext;

/// Vectors of a live and of an archived memory are replaced, and counted; the
/// content stays, and readers of changes get the new vectors.
pub async fn are_replaced(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut live = plain(&mira, "live", &mut rng);
    live.embedding = embedding(2, &mut rng);
    let archived = plain(&mira, "archived", &mut rng);
    context.insert(&[live.clone(), archived.clone()]).await?;
    let read_at = context.generation(&mira).await?;
    let group = consolidation(&mira, "a summary", [archived.memory.id], &mut rng);
    let store = context.store();
    store
        .consolidate(&mira, &[group], read_at)
        .await
        .at("consolidate")?;
    let ids = [live.memory.id, archived.memory.id, rng.id()];
    let Some(counts) = counts(context, &mira, &ids, &fingerprint()).await? else {
        return Ok(());
    };
    ensure_eq!(counts, [2, 1, 0], "vectors before");

    let mut fresh = embedding(3, &mut rng);
    fresh.fingerprint = other_fingerprint();
    let given = ids.map(|id| (id, fresh.clone()));
    let read_at = context.generation(&mira).await?;
    let outcome = store.replace_vectors(&mira, &given, read_at).await;
    let outcome = outcome.at("replace_vectors")?;
    let mut replaced = outcome.replaced;
    replaced.sort_unstable();
    let mut expected = ids[..2].to_vec();
    expected.sort_unstable();
    ensure_eq!(replaced, expected, "replaced");
    ensure_eq!(
        outcome.generation,
        read_at.next(),
        "generation of the outcome"
    );
    ensure_eq!(
        context.generation(&mira).await?,
        read_at.next(),
        "generation"
    );
    let old = self::counts(context, &mira, &ids, &fingerprint()).await?;
    ensure_eq!(old, Some(vec![0, 0, 0]), "old vectors");
    let new = self::counts(context, &mira, &ids, &other_fingerprint()).await?;
    ensure_eq!(new, Some(vec![3, 3, 0]), "new vectors");
    let stored = context.get(&mira, ids[0]).await?;
    ensure_eq!(stored, Some(live.memory), "the memory");

    let changes = store
        .changes_since(&mira, read_at, &other_fingerprint())
        .await;
    let changes = changes.at("changes_since")?;
    let found = changes.written.iter().find(|item| item.memory.id == ids[0]);
    ensure!(
        found.is_some_and(|item| is_close(context, item, &fresh)),
        "the changes have no new vectors"
    );
    let none = store.replace_vectors(&mira, &[], read_at.next()).await;
    let none = none.at("replace_vectors of nothing")?;
    ensure_eq!(none.generation, read_at.next(), "generation after nothing");
    Ok(())
}

/// A memory that was written after its content was read keeps its vectors.
pub async fn of_changed_memories_stay(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let item = plain(&mira, "before", &mut rng);
    let id = item.memory.id;
    context.insert(std::slice::from_ref(&item)).await?;
    let read_at = context.generation(&mira).await?;
    let patch = MemoryPatch::new().content("after");
    let newer = embedding(2, &mut rng);
    let store = context.store();
    store
        .update(&mira, &id, &patch, Some(&newer))
        .await
        .at("update")?;
    let given = [(id, embedding(3, &mut rng))];
    let outcome = match store.replace_vectors(&mira, &given, read_at).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
        outcome => outcome.at("replace_vectors")?,
    };
    ensure_eq!(outcome.replaced, [], "replaced");
    ensure_eq!(outcome.generation, read_at.next(), "generation");
    let counts = counts(context, &mira, &[id], &newer.fingerprint).await?;
    ensure_eq!(counts, Some(vec![2]), "vectors");
    Ok(())
}

/// `None` where the store does not support it.
async fn counts(
    context: &CheckContext,
    entity: &EntityId,
    ids: &[MemoryId],
    fingerprint: &Fingerprint,
) -> Result<Option<Vec<usize>>, CheckFailure> {
    let counts = context.store().vector_counts(entity, ids, fingerprint);
    match counts.await {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
        counts => counts.at("vector_counts").map(Some),
    }
}

fn is_close(context: &CheckContext, item: &EmbeddedMemory, expected: &Embedding) -> bool {
    let pairs = item.embedding.vectors.iter().zip(&expected.vectors);
    item.embedding.vectors.len() == expected.vectors.len()
        && pairs
            .map(|(a, b)| memory_core::cosine(a, b))
            .all(|cosine| context.tolerance().same(cosine, 1.0))
}
