//! [`Store::consolidate`](memory_core::Store::consolidate).

use futures_util::future::join_all;
use memory_core::{
    AccessUpdate, EntityId, ErrorKind, Generation, InvalidInput, MemoryError, MemoryId,
    MemoryPatch, SummaryGroup,
};

use crate::check::{At, CheckFailure, CheckResult, ensure_eq, invalid, refused};
use crate::fixtures::{at, consolidation, plain, varied_memories};
use crate::store::CheckContext;
use crate::store::context::ids;
use crate::store::setups::archived_under;

/// Every source has its summary afterward and is otherwise as it was; the
/// summary is live, as it was given.
pub async fn archives_its_sources(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut people = varied_memories(&mira, 6, &mut rng);
    let link = (rng.id(), "before".to_owned());
    people[0].memory.related = [link, (people[5].memory.id, "of".to_owned())].into();
    people[1].memory.access_count = 7;
    people[1].memory.last_accessed = Some(at(70));
    context.insert(&people).await?;
    let mut group = consolidation(&mira, "in short", ids(&people[..4]), &mut rng);
    group.summary.memory.related = [(people[0].memory.id, "sums up".to_owned())].into();
    group.summary.memory.access_count = 3;
    let wanted = group.summary.memory.clone();
    group.summary.memory.archived_by = Some(people[5].memory.id);
    let done = context.consolidate(&mira, &[group]).await?;
    ensure_eq!(done, Generation(2), "generation in the outcome");
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(2),
        "statistics"
    );
    let stored = context.get(&mira, wanted.id).await?;
    ensure_eq!(stored.as_ref(), Some(&wanted), "the summary");
    for item in archived_under(&people[..4], wanted.id)
        .iter()
        .chain(&people[4..])
    {
        let stored = context.get(&mira, item.memory.id).await?;
        ensure_eq!(stored.as_ref(), Some(&item.memory), "a memory");
    }
    Ok(())
}

/// However many groups, it is one write.
pub async fn is_one_write(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let people = ids(&context.populate(&mira, 7, &mut rng).await?);
    let groups: Vec<SummaryGroup> = [&people[0..1], &people[1..3], &people[3..6]]
        .map(|sources| consolidation(&mira, "short", sources.iter().copied(), &mut rng))
        .into();
    let done = context.consolidate(&mira, &groups).await?;
    ensure_eq!(done, Generation(2), "generation in the outcome");
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(2),
        "statistics"
    );
    ensure_eq!(context.count(&mira).await?, 4, "live memories");
    for group in &groups {
        let summary = group.summary.memory.id;
        archived(context, &mira, &group.sources, Some(summary)).await?;
    }
    archived(context, &mira, &people[6..], None).await
}

/// Where one group is refused, nothing of the others is written.
pub async fn is_all_or_nothing(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let people = ids(&context.populate(&mira, 5, &mut rng).await?);
    let before = context.entity_dump(&mira).await?;
    let sound = consolidation(&mira, "sound", [people[0], people[1]], &mut rng);
    let last = consolidation(&mira, "sound too", [people[3]], &mut rng);
    let unknown = consolidation(&mira, "not", [people[2], rng.id()], &mut rng);
    let mut taken = consolidation(&mira, "taken", [people[2]], &mut rng);
    taken.summary.memory.id = people[4];
    for (bad, kind) in [(unknown, ErrorKind::Changed), (taken, ErrorKind::Conflict)] {
        let groups = [sound.clone(), bad, last.clone()];
        let store = context.store();
        let result = store.consolidate(&mira, &groups, Generation(1)).await;
        refused(result, &[kind], "one bad group among three")?;
        ensure_eq!(
            context.entity_dump(&mira).await?,
            before,
            "after the refusal"
        );
    }
    context.consolidate(&mira, &[sound, last]).await?;
    Ok(())
}

