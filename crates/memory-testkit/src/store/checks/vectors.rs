//! [`Store::vector_counts`](memory_core::Store::vector_counts),
//! [`Store::count_by_model`](memory_core::Store::count_by_model),
//! [`Store::replace_vectors`](memory_core::Store::replace_vectors) and
//! [`Store::remove_other_vectors`](memory_core::Store::remove_other_vectors), of
//! stores that support them.

use std::collections::BTreeMap;

use memory_core::{
    DenseQuery, EmbeddedMemory, Embedding, EntityId, ErrorKind, Fingerprint, Generation,
    MemoryFilter, MemoryId, MemoryPatch, ReplaceVectorsOutcome, SearchRequest, cosine,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{consolidation, embedding, fingerprint, other_fingerprint, plain};
use crate::seeded_rng::SeededRng;
use crate::store::CheckContext;

/// A live and an archived memory get vectors, and they are counted; the content
/// stays, and readers of changes get the new vectors.
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
    ensure_eq!(old, Some(vec![2, 1, 0]), "vectors of the other model");
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
    let Some(outcome) = replace(context, &mira, &given, read_at).await? else {
        return Ok(());
    };
    ensure_eq!(outcome.replaced, [], "replaced");
    ensure_eq!(outcome.generation, read_at.next(), "generation");
    let counts = counts(context, &mira, &[id], &newer.fingerprint).await?;
    ensure_eq!(counts, Some(vec![2]), "vectors");
    Ok(())
}

/// Vectors of two models are stored side by side, for live and archived memories;
/// each is read by itself, and one of them is removed where the other is there.
pub async fn of_other_models_stay_until_removed(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let names = ["archived", "live", "without new vectors"];
    let mut items = names.map(|name| plain(&mira, name, &mut rng));
    for item in &mut items {
        item.embedding = embedding(2, &mut rng);
    }
    context.insert(&items).await?;
    let ids = [0, 1, 2].map(|index: usize| items[index].memory.id);
    let store = context.store();
    let read_at = context.generation(&mira).await?;
    let mut summary = consolidation(&mira, "a summary", [ids[0]], &mut rng);
    summary.summary.embedding.fingerprint = other_fingerprint();
    store
        .consolidate(&mira, &[summary], read_at)
        .await
        .at("consolidate")?;
    let read_at = context.generation(&mira).await?;
    let mut fresh = embedding(1, &mut rng);
    fresh.fingerprint = other_fingerprint();
    let given = [(ids[0], fresh.clone()), (ids[1], fresh.clone())];
    if replace(context, &mira, &given, read_at).await?.is_none() {
        return Ok(());
    }
    let old = counts(context, &mira, &ids, &fingerprint()).await?;
    ensure_eq!(old, Some(vec![2, 2, 2]), "vectors of the first model");
    let new = counts(context, &mira, &ids, &other_fingerprint()).await?;
    ensure_eq!(new, Some(vec![1, 1, 0]), "vectors of the second model");
    ensure_eq!(
        store.count_by_model(&mira).await.at("count_by_model")?,
        BTreeMap::from([(fingerprint(), 3), (other_fingerprint(), 3)]),
        "memories by model"
    );
    for (model, expected) in [
        (fingerprint(), &items[1].embedding),
        (other_fingerprint(), &fresh),
    ] {
        let changes = store.changes_since(&mira, Generation::ZERO, &model).await;
        let changes = changes.at("changes_since")?;
        let found = changes.written.iter().find(|item| item.memory.id == ids[1]);
        ensure!(
            found.is_some_and(|item| is_close(context, item, expected)),
            "a reader does not get the vectors of its model"
        );
    }

    let second = other_fingerprint();
    let removing = store.remove_other_vectors(&mira, &ids, &second);
    let removed = removing.await.at("remove_other_vectors")?;
    ensure_eq!(removed, 2, "memories that lost vectors");
    let old = counts(context, &mira, &ids, &fingerprint()).await?;
    ensure_eq!(
        old,
        Some(vec![0, 0, 2]),
        "vectors of the first model, after"
    );
    let new = counts(context, &mira, &ids, &other_fingerprint()).await?;
    ensure_eq!(new, Some(vec![1, 1, 0]), "vectors of the second, after");
    ensure_eq!(
        store.count_by_model(&mira).await.at("count_by_model")?,
        BTreeMap::from([(fingerprint(), 1), (other_fingerprint(), 3)]),
        "memories by model, after"
    );
    ensure_eq!(
        context.generation(&mira).await?,
        read_at.next(),
        "generation"
    );
    let again = store.remove_other_vectors(&mira, &ids, &second);
    ensure_eq!(again.await.at("remove_other_vectors")?, 0, "removed again");
    let other = context.entity("bran");
    let foreign = store.remove_other_vectors(&other, &ids, &second);
    let foreign = foreign.await.at("remove_other_vectors")?;
    ensure_eq!(foreign, 0, "removed from another entity");
    ensure_eq!(
        store.count_by_model(&other).await.at("count_by_model")?,
        BTreeMap::new(),
        "memories of an entity without any"
    );
    Ok(())
}

