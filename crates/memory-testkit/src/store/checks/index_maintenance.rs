//! [`Store::maintain_indexes`](memory_core::Store::maintain_indexes), where it is supported.
//!
//! A run concerns the whole database: other entities with as many vectors as these have
//! are maintained as well. So they have more than those of most other checks, and are
//! removed at the end.

use std::collections::BTreeSet;

use memory_core::{
    ChangeSet, DenseQuery, EmbeddedMemory, EntityId, ErrorKind, Generation, IndexAction,
    IndexReport, MaintenanceReport, MaintenanceRequest, MemoryError, MemoryFilter, MemoryId,
    SearchRequest,
};

use crate::check::{At, CheckFailure, CheckResult, ensure, ensure_eq};
use crate::fixtures::{fingerprint, plain};
use crate::seeded_rng::SeededRng;
use crate::store::CheckContext;

/// Memories of an entity that is large enough, with a vector each.
const SIZE: usize = 600;

/// A dry run says that it is one, builds nothing and changes nothing.
pub async fn dry_run_writes_nothing(context: &CheckContext) -> CheckResult {
    let (mira, batch) = fill(context, "mira").await?;
    let before = context.changes(&mira, Generation::ZERO).await?;
    for _ in 0..2 {
        let Some(report) = maintain(context, &request().dry_run(true)).await? else {
            return not_supported(context, &mira, &batch).await;
        };
        ensure!(report.dry_run, "the report does not say that it is dry");
        for index in indexes_of(&report, &mira) {
            // There is none before, and so it is the second time.
            ensure!(
                index.before.is_none() && index.build_ms.is_none(),
                "there is an index: {index:?}"
            );
            let is_planned = matches!(index.action, IndexAction::None | IndexAction::Build);
            ensure!(is_planned, "the action of {index:?}");
        }
    }
    let after = context.changes(&mira, Generation::ZERO).await?;
    equal_states(&before, &after)?;
    remove(context, &mira, &batch).await
}

/// The second of two runs finds what the first chose, and builds nothing. Neither is a
/// write to the entity.
pub async fn second_run_builds_nothing(context: &CheckContext) -> CheckResult {
    let (mira, batch) = fill(context, "mira").await?;
    let before = context.changes(&mira, Generation::ZERO).await?;
    let Some(first) = maintain(context, &request()).await? else {
        return not_supported(context, &mira, &batch).await;
    };
    ensure!(!first.dry_run, "the report says that it is dry");
    let again = maintain(context, &request()).await?.unwrap_or_default();
    let chosen: Vec<_> = indexes_of(&first, &mira)
        .map(|it| it.after.clone())
        .collect();
    let found: Vec<_> = indexes_of(&again, &mira)
        .map(|it| it.before.clone())
        .collect();
    ensure_eq!(found, chosen, "indexes before the second run");
    for index in indexes_of(&again, &mira) {
        let builds = matches!(index.action, IndexAction::Build | IndexAction::Replace);
        ensure!(
            !builds && index.build_ms.is_none(),
            "the second run builds: {index:?}"
        );
    }
    let after = context.changes(&mira, Generation::ZERO).await?;
    equal_states(&before, &after)?;
    remove(context, &mira, &batch).await
}

/// Searches after a run find the share of the nearest that was asked for, and memories
/// that are written later.
pub async fn searches_reach_the_target(context: &CheckContext) -> CheckResult {
    /// How many of the nearest are compared.
    const NEAREST: usize = 10;
    const TARGET: f64 = 0.9;
    /// Somewhat less than the target, which is that of another sample.
    const MIN_PERCENT: usize = 85;
    let (mira, mut batch) = fill(context, "mira").await?;
    let later = plain(&mira, "written after the run", &mut SeededRng::new(1));
    let request = request().target_recall(TARGET);
    if maintain(context, &request).await?.is_none() {
        return not_supported(context, &mira, &batch).await;
    }
    let (mut found, mut wanted) = (0, 0);
    for item in batch.iter().step_by(SIZE / 50) {
        let query = query(item);
        let mut similarities: Vec<f32> = batch
            .iter()
            .filter_map(|other| other.embedding.similarity(&query))
            .collect();
        similarities.sort_by(|a, b| b.total_cmp(a));
        let farthest = similarities[NEAREST - 1] - context.tolerance().0;
        let request = SearchRequest::new(MemoryFilter::new(), NEAREST).dense(query);
        let outcome = context.store().search(&mira, &request).await.at("search")?;
        ensure_eq!(outcome.candidates.len(), NEAREST, "candidates");
        let near = outcome.candidates.iter();
        let near = near.filter(|hit| hit.similarity.is_some_and(|it| it >= farthest));
        let near: BTreeSet<MemoryId> = near.map(|hit| hit.memory.id).collect();
        found += near.len();
        wanted += NEAREST;
    }
    ensure!(
        found * 100 >= wanted * MIN_PERCENT,
        "{found} of the {wanted} nearest were found, of which {TARGET} were asked for"
    );
    context.insert(std::slice::from_ref(&later)).await?;
    let request = SearchRequest::new(MemoryFilter::new(), NEAREST).dense(query(&later));
    let outcome = context.store().search(&mira, &request).await.at("search")?;
    let ids: Vec<MemoryId> = outcome.candidates.iter().map(|it| it.memory.id).collect();
    ensure!(
        ids.contains(&later.memory.id),
        "a memory that was written after the run is not found"
    );
    batch.push(later);
    remove(context, &mira, &batch).await
}

