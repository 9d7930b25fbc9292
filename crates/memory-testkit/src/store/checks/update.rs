//! [`Store::update`](memory_core::Store::update).

use futures_util::future::join;
use memory_core::{
    DenseQuery, EntityId, ErrorKind, Fingerprint, Generation, Memory, MemoryFilter, MemoryId,
    MemoryKind, MemoryPatch, SearchRequest,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq, refused};
use crate::fixtures::{at, embedding, other_fingerprint, varied};
use crate::store::CheckContext;

/// A field that is set changes, the others stay; each field by itself, then
/// all of them. The outcome and every later read show it.
pub async fn changes_what_is_set_only(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let item = varied(&mira, 1, &mut rng);
    let id = item.memory.id;
    context.insert(std::slice::from_ref(&item)).await?;
    let new = MemoryPatch::new;
    let metadata = || [("new".to_owned(), "value".to_owned())].into();
    let patches = [
        new().content("new content"),
        new().kind(MemoryKind::Opinion),
        new().kind(MemoryKind::Observation),
        new().timestamp(at(77)),
        new().importance(0.123_456_7),
        new().context(Some("new context".to_owned())),
        new().context(None),
        new().context(Some(String::new())),
        new().metadata(metadata()),
        new().metadata([].into()),
        new().related([(rng.id(), "new".to_owned())].into()),
        new().entities([("new".into(), "role".to_owned())].into()),
        new().entities([].into()),
        new().tags(["new", "newer"]),
        new().tags(Vec::<String>::new()),
        new()
            .content("all at once")
            .kind(MemoryKind::World)
            .timestamp(at(78))
            .importance(1.0)
            .context(Some("all".to_owned()))
            .metadata(metadata())
            .related([].into())
            .entities([("all".into(), String::new())].into())
            .tags(["all"]),
    ];
    let mut wanted = item.memory;
    for (number, patch) in patches.iter().enumerate() {
        patch.apply(&mut wanted);
        let fresh = patch.content.as_ref().map(|_| embedding(1, &mut rng));
        let store = context.store();
        let outcome = store.update(&mira, &id, patch, fresh.as_ref()).await;
        let outcome = outcome.at(format!("patch {number}"))?;
        ensure_eq!(outcome.memory, wanted, "outcome of patch {number}");
        let stored = context.get(&mira, id).await?;
        ensure_eq!(stored.as_ref(), Some(&wanted), "memory after {number}");
    }
    let listed = context.listed(&mira, &MemoryFilter::new(), 10).await?;
    ensure_eq!(listed, [wanted], "listed");
    Ok(())
}

/// A new content's embedding stands in place of the old: the old vectors find
/// nothing any more, fewer or more vectors, same model or another.
pub async fn replaces_the_embedding(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut item = varied(&mira, 1, &mut rng);
    item.embedding = embedding(3, &mut rng);
    let id = item.memory.id;
    context.insert(std::slice::from_ref(&item)).await?;
    let mut before = item.embedding;
    for (round, chunks) in [1, 4, 2].into_iter().enumerate() {
        let mut fresh = embedding(chunks, &mut rng);
        if round == 2 {
            fresh.fingerprint = other_fingerprint();
        }
        let patch = MemoryPatch::new().content(format!("round {round}"));
        let store = context.store();
        let done = store.update(&mira, &id, &patch, Some(&fresh)).await;
        done.at("update")?;
        for vector in &fresh.vectors {
            let similarity = similarity(context, &mira, &fresh.fingerprint, vector).await?;
            ensure!(
                similarity.is_some_and(|value| context.tolerance().same(value, 1.0)),
                "round {round}: similarity to a new vector is {similarity:?}"
            );
        }
        for vector in &before.vectors {
            let similarity = similarity(context, &mira, &before.fingerprint, vector).await?;
            ensure!(
                similarity.is_none_or(|value| value < 0.95),
                "round {round}: an old vector is still found ({similarity:?})"
            );
        }
        before = fresh;
    }
    Ok(())
}

/// An embedding must be given exactly when the patch sets the content;
/// otherwise nothing changes.
pub async fn requires_an_embedding_with_content_only(context: &CheckContext) -> CheckResult {
    let kinds = [ErrorKind::InvalidInput, ErrorKind::Configuration];
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let item = varied(&mira, 1, &mut rng);
    let id = item.memory.id;
    context.insert(std::slice::from_ref(&item)).await?;
    let store = context.store();
    let patch = MemoryPatch::new().content("without an embedding");
    let result = store.update(&mira, &id, &patch, None).await;
    refused(result, &kinds, "content without an embedding")?;
    let patch = MemoryPatch::new().importance(0.25);
    let fresh = embedding(1, &mut rng);
    let result = store.update(&mira, &id, &patch, Some(&fresh)).await;
    refused(result, &kinds, "an embedding without content")?;
    let stored = context.get(&mira, id).await?;
    ensure_eq!(stored, Some(item.memory), "memory after the refusals");
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(1),
        "generation"
    );
    Ok(())
}

