//! [`Store::vector_counts`](memory_core::Store::vector_counts),
//! [`Store::count_by_model`](memory_core::Store::count_by_model),
//! [`Store::replace_vectors`](memory_core::Store::replace_vectors) and
//! [`Store::remove_other_vectors`](memory_core::Store::remove_other_vectors), of
//! stores that support them.

use std::collections::BTreeMap;

use memory_core::{
    DenseQuery, EmbeddedMemory, Embedding, EntityId, ErrorKind, Fingerprint, Generation,
    MemoryFilter, MemoryId, MemoryPatch, MemoryResult, ReplaceVectorsOutcome, SearchRequest,
    cosine,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq, refused};
use crate::fixtures::{
    DIMENSIONS, consolidation, embedding, fingerprint, other_fingerprint, plain,
};
use crate::seeded_rng::SeededRng;
use crate::store::CheckContext;

/// The four methods that embed memories again are supported together, or none is.
pub async fn are_supported_together(context: &CheckContext) -> CheckResult {
    fn is_supported<T>(result: MemoryResult<T>) -> Result<bool, CheckFailure> {
        match result {
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(false),
            result => result.map(|_| true).map_err(CheckFailure::from),
        }
    }
    let mira = context.entity("mira");
    let (store, model) = (context.store(), fingerprint());
    let generation = Generation::ZERO;
    let support = [
        is_supported(store.vector_counts(&mira, &[], &model).await).at("vector_counts")?,
        is_supported(store.count_by_model(&mira).await).at("count_by_model")?,
        is_supported(store.replace_vectors(&mira, &[], generation).await).at("replace_vectors")?,
        is_supported(store.remove_other_vectors(&mira, &[], &model).await)
            .at("remove_other_vectors")?,
    ];
    let [counts, by_model, replaces, removes] = support;
    if support == [false; 4] {
        return Err(not_supported());
    }
    ensure!(
        support == [true; 4],
        "supported are vector_counts: {counts}, count_by_model: {by_model}, \
         replace_vectors: {replaces}, remove_other_vectors: {removes}"
    );
    Ok(())
}

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
    let counts = counts(context, &mira, &ids, &fingerprint()).await?;
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
    ensure_eq!(old, vec![2, 1, 0], "vectors of the other model");
    let new = self::counts(context, &mira, &ids, &other_fingerprint()).await?;
    ensure_eq!(new, vec![3, 3, 0], "new vectors");
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
    let outcome = replace(context, &mira, &given, read_at).await?;
    ensure_eq!(outcome.replaced, [], "replaced");
    ensure_eq!(outcome.generation, read_at.next(), "generation");
    let counts = counts(context, &mira, &[id], &newer.fingerprint).await?;
    ensure_eq!(counts, vec![2], "vectors");
    Ok(())
}

/// Where two entities have memories of the same ids, each has its own vectors.
pub async fn of_equal_ids_are_kept_apart(context: &CheckContext) -> CheckResult {
    let mut rng = context.rng();
    let (mira, tam) = (context.entity("mira"), context.entity("tam"));
    let ids = [rng.id(), rng.id()];
    let mut batch = Vec::new();
    for (entity, chunks) in [(&mira, 1), (&tam, 2)] {
        for id in ids {
            let mut item = plain(entity, format!("of {entity}"), &mut rng);
            item.memory.id = id;
            item.embedding = embedding(chunks, &mut rng);
            batch.push(item);
        }
    }
    context.insert(&batch).await?;
    let store = context.store();
    let (first, second) = (fingerprint(), other_fingerprint());
    let before = context.entity_dump(&tam).await?;
    let mut other = embedding(3, &mut rng);
    other.fingerprint = second.clone();
    let given = [(ids[0], embedding(3, &mut rng)), (ids[1], other)];
    let read_at = context.generation(&mira).await?;
    replace(context, &mira, &given, read_at).await?;
    let removing = store.remove_other_vectors(&mira, &ids, &second);
    ensure_eq!(removing.await.at("remove_other_vectors")?, 1, "removed");
    let after = context.entity_dump(&tam).await?;
    ensure!(after == before, "another entity's memories have changed");
    for (entity, model, wanted) in [
        (&mira, &first, vec![3, 0]),
        (&mira, &second, vec![0, 3]),
        (&tam, &first, vec![2, 2]),
        (&tam, &second, vec![0, 0]),
    ] {
        let found = counts(context, entity, &ids, model).await?;
        ensure_eq!(found, wanted, "vectors of {entity} by {model}");
    }
    for (entity, wanted) in [
        (&mira, BTreeMap::from([(first.clone(), 1), (second, 1)])),
        (&tam, BTreeMap::from([(first, 2)])),
    ] {
        let found = store.count_by_model(entity).await.at("count_by_model")?;
        ensure_eq!(found, wanted, "memories of {entity} by model");
    }
    Ok(())
}