/// An entity with fewer vectors than asked for has no index, and a target that is no share
/// is refused.
pub async fn request_is_respected(context: &CheckContext) -> CheckResult {
    let (mira, batch) = fill(context, "mira").await?;
    let small = request().dry_run(true).min_vectors(SIZE as u64 + 1);
    let Some(report) = maintain(context, &small).await? else {
        return not_supported(context, &mira, &batch).await;
    };
    let small: Vec<&IndexReport> = indexes_of(&report, &mira).collect();
    ensure!(small.is_empty(), "a small entity is reported: {small:?}");
    for target in [0.0, 1.5, f64::NAN] {
        let request = request().dry_run(true).target_recall(target);
        let refused = context.store().maintain_indexes(&request).await;
        let kind = refused.as_ref().err().map(MemoryError::kind);
        ensure_eq!(kind, Some(ErrorKind::InvalidInput), "a target of {target}");
    }
    remove(context, &mira, &batch).await
}

fn request() -> MaintenanceRequest {
    MaintenanceRequest::new().min_vectors(SIZE as u64)
}

/// `None` where the store does not support it.
async fn maintain(
    context: &CheckContext,
    request: &MaintenanceRequest,
) -> Result<Option<MaintenanceReport>, CheckFailure> {
    match context.store().maintain_indexes(request).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
        report => report.at("maintain_indexes").map(Some),
    }
}

fn indexes_of<'a>(
    report: &'a MaintenanceReport,
    entity: &'a EntityId,
) -> impl Iterator<Item = &'a IndexReport> {
    report.indexes.iter().filter(move |it| it.entity == *entity)
}

async fn fill(
    context: &CheckContext,
    name: &str,
) -> Result<(EntityId, Vec<EmbeddedMemory>), CheckFailure> {
    let entity = context.entity(name);
    let mut rng = context.rng();
    let batch: Vec<EmbeddedMemory> = (0..SIZE)
        .map(|number| plain(&entity, format!("memory {number}"), &mut rng))
        .collect();
    context.insert(&batch).await?;
    Ok((entity, batch))
}

async fn remove(
    context: &CheckContext,
    entity: &EntityId,
    batch: &[EmbeddedMemory],
) -> CheckResult {
    let ids: Vec<MemoryId> = batch.iter().map(|item| item.memory.id).collect();
    context.store().delete(entity, &ids).await.at("delete")?;
    Ok(())
}

/// Removes what a check wrote, which does not apply.
async fn not_supported(
    context: &CheckContext,
    entity: &EntityId,
    batch: &[EmbeddedMemory],
) -> CheckResult {
    remove(context, entity, batch).await?;
    let why = "the store does not maintain indexes".to_owned();
    Err(CheckFailure::NotApplicable(why))
}

fn query(item: &EmbeddedMemory) -> DenseQuery {
    DenseQuery::new(fingerprint(), item.embedding.vectors[0].clone())
}

fn equal_states(before: &ChangeSet, after: &ChangeSet) -> CheckResult {
    let by_id = |state: &ChangeSet| {
        let mut written = state.written.clone();
        written.sort_by_key(|item| item.memory.id);
        written
    };
    ensure_eq!(after.generation, before.generation, "generation");
    ensure!(by_id(after) == by_id(before), "memories have changed");
    Ok(())
}