/// An unknown id is not found, and neither is another entity's; a deleted one
/// is not brought back.
pub async fn refuses_unknown_ids(context: &CheckContext) -> CheckResult {
    let (mira, tam) = (context.entity("mira"), context.entity("tam"));
    let mut rng = context.rng();
    let batch = context.populate(&mira, 2, &mut rng).await?;
    context.populate(&tam, 1, &mut rng).await?;
    let (id, gone) = (batch[0].memory.id, batch[1].memory.id);
    let store = context.store();
    store.delete(&mira, &[gone]).await.at("delete")?;
    let patch = MemoryPatch::new().importance(0.25);
    let kinds = [ErrorKind::NotFound];
    for (entity, id, what) in [
        (&mira, rng.id(), "an unknown id"),
        (&tam, id, "another entity's id"),
        (&context.entity("nobody"), id, "an id of an unknown entity"),
        (&mira, gone, "a deleted id"),
    ] {
        let result = store.update(entity, &id, &patch, None).await;
        refused(result, &kinds, what)?;
    }
    let stored = context.get(&mira, id).await?;
    ensure_eq!(stored.as_ref(), Some(&batch[0].memory), "her memory");
    ensure_eq!(context.generation(&mira).await?, Generation(2), "of mira");
    ensure_eq!(context.generation(&tam).await?, Generation(1), "of tam");
    Ok(())
}

/// Two patches of different fields both take effect, whatever was read before.
pub async fn combines_with_other_patches(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let item = varied(&mira, 1, &mut context.rng());
    let id = item.memory.id;
    context.insert(std::slice::from_ref(&item)).await?;
    let first = MemoryPatch::new().importance(0.75);
    let second = MemoryPatch::new().tags(["patched"]);
    let store = context.store();
    let (one, other) = join(
        store.update(&mira, &id, &first, None),
        store.update(&mira, &id, &second, None),
    )
    .await;
    let generations = [one.at("update")?.generation, other.at("update")?.generation];
    ensure!(
        generations[0] != generations[1],
        "two writes share the generation {}",
        generations[0]
    );
    let mut wanted: Memory = item.memory;
    first.apply(&mut wanted);
    second.apply(&mut wanted);
    ensure_eq!(context.get(&mira, id).await?, Some(wanted), "memory");
    Ok(())
}

/// Each update raises the generation by one, and stamps the memory with it.
pub async fn raises_the_generation(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let batch = context.populate(&mira, 3, &mut context.rng()).await?;
    let id: MemoryId = batch[1].memory.id;
    for round in 2..5 {
        let generation = Generation(round);
        let patch = MemoryPatch::new().context(Some(format!("round {round}")));
        let outcome = context.store().update(&mira, &id, &patch, None).await;
        ensure_eq!(outcome.at("update")?.generation, generation, "outcome");
        ensure_eq!(context.generation(&mira).await?, generation, "statistics");
        let changes = context.changes(&mira, Generation(round - 1)).await?;
        let written: Vec<MemoryId> = changes.written.iter().map(|it| it.memory.id).collect();
        ensure_eq!(written, [id], "ids written by the update");
    }
    ensure_eq!(context.count(&mira).await?, 3, "count");
    Ok(())
}

/// An update says whether it wrote: exactly then it raised the generation, also
/// where a patch sets what stands there already.
pub async fn says_whether_it_wrote(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let item = varied(&mira, 1, &mut context.rng());
    let id = item.memory.id;
    context.insert(&[item]).await?;
    let new = MemoryPatch::new;
    for (number, (patch, changes)) in [
        (new().importance(0.125), true),
        (new().importance(0.125), false),
        (new().tags(["one", "two"]), true),
        (new().tags(["two", "one"]), false),
        (new().unrelate(id), false),
    ]
    .into_iter()
    .enumerate()
    {
        let before = context.generation(&mira).await?;
        let outcome = context.store().update(&mira, &id, &patch, None).await;
        let outcome = outcome.at(format!("patch {number}"))?;
        let present = context.generation(&mira).await?;
        ensure_eq!(outcome.generation, present, "generation of {number}");
        let raised = Generation(before.0 + u64::from(outcome.changed));
        ensure_eq!(present, raised, "generation after {number}");
        ensure!(outcome.changed || !changes, "patch {number} wrote nothing");
    }
    Ok(())
}

/// The similarity of the only memory to a vector.
async fn similarity(
    context: &CheckContext,
    entity: &EntityId,
    model: &Fingerprint,
    vector: &[f32],
) -> Result<Option<f32>, CheckFailure> {
    let request = SearchRequest {
        sample: 0,
        filter: MemoryFilter::new(),
        limit: 1,
        dense: Some(DenseQuery {
            chunk_discount: 0.0,
            fingerprint: model.clone(),
            vector: vector.to_vec(),
        }),
        lexical: None,
    };
    let found = context
        .store()
        .search(entity, &request)
        .await
        .at("search")?;
    Ok(found.candidates.first().and_then(|found| found.similarity))
}