/// A source that is not there, or not live, is refused: unknown, deleted,
/// another entity's, archived already.
pub async fn refuses_what_is_not_live(context: &CheckContext) -> CheckResult {
    let (mira, tam) = (context.entity("mira"), context.entity("tam"));
    let mut rng = context.rng();
    let scene = context.archive(&mira, 4, 1, &mut rng).await?;
    let his = context.populate(&tam, 1, &mut rng).await?[0].memory.id;
    let [archived, live, gone] = [0, 1, 2].map(|index: usize| scene.people[index].memory.id);
    context.store().delete(&mira, &[gone]).await.at("delete")?;
    let before = context.entity_dump(&mira).await?;
    for (what, entity, bad) in [
        ("an unknown id", &mira, rng.id()),
        ("a deleted memory", &mira, gone),
        ("another entity's memory", &mira, his),
        ("an archived memory", &mira, archived),
        ("a memory of nobody", &context.entity("nobody"), live),
    ] {
        let sources = if *entity == mira {
            vec![live, bad]
        } else {
            vec![bad]
        };
        let group = consolidation(entity, "in short", sources, &mut rng);
        let now = context.generation(entity).await?;
        let result = context.store().consolidate(entity, &[group], now).await;
        changed(result, entity, bad).at(what)?;
    }
    ensure_eq!(
        context.entity_dump(&mira).await?,
        before,
        "after the refusals"
    );
    Ok(())
}

/// A source that was written after it was read is refused, however it was
/// written; a write of another memory is none of its business, nor is a touch.
pub async fn refuses_what_changed(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let mut people = varied_memories(&mira, 7, &mut rng);
    let link = (people[6].memory.id, "after".to_owned());
    people[2].memory.related = [link].into();
    context.insert(&people).await?;
    let people = ids(&people);
    let store = context.store();
    // Everything is read at generation 1, and then: one is patched, one is
    // linked, one loses its link, one is archived and brought back.
    let patch = MemoryPatch::new().importance(0.25);
    store.update(&mira, &people[0], &patch, None).await?;
    let patch = MemoryPatch::new().relate(people[4], "like");
    store.update(&mira, &people[1], &patch, None).await?;
    store.delete(&mira, &people[6..]).await.at("delete")?;
    let group = consolidation(&mira, "for a while", [people[3]], &mut rng);
    let summary = group.summary.memory.id;
    context.consolidate(&mira, &[group]).await?;
    store.delete(&mira, &[summary]).await.at("undo")?;
    let update = AccessUpdate::new(mira.clone(), people[5], 3, at(3));
    context.record_accesses(&[update]).await?;
    let before = context.entity_dump(&mira).await?;
    for (what, bad) in [
        ("patched", people[0]),
        ("linked", people[1]),
        ("without its link", people[2]),
        ("restored", people[3]),
    ] {
        let group = consolidation(&mira, "in short", [people[4], bad], &mut rng);
        let result = store.consolidate(&mira, &[group], Generation(1)).await;
        changed(result, &mira, bad).at(what)?;
    }
    ensure_eq!(
        context.entity_dump(&mira).await?,
        before,
        "after the refusals"
    );
    let same = consolidation(&mira, "the same", [people[4], people[5]], &mut rng);
    let result = store.consolidate(&mira, &[same], Generation(1)).await;
    result.at("what was touched only, and what was not written")?;
    let retry = consolidation(&mira, "read again", people[..4].to_vec(), &mut rng);
    context.consolidate(&mira, &[retry]).await.map(drop)
}

/// A summary's id that is taken is refused: by a memory of other content, by
/// one of equal content that represents nothing, by an archived one.
pub async fn refuses_a_taken_id(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let scene = context.archive(&mira, 5, 1, &mut rng).await?;
    let [archived, other, same, source] =
        [0, 1, 2, 3].map(|index: usize| scene.people[index].memory.clone());
    let before = context.entity_dump(&mira).await?;
    for (what, id, content) in [
        ("other content", other.id, "in short".to_owned()),
        ("equal content", same.id, same.content),
        ("an archived memory", archived.id, "in short".to_owned()),
    ] {
        let mut group = consolidation(&mira, content, [source.id], &mut rng);
        group.summary.memory.id = id;
        let now = context.generation(&mira).await?;
        match context.store().consolidate(&mira, &[group], now).await {
            Err(MemoryError::Conflict { entity, id: found }) => {
                ensure_eq!((entity, found), (mira.clone(), id), "conflict: {what}");
            }
            Err(error) => return Err(error).at(what),
            Ok(_) => return Err(CheckFailure::failed(format!("accepted: {what}"))),
        }
    }
    ensure_eq!(
        context.entity_dump(&mira).await?,
        before,
        "after the refusals"
    );
    Ok(())
}