/// A new content has the vectors that came with it, and none of the old content
/// by any model.
pub async fn new_content_has_those_of_its_writer(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let Some((item, _)) = insert_with_two_models(context, &mira, &mut rng).await? else {
        return Ok(());
    };
    let id = item.memory.id;
    let store = context.store();
    let patch = MemoryPatch::new().context(Some("a place".to_owned()));
    let patched = store.update(&mira, &id, &patch, None).await;
    patched.at("update of the context")?;
    ensure_eq!(
        counts(context, &mira, &[id], &other_fingerprint()).await?,
        Some(vec![1]),
        "vectors after a patch of the context"
    );
    let patch = MemoryPatch::new().content("after");
    let newer = embedding(1, &mut rng);
    let patched = store.update(&mira, &id, &patch, Some(&newer)).await;
    patched.at("update of the content")?;
    ensure_eq!(
        store.count_by_model(&mira).await.at("count_by_model")?,
        BTreeMap::from([(newer.fingerprint, 1)]),
        "memories by model, after a patch of the content"
    );
    Ok(())
}

/// Vectors of two models stay with their memory while it is archived and after it is
/// restored, a search compares those of its model, and all go with the memory.
pub async fn of_two_models_follow_their_memory(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let Some((item, fresh)) = insert_with_two_models(context, &mira, &mut rng).await? else {
        return Ok(());
    };
    let id = item.memory.id;
    let store = context.store();
    let embeddings = [&item.embedding, &fresh];
    are_compared_apart(context, &mira, embeddings)
        .await
        .at("live")?;
    let group = consolidation(&mira, "a summary", [id], &mut rng);
    let summary = group.summary.memory.id;
    context.consolidate(&mira, &[group]).await?;
    ensure_eq!(
        store.count_by_model(&mira).await.at("count_by_model")?,
        BTreeMap::from([(fingerprint(), 2), (other_fingerprint(), 1)]),
        "memories by model, one of them archived"
    );
    store
        .delete(&mira, &[summary])
        .await
        .at("delete of the summary")?;
    are_compared_apart(context, &mira, embeddings)
        .await
        .at("restored")?;
    store.delete(&mira, &[id]).await.at("delete")?;
    ensure_eq!(
        store.count_by_model(&mira).await.at("count_by_model")?,
        BTreeMap::new(),
        "memories by model, after their removal"
    );
    Ok(())
}

/// Checks that a search for each of the vectors of one memory compares that of its
/// model, of any two.
async fn are_compared_apart(
    context: &CheckContext,
    entity: &EntityId,
    [first, second]: [&Embedding; 2],
) -> CheckResult {
    let query = &first.vectors[0];
    let other = cosine(query, &second.vectors[0]);
    for (embedding, expected) in [(first, 1.0), (second, other)] {
        let request = SearchRequest {
            filter: MemoryFilter::new(),
            limit: 10,
            dense: Some(DenseQuery::new(
                embedding.fingerprint.clone(),
                query.clone(),
            )),
            lexical: None,
            sample: 0,
        };
        let found = context.store().search(entity, &request).await;
        let hits = found.at("search")?.candidates;
        let similarities: Vec<f32> = hits.iter().filter_map(|hit| hit.similarity).collect();
        ensure!(
            matches!(similarities[..], [found] if context.tolerance().same(found, expected)),
            "similarities {similarities:?} by {:?}; only {expected} is right",
            embedding.fingerprint
        );
    }
    Ok(())
}

/// A memory with one vector of each of two models; `None` where the store does not
/// support it.
async fn insert_with_two_models(
    context: &CheckContext,
    entity: &EntityId,
    rng: &mut SeededRng,
) -> Result<Option<(EmbeddedMemory, Embedding)>, CheckFailure> {
    let item = plain(entity, "in two models", rng);
    context.insert(std::slice::from_ref(&item)).await?;
    let read_at = context.generation(entity).await?;
    let mut fresh = embedding(1, rng);
    fresh.fingerprint = other_fingerprint();
    let given = [(item.memory.id, fresh.clone())];
    let replaced = replace(context, entity, &given, read_at).await?;
    Ok(replaced.map(|_| (item, fresh)))
}

/// `None` where the store does not support it.
async fn replace(
    context: &CheckContext,
    entity: &EntityId,
    given: &[(MemoryId, Embedding)],
    read_at: Generation,
) -> Result<Option<ReplaceVectorsOutcome>, CheckFailure> {
    let replacing = context.store().replace_vectors(entity, given, read_at);
    match replacing.await {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
        outcome => outcome.at("replace_vectors").map(Some),
    }
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