/// Vectors that an insert refuses are refused, and no memory of the call gets others.
pub async fn that_replace_are_valid(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let batch = ["one", "two"].map(|content| plain(&mira, content, &mut rng));
    let ids = [0, 1].map(|index: usize| batch[index].memory.id);
    context.insert(&batch).await?;
    let before = context.entity_dump(&mira).await?;
    let read_at = context.generation(&mira).await?;
    let max = context.store().capabilities().max_dimensions;
    let spoilt = |value: f32| {
        let mut vector = vec![0.5; DIMENSIONS];
        vector[DIMENSIONS - 1] = value;
        vector
    };
    let bad = [
        ("no vector", vec![]),
        ("no components", vec![vec![]]),
        ("NaN", vec![spoilt(f32::NAN)]),
        ("infinity", vec![spoilt(f32::INFINITY)]),
        ("all zeros", vec![vec![0.0; DIMENSIONS]]),
        (
            "unequal lengths",
            vec![spoilt(0.5), vec![0.5; DIMENSIONS + 1]],
        ),
        ("too many dimensions", vec![rng.vector(max + 1)]),
    ];
    for (what, vectors) in bad {
        let given = [
            (ids[0], embedding(2, &mut rng)),
            (ids[1], Embedding::new(fingerprint(), vectors)),
        ];
        let replacing = context.store().replace_vectors(&mira, &given, read_at);
        match replacing.await {
            Err(error) if error.kind() == ErrorKind::Unsupported => return Err(not_supported()),
            replaced => refused(replaced, &[ErrorKind::InvalidInput], what)?,
        }
    }
    let after = context.entity_dump(&mira).await?;
    ensure!(after == before, "memories have changed");
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
    replace(context, &mira, &given, read_at).await?;
    let old = counts(context, &mira, &ids, &fingerprint()).await?;
    ensure_eq!(old, vec![2, 2, 2], "vectors of the first model");
    let new = counts(context, &mira, &ids, &other_fingerprint()).await?;
    ensure_eq!(new, vec![1, 1, 0], "vectors of the second model");
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
    ensure_eq!(old, vec![0, 0, 2], "vectors of the first model, after");
    let new = counts(context, &mira, &ids, &other_fingerprint()).await?;
    ensure_eq!(new, vec![1, 1, 0], "vectors of the second, after");
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
    let (item, _) = insert_with_two_models(context, &mira, &mut rng).await?;
    let id = item.memory.id;
    let store = context.store();
    let patch = MemoryPatch::new().context(Some("a place".to_owned()));
    let patched = store.update(&mira, &id, &patch, None).await;
    patched.at("update of the context")?;
    ensure_eq!(
        counts(context, &mira, &[id], &other_fingerprint()).await?,
        vec![1],
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
    let (item, fresh) = insert_with_two_models(context, &mira, &mut rng).await?;
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

/// A memory with one vector of each of two models.
async fn insert_with_two_models(
    context: &CheckContext,
    entity: &EntityId,
    rng: &mut SeededRng,
) -> Result<(EmbeddedMemory, Embedding), CheckFailure> {
    let item = plain(entity, "in two models", rng);
    context.insert(std::slice::from_ref(&item)).await?;
    let read_at = context.generation(entity).await?;
    let mut fresh = embedding(1, rng);
    fresh.fingerprint = other_fingerprint();
    let given = [(item.memory.id, fresh.clone())];
    replace(context, entity, &given, read_at).await?;
    Ok((item, fresh))
}

async fn replace(
    context: &CheckContext,
    entity: &EntityId,
    given: &[(MemoryId, Embedding)],
    read_at: Generation,
) -> Result<ReplaceVectorsOutcome, CheckFailure> {
    let replacing = context.store().replace_vectors(entity, given, read_at);
    supported(replacing.await).at("replace_vectors")
}

async fn counts(
    context: &CheckContext,
    entity: &EntityId,
    ids: &[MemoryId],
    fingerprint: &Fingerprint,
) -> Result<Vec<usize>, CheckFailure> {
    let counts = context.store().vector_counts(entity, ids, fingerprint);
    supported(counts.await).at("vector_counts")
}

/// A check does not apply to a store that does not support the method: whether it supports
/// others of them instead is a check of its own.
fn supported<T>(result: MemoryResult<T>) -> Result<T, CheckFailure> {
    result.map_err(|error| match error.kind() {
        ErrorKind::Unsupported => not_supported(),
        _ => error.into(),
    })
}

fn not_supported() -> CheckFailure {
    let why = "the store does not replace vectors".to_owned();
    CheckFailure::NotApplicable(why)
}

fn is_close(context: &CheckContext, item: &EmbeddedMemory, expected: &Embedding) -> bool {
    let pairs = item.embedding.vectors.iter().zip(&expected.vectors);
    item.embedding.vectors.len() == expected.vectors.len()
        && pairs
            .map(|(a, b)| memory_core::cosine(a, b))
            .all(|cosine| context.tolerance().same(cosine, 1.0))
}