/// The same once more is a no-op: a call whose outcome was unknown may be
/// repeated, also after other writes. Half of it is none.
pub async fn repeats_are_no_ops(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let people = ids(&context.populate(&mira, 6, &mut rng).await?);
    let mut groups = [&people[..2], &people[2..4]]
        .map(|sources| consolidation(&mira, "short", sources.iter().copied(), &mut rng));
    context.consolidate(&mira, &groups).await?;
    let before = context.entity_dump(&mira).await?;
    let store = context.store();
    groups[0].summary.memory.importance = 0.875;
    let again = store.consolidate(&mira, &groups, Generation(1)).await;
    let again = again.at("the same once more")?;
    ensure_eq!(again.generation, Generation(2), "generation");
    ensure_eq!(
        context.entity_dump(&mira).await?,
        before,
        "after the repetition"
    );
    let more = plain(&mira, "written meanwhile", &mut rng);
    context.insert(&[more]).await?;
    let before = context.entity_dump(&mira).await?;
    let again = store.consolidate(&mira, &groups[1..], Generation(1)).await;
    let again = again.at("again after another write")?;
    ensure_eq!(again.generation, Generation(3), "generation");
    let new = consolidation(&mira, "new", [people[4]], &mut rng);
    let half = [groups[0].clone(), new];
    let half = store.consolidate(&mira, &half, Generation(3)).await;
    let kinds = [ErrorKind::Conflict, ErrorKind::Changed];
    refused(
        half,
        &kinds,
        "one group that is written and one that is not",
    )?;
    ensure_eq!(context.entity_dump(&mira).await?, before, "at the end");
    Ok(())
}

/// No groups, no write: also for an entity that was never written to.
pub async fn no_groups_are_a_no_op(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    context.populate(&mira, 2, &mut context.rng()).await?;
    for (entity, generation) in [(&mira, 1), (&context.entity("nobody"), 0)] {
        let wanted = Generation(generation);
        let done = context.consolidate(entity, &[]).await?;
        ensure_eq!(done, wanted, "outcome for {entity}");
        let stats = context.generation(entity).await?;
        ensure_eq!(stats, wanted, "generation of {entity}");
    }
    Ok(())
}

/// A summary is a memory like any other: it may be a source in its turn, and
/// its sources stay under it.
pub async fn summaries_may_be_sources(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let scene = context.levels(&mira, &mut context.rng()).await?;
    let (lower, upper) = (scene.lower.memory.id, scene.upper.memory.id);
    let [a, b, c, d] = scene.ids();
    archived(context, &mira, &[a, b], Some(lower)).await?;
    archived(context, &mira, &[lower, c], Some(upper)).await?;
    archived(context, &mira, &[upper, d], None).await?;
    ensure_eq!(context.count(&mira).await?, 2, "live memories");
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(3),
        "generation"
    );
    Ok(())
}

/// Of consolidations that share a source, all at once, exactly one is done.
pub async fn serializes_overlapping_calls(context: &CheckContext) -> CheckResult {
    let mira = context.entity("mira");
    let mut rng = context.rng();
    let people = ids(&context.populate(&mira, 9, &mut rng).await?);
    let rivals: Vec<[SummaryGroup; 1]> = people[1..]
        .iter()
        .map(|own| [consolidation(&mira, "mine", [people[0], *own], &mut rng)])
        .collect();
    let store = context.store();
    let calls = rivals
        .iter()
        .map(|group| store.consolidate(&mira, group, Generation(1)));
    let mut done = Vec::new();
    for (outcome, group) in join_all(calls).await.into_iter().zip(&rivals) {
        match outcome {
            Ok(outcome) => {
                ensure_eq!(outcome.generation, Generation(2), "generation");
                done.push(&group[0]);
            }
            Err(error) => changed::<()>(Err(error), &mira, people[0])?,
        }
    }
    ensure_eq!(done.len(), 1, "consolidations that were done");
    for own in &people[1..] {
        let by = done[0].sources.contains(own);
        let by = by.then_some(done[0].summary.memory.id);
        archived(context, &mira, &[*own], by).await?;
    }
    ensure_eq!(context.count(&mira).await?, 8, "live memories");
    ensure_eq!(
        context.generation(&mira).await?,
        Generation(2),
        "generation"
    );
    Ok(())
}

/// Groups without sources, of another entity, with an id twice, or with a
/// summary outside the bounds are refused.
pub async fn bad_groups_are_refused(context: &CheckContext) -> CheckResult {
    let (mira, tam) = (context.entity("mira"), context.entity("tam"));
    let mut rng = context.rng();
    let people = ids(&context.populate(&mira, 3, &mut rng).await?);
    let before = context.entity_dump(&mira).await?;
    let mut group =
        |sources: &[MemoryId]| consolidation(&mira, "in short", sources.iter().copied(), &mut rng);
    type Is = fn(&InvalidInput) -> bool;
    let twice: Is = |problem| matches!(problem, InvalidInput::DuplicateId { .. });
    let mut cases: Vec<(&str, Vec<SummaryGroup>, Is)> = vec![
        ("no sources", vec![group(&people[..1]), group(&[])], |it| {
            matches!(it, InvalidInput::NoSources)
        }),
        (
            "a source twice",
            vec![group(&[people[0], people[0]])],
            twice,
        ),
        (
            "a source of two groups",
            vec![group(&people[..2]), group(&people[1..])],
            twice,
        ),
    ];
    let mut own = group(&people[..1]);
    own.sources.push(own.summary.memory.id);
    cases.push(("a summary of itself", vec![own], twice));
    let (one, mut other) = (group(&people[..1]), group(&people[1..]));
    other.summary.memory.id = one.summary.memory.id;
    cases.push(("two summaries of one id", vec![one, other], twice));
    let (one, mut other) = (group(&people[..1]), group(&people[1..]));
    other.sources[0] = one.summary.memory.id;
    cases.push(("a summary of a new summary", vec![one, other], twice));
    let mut theirs = group(&people[..1]);
    theirs.summary.memory.entity_id = tam;
    cases.push(("another entity's summary", vec![theirs], |it| {
        matches!(it, InvalidInput::EntityMismatch)
    }));
    let mut blank = group(&people[..1]);
    blank.summary.memory.content = " ".to_owned();
    cases.push(("a blank summary", vec![blank], |it| {
        matches!(it, InvalidInput::EmptyContent)
    }));
    let mut bare = group(&people[..1]);
    bare.summary.embedding.vectors.clear();
    cases.push(("a summary without a vector", vec![bare], |it| {
        matches!(it, InvalidInput::NoVector)
    }));
    for (what, groups, is) in cases {
        let store = context.store();
        let result = store.consolidate(&mira, &groups, Generation(1)).await;
        invalid(result, is, what)?;
    }
    ensure_eq!(
        context.entity_dump(&mira).await?,
        before,
        "after the refusals"
    );
    Ok(())
}

/// Requires that these memories are archived so.
pub(super) async fn archived(
    context: &CheckContext,
    entity: &EntityId,
    ids: &[MemoryId],
    by: Option<MemoryId>,
) -> CheckResult {
    let fetched = context.store().get(entity, ids).await.at("get")?;
    for (id, memory) in ids.iter().zip(fetched.memories) {
        let found = memory.map(|memory| memory.archived_by);
        ensure_eq!(found, Some(by), "the summary that represents {id}");
    }
    Ok(())
}

/// Demands [`MemoryError::Changed`] with this memory in it.
fn changed<T>(result: Result<T, MemoryError>, whose: &EntityId, which: MemoryId) -> CheckResult {
    match result {
        Err(MemoryError::Changed { entity, id }) => {
            ensure_eq!((&entity, id), (whose, which), "what changed");
            Ok(())
        }
        other => refused(other, &[ErrorKind::Changed], "consolidate"),
    }
}
